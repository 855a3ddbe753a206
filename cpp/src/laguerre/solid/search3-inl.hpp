// What can cut a cell beyond the sites near its leaf: a search of the tree in rounds of growing distance. A child is
// visited where the sphere around the cell allows it and one of the vertices is reached by its box.
#pragma once

#include "near3-inl.hpp"

namespace deblai::DEBLAI_LEVEL {
namespace {

// What is left to visit: a node of a level, seen from the site as an image sees it.
struct Visit {
    std::int32_t node, level, image;
};

template <bool Weighted>
class Search {
public:
    Search(const Scene& scene, const Site& site, Polyhedron& cell, const Stop& stop, int worker)
        : scene_(scene), site_(site), cell_(cell), stop_(stop), worker_(worker) {}

    // `outer2`: square of the first round's distance.
    Status run(double outer2) {
        inner2_ = -1;
        outer2_ = outer2;
        for (;;) {
            nearest_ = infinity;
            const Status status = round();
            if (status != Status::done || cell_.size() == 0) return status;
            if (!(nearest_ < infinity) || (!Weighted && nearest_ >= 4 * cell_.radius2())) return Status::done;
            inner2_ = outer2_;
            outer2_ = 16 * (outer2_ > nearest_ ? outer2_ : nearest_);
        }
    }

private:
    // Where the site is as an image of the others sees it.
    struct Origin {
        double at[3];
    };
    DEBLAI_HD Origin seen_from(int image) const {
        Origin o;
        for (int k = 0; k < 3; ++k) o.at[k] = site_.at[k] - scene_.shift[image][k];
        return o;
    }

    Status round() {
        depth_ = 0;
        if (scene_.periodic) {
            const Origin o = seen_from(laguerre3::middle);
            for (int g = 0; g < laguerre3::image_groups; ++g) {
                const Node& n = scene_.image[g];
                for (unsigned mask = reach(n, o); mask; mask &= mask - 1) {
                    const int c = __builtin_ctz(mask);
                    if (passes(n, c, o)) push(0, scene_.levels - 1, lanes8 * g + c);
                }
            }
        }
        push(0, scene_.levels - 1, laguerre3::middle);
        while (depth_ > 0) {
            const Visit v = stack_[--depth_];
            const Origin o = seen_from(v.image);
            const Node& n = scene_.node[scene_.level[v.level] + v.node];
            for (unsigned mask = reach(n, o); mask; mask &= mask - 1) {
                const int c = __builtin_ctz(mask);
                if (v.level > 0) {
                    if (passes(n, c, o)) push(lanes8 * v.node + c, v.level - 1, v.image);
                } else if (distance2_[c] >= inner2_ && passes(n, c, o)) {
                    const Status status = visit(lanes8 * v.node + c, o, v.image);
                    if (status != Status::done || cell_.size() == 0) return status;
                }
            }
        }
        return Status::done;
    }

    // The children of a node that are near enough for this round and for the sphere around the cell; others that the
    // sphere allows are noted for the next round.
    DEBLAI_HD unsigned reach(const Node& n, const Origin& o) {
        const V8 zero = {};
        V8 d2 = {};
        for (int k = 0; k < 3; ++k) {
            const V8 d = largest(largest(load8(n.low[k]) - o.at[k], o.at[k] - load8(n.high[k])), zero);
            d2 = d2 + d * d;
        }
        unsigned reached;
        if constexpr (Weighted) {
            const double radius = cell_.radius();
            const V8 d = largest(root(d2), splat8(radius));
            reached = less(d * (d - 2 * radius), load8(n.psi) - site_.psi);
        } else {
            reached = less(d2, splat8(4 * cell_.radius2()));
        }
        const unsigned now = less(d2, splat8(outer2_));
        store8(distance2_, d2);
        for (unsigned later = reached & ~now; later; later &= later - 1) {
            const int c = __builtin_ctz(later);
            if (distance2_[c] < nearest_ && passes(n, c, o)) nearest_ = distance2_[c];
        }
        return reached & now;
    }

    DEBLAI_HD bool passes(const Node& n, int c, const Origin& o) const {
        double gain = 0, slope[3] = {}, low[3], high[3];
        for (int k = 0; k < 3; ++k) low[k] = n.low[k][c] - o.at[k], high[k] = n.high[k][c] - o.at[k];
        if constexpr (Weighted) {
            double at_site = 0, steep = 0;
            for (int k = 0; k < 3; ++k) {
                slope[k] = n.slope[k][c];
                at_site += slope[k] * (o.at[k] - n.centre(k, c));
                steep += slope[k] * slope[k];
            }
            gain = n.rest[c] - site_.psi + at_site;
            gain += 1e-14 * (__builtin_fabs(n.rest[c]) + __builtin_fabs(site_.psi) + __builtin_fabs(at_site) + steep);
        }
        return cell_.reached_by(low, high, gain, slope);
    }

    DEBLAI_HD Status visit(std::int32_t place, const Origin& o, int image) {
        const Leaf& leaf = scene_.leaf[place];
        alignas(64) double d[3][8], hs[8];
        V8 d2 = {};
        for (int k = 0; k < 3; ++k) {
            const V8 v = load8(leaf.at[k]) - o.at[k];
            d2 = d2 + v * v;
            store8(d[k], v);
        }
        unsigned mask = less(d2, splat8(Weighted ? infinity : 4 * cell_.radius2()));
        if (image == laguerre3::middle && place == site_.place / lanes8) mask &= ~(1u << site_.place % lanes8);
        V8 h = d2;
        if constexpr (Weighted) h = h + (site_.psi - load8(leaf.psi));
        store8(hs, h * 0.5);
        for (; mask; mask &= mask - 1) {
            const int c = __builtin_ctz(mask);
            const std::int64_t other = index_t{lanes8} * place + c;
            if (d[0][c] == 0 && d[1][c] == 0 && d[2][c] == 0 && hs[c] == 0 && scene_.id[other] < scene_.id[site_.place])
                return cell_.clear(), Status::done;
            const Cut done = cell_.clip({d[0][c], d[1][c], d[2][c], hs[c]}, other);
            if (done == Cut::full) return Status::grow;
            if (done == Cut::all) return Status::done;
        }
        if ((++visited_ & 255) == 0 && stop_.requested(worker_)) return Status::stopped;
        return Status::done;
    }

    DEBLAI_HD void push(std::int32_t node, std::int32_t level, std::int32_t image) {
        stack_[depth_++] = {node, level, image};
    }

    const Scene& scene_;
    const Site site_;
    Polyhedron& cell_;
    const Stop& stop_;
    int worker_;
    double inner2_, outer2_, nearest_;
    unsigned visited_ = 0;
    int depth_ = 0;
    alignas(64) double distance2_[8];
    Visit stack_[laguerre3::max_levels * 7 + laguerre3::images + 8];
};

}  // namespace
}  // namespace deblai::DEBLAI_LEVEL
