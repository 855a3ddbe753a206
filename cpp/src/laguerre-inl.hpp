// One cell: start from the box, clip by the sites of the leaves that reach it, in rounds of growing distance.
#include "polygon-inl.hpp"

namespace deblai::DEBLAI_LEVEL {
namespace {

using laguerre::Cell;
using laguerre::Leaf;
using laguerre::Node;
using laguerre::Scene;
using laguerre::Scratch;
using laguerre::Status;

constexpr double infinity = __builtin_inf();

struct Site {
    double x, y, psi;
    index_t place;
};

// What is left to visit: a node of a level, seen from the site as an image sees it.
struct Visit {
    std::int32_t node, level, image;  // image -1: the plane itself
};

template <bool Weighted>
class Search {
public:
    Search(const Scene& scene, const Site& site, ClippedPolygon& polygon, const Stop& stop, int worker)
        : scene_(scene), site_(site), polygon_(polygon), stop_(stop), worker_(worker) {}

    // `radius`: of the first round.
    Status run(double radius) {
        inner2_ = -1;
        outer2_ = radius > 0 ? radius * radius : infinity;
        for (;;) {
            nearest_ = infinity;
            const Status status = round();
            if (status != Status::done || polygon_.size() == 0) return status;
            if (!(nearest_ < infinity) || (!Weighted && nearest_ >= 4 * polygon_.radius2())) return Status::done;
            inner2_ = outer2_;
            outer2_ = 4 * outer2_ > 2 * nearest_ ? 4 * outer2_ : 2 * nearest_;
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
            V8 d;
            for (int k = 0; k < 8; ++k) d[k] = __builtin_sqrt(d2[k]);
            d = largest(d, splat8(polygon_.radius()));
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
        return polygon_.reached_by(n.low_x[k] - ox, n.high_x[k] - ox, n.low_y[k] - oy, n.high_y[k] - oy,
                                   Weighted ? n.psi[k] - site_.psi : 0.0);
    }

    DEBLAI_HD Status visit(std::int32_t place, double ox, double oy, int image) {
        const Leaf& leaf = scene_.leaf[place];
        const V8 dx = load8(leaf.x) - ox, dy = load8(leaf.y) - oy, d2 = dx * dx + dy * dy;
        unsigned mask = less(d2, splat8(Weighted ? infinity : 4 * polygon_.radius2()));
        if (image < 0 && place == site_.place / lanes8) mask &= ~(1u << site_.place % lanes8);
        V8 h = d2;
        if constexpr (Weighted) h += site_.psi - load8(leaf.psi);
        h *= 0.5;
        alignas(64) double dxs[8], dys[8], hs[8];
        store8(dxs, dx);
        store8(dys, dy);
        store8(hs, h);
        bool changed = false;
        for (; mask; mask &= mask - 1) {
            const int k = __builtin_ctz(mask);
            const std::int64_t other = index_t{lanes8} * place + k;
            if (dxs[k] == 0 && dys[k] == 0 && hs[k] == 0 && scene_.id[other] < scene_.id[site_.place])
                return polygon_.clear(), Status::done;
            if (!polygon_.clip({dxs[k], dys[k], hs[k]}, other)) return Status::grow;
            if (polygon_.size() == 0) return Status::done;
            changed = true;
        }
        if (changed) polygon_.measure();
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

// A first round that holds a few sites: the size of the leaf's box, or of the smallest box around it with a size.
double first_radius(const Scene& scene, index_t place) {
    index_t child = place / laguerre::lanes;
    for (int level = 0; level < scene.levels; ++level, child /= laguerre::lanes) {
        const Node& n = scene.node[scene.level[level] + child / laguerre::lanes];
        const int k = static_cast<int>(child % laguerre::lanes);
        const double size = n.high_x[k] - n.low_x[k] + (n.high_y[k] - n.low_y[k]);
        if (size > 0) return 0.25 * size;
    }
    return 0;
}

Status cell(const Scene& scene, index_t i, bool integrate, const Scratch& scratch, const Stop& stop, int worker,
            Cell& cell) {
    const Leaf& leaf = scene.leaf[i / laguerre::lanes];
    const int k = static_cast<int>(i % laguerre::lanes);
    const Site site{leaf.x[k], leaf.y[k], leaf.psi[k], i};
    ClippedPolygon polygon(scratch);
    if (scene.periodic) {
        const double hx = 0.5 * (scene.upper[0] - scene.lower[0]), hy = 0.5 * (scene.upper[1] - scene.lower[1]);
        polygon.start(-hx, -hy, hx, hy, i);
    } else {
        polygon.start(scene.lower[0] - site.x, scene.lower[1] - site.y, scene.upper[0] - site.x,
                      scene.upper[1] - site.y, -1);
    }
    const double radius = first_radius(scene, i);
    const Status status = scene.weighted ? Search<true>(scene, site, polygon, stop, worker).run(radius)
                                         : Search<false>(scene, site, polygon, stop, worker).run(radius);
    if (status != Status::done) return status;
    cell.moments = {};
    cell.size = polygon.size();
    if (cell.size == 0) return status;
    const Polygon<std::int64_t>& p = polygon.stored();
    const Moments area = moments(p.x, p.y, p.size);
    if (!(area.mass > 0)) {
        cell.size = 0;
        return status;
    }
    if (!integrate) return status;
    if (scene.pixels.density) {
        const PixelScratch rings{scratch.pixels, scratch.capacity + PixelScratch::slack};
        cell.moments = PixelIntegral(scene.pixels, site.x, site.y, rings).over(p.x, p.y, p.size);
    } else {
        cell.moments.add(area, scene.pixels.uniform);
    }
    return status;
}

}  // namespace

extern const laguerre::Kernels laguerre_kernels = {cell};

}  // namespace deblai::DEBLAI_LEVEL
