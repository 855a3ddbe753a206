// What can cut a cell beyond the sites near its leaf: a search of the tree in rounds of growing distance. A child is
// visited where the circle around the polygon allows it and one of the vertices is reached by its box.
#pragma once

#include "near-inl.hpp"

namespace deblai::DEBLAI_LEVEL {
namespace {

// What is left to visit: a node of a level, seen from the site as an image sees it.
struct Visit {
    std::int32_t node, level, image;  // image -1: the plane itself
};

template <bool Weighted>
class Search {
public:
    Search(const Scene& scene, const Site& site, ClippedPolygon& polygon, const Stop& stop, int worker)
        : scene_(scene), site_(site), polygon_(polygon), stop_(stop), worker_(worker) {}

    // `outer2`: square of the first round's distance.
    Status run(double outer2) {
        inner2_ = -1;
        outer2_ = outer2;
        for (;;) {
            nearest_ = infinity;
            const Status status = round();
            if (status != Status::done || polygon_.size() == 0) return status;
            if (!(nearest_ < infinity) || (!Weighted && nearest_ >= 4 * polygon_.radius2())) return Status::done;
            inner2_ = outer2_;
            outer2_ = 64 * (outer2_ > nearest_ ? outer2_ : nearest_);
        }
    }

private:
    Status round() {
        depth_ = 0;
        if (scene_.periodic) {
            const Node& n = scene_.images;
            for (unsigned mask = reach(n, site_.x, site_.y); mask; mask &= mask - 1) {
                const int k = __builtin_ctz(mask);
                if (passes(n, k, site_.x, site_.y)) push(0, scene_.levels - 1, k);
            }
        }
        push(0, scene_.levels - 1, -1);
        while (depth_ > 0) {
            const Visit v = stack_[--depth_];
            const double ox = v.image < 0 ? site_.x : site_.x - scene_.shift[v.image][0];
            const double oy = v.image < 0 ? site_.y : site_.y - scene_.shift[v.image][1];
            const Node& n = scene_.node[scene_.level[v.level] + v.node];
            for (unsigned mask = reach(n, ox, oy); mask; mask &= mask - 1) {
                const int k = __builtin_ctz(mask);
                if (v.level > 0) {
                    if (passes(n, k, ox, oy)) push(lanes8 * v.node + k, v.level - 1, v.image);
                } else if (distance2_[k] >= inner2_ && passes(n, k, ox, oy)) {
                    const Status status = visit(lanes8 * v.node + k, ox, oy, v.image);
                    if (status != Status::done || polygon_.size() == 0) return status;
                }
            }
        }
        return Status::done;
    }

    // The children of a node that are near enough for this round and for the circle around the polygon; others that
    // the circle allows are noted for the next round.
    DEBLAI_HD unsigned reach(const Node& n, double ox, double oy) {
        const V8 zero = {};
        const V8 dx = largest(largest(load8(n.low_x) - ox, ox - load8(n.high_x)), zero);
        const V8 dy = largest(largest(load8(n.low_y) - oy, oy - load8(n.high_y)), zero);
        const V8 d2 = dx * dx + dy * dy;
        unsigned reached;
        if constexpr (Weighted) {
            const V8 d = largest(root(d2), splat8(polygon_.radius()));
            reached = less(d * (d - 2 * polygon_.radius()), load8(n.psi) - site_.psi);
        } else {
            reached = less(d2, splat8(4 * polygon_.radius2()));
        }
        const unsigned now = less(d2, splat8(outer2_));
        store8(distance2_, d2);
        for (unsigned later = reached & ~now; later; later &= later - 1) {
            const int k = __builtin_ctz(later);
            if (distance2_[k] < nearest_ && passes(n, k, ox, oy)) nearest_ = distance2_[k];
        }
        return reached & now;
    }

    DEBLAI_HD bool passes(const Node& n, int k, double ox, double oy) const {
        double gain = 0, slope_x = 0, slope_y = 0;
        if constexpr (Weighted) {
            slope_x = n.slope_x[k];
            slope_y = n.slope_y[k];
            const double at_site = slope_x * (ox - n.centre_x(k)) + slope_y * (oy - n.centre_y(k));
            gain = n.rest[k] - site_.psi + at_site;
            gain += 1e-14 * (__builtin_fabs(n.rest[k]) + __builtin_fabs(site_.psi) + __builtin_fabs(at_site) +
                             slope_x * slope_x + slope_y * slope_y);
        }
        return polygon_.reached_by(n.low_x[k] - ox, n.high_x[k] - ox, n.low_y[k] - oy, n.high_y[k] - oy, gain, slope_x,
                                   slope_y);
    }

    DEBLAI_HD Status visit(std::int32_t place, double ox, double oy, int image) {
        const Leaf& leaf = scene_.leaf[place];
        const V8 dx = load8(leaf.x) - ox, dy = load8(leaf.y) - oy, d2 = dx * dx + dy * dy;
        unsigned mask = less(d2, splat8(Weighted ? infinity : 4 * polygon_.radius2()));
        if (image < 0 && place == site_.place / lanes8) mask &= ~(1u << site_.place % lanes8);
        V8 h = d2;
        if constexpr (Weighted) h = h + (site_.psi - load8(leaf.psi));
        h = h * 0.5;
        alignas(64) double dxs[8], dys[8], hs[8];
        store8(dxs, dx);
        store8(dys, dy);
        store8(hs, h);
        for (; mask; mask &= mask - 1) {
            const int k = __builtin_ctz(mask);
            const std::int64_t other = index_t{lanes8} * place + k;
            if (dxs[k] == 0 && dys[k] == 0 && hs[k] == 0 && scene_.id[other] < scene_.id[site_.place])
                return polygon_.clear(), Status::done;
            const Cut done = polygon_.clip({dxs[k], dys[k], hs[k]}, other);
            if (done == Cut::full) return Status::grow;
            if (done == Cut::all) return Status::done;
        }
        if ((++visited_ & 1023) == 0 && stop_.requested(worker_)) return Status::stopped;
        return Status::done;
    }

    DEBLAI_HD void push(std::int32_t node, std::int32_t level, std::int32_t image) {
        stack_[depth_++] = {node, level, image};
    }

    static constexpr int lanes8 = laguerre::lanes;

    const Scene& scene_;
    const Site site_;
    ClippedPolygon& polygon_;
    const Stop& stop_;
    int worker_;
    double inner2_, outer2_, nearest_;
    unsigned visited_ = 0;
    int depth_ = 0;
    alignas(64) double distance2_[8];
    Visit stack_[laguerre::max_levels * 7 + 16];
};

}  // namespace
}  // namespace deblai::DEBLAI_LEVEL
