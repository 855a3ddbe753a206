// The sites near a leaf, gathered once for its eight cells, and clipping by them in order of distance.
#pragma once

#include "polygon-inl.hpp"

namespace deblai::DEBLAI_LEVEL {
namespace {

using laguerre::Leaf;
using laguerre::Near;
using laguerre::Node;
using laguerre::Scene;
using laguerre::Status;

constexpr double infinity = __builtin_inf();

struct Site {
    double x, y, psi;
    index_t place;
};

// Gathers the sites within a distance of a leaf's box into `near`: about the security radius of an even density. Halves
// the distance until they fit; keeps none where they never do.
class Gather {
public:
    Gather(const Scene& scene, Near& near) : scene_(scene), near_(near) {}

    void around(index_t leaf) {
        const Node& parent = scene_.node[leaf / lanes8];
        const int k = static_cast<int>(leaf % lanes8);
        box_[0] = parent.low_x[k], box_[1] = parent.high_x[k], box_[2] = parent.low_y[k], box_[3] = parent.high_y[k];
        near_.leaf = leaf;
        double radius = 0.6 * (box_[1] - box_[0] + (box_[3] - box_[2]));
        for (int attempt = 0; attempt < 3; ++attempt, radius *= 0.5) {
            near_.radius2 = radius > 0 ? radius * radius : 0;
            if (collect()) break;
            near_.radius2 = 0;
            near_.size = 0;
        }
        for (int l = near_.size; l % lanes8 != 0; ++l) put(l, infinity, infinity, 0, -1);
    }

private:
    DEBLAI_HD void put(int at, double x, double y, double psi, std::int64_t place) {
        near_.x[at] = x;
        near_.y[at] = y;
        near_.psi[at] = psi;
        near_.place[at] = place;
    }

    bool collect() {
        near_.size = 0;
        near_.psi_max = -infinity;
        if (!add(0, 0)) return false;
        if (scene_.periodic)
            for (unsigned mask = close(scene_.images, 0, 0); mask; mask &= mask - 1) {
                const int k = __builtin_ctz(mask);
                if (!add(scene_.shift[k][0], scene_.shift[k][1])) return false;
            }
        return true;
    }

    bool add(double sx, double sy) {
        std::int32_t depth = 0, stack[laguerre::max_levels * 7 + 8][2];
        stack[depth][0] = 0;
        stack[depth++][1] = scene_.levels - 1;
        while (depth > 0) {
            const std::int32_t node = stack[--depth][0], level = stack[depth][1];
            for (unsigned mask = close(scene_.node[scene_.level[level] + node], sx, sy); mask; mask &= mask - 1) {
                const std::int32_t child = lanes8 * node + __builtin_ctz(mask);
                if (level > 0) {
                    stack[depth][0] = child;
                    stack[depth++][1] = level - 1;
                } else if (!add_leaf(child, sx, sy)) {
                    return false;
                }
            }
        }
        return true;
    }

    bool add_leaf(std::int32_t child, double sx, double sy) {
        const Leaf& l = scene_.leaf[child];
        const V8 x = load8(l.x) + sx, y = load8(l.y) + sy;
        for (unsigned mask = near(x, x, y, y); mask; mask &= mask - 1) {
            const int k = __builtin_ctz(mask);
            if (near_.size == Near::capacity) return false;
            put(near_.size++, l.x[k] + sx, l.y[k] + sy, l.psi[k], index_t{lanes8} * child + k);
            near_.psi_max = l.psi[k] > near_.psi_max ? l.psi[k] : near_.psi_max;
        }
        return true;
    }

    DEBLAI_HD unsigned close(const Node& n, double sx, double sy) const {
        return near(load8(n.low_x) + sx, load8(n.high_x) + sx, load8(n.low_y) + sy, load8(n.high_y) + sy);
    }

    DEBLAI_HD unsigned near(V8 low_x, V8 high_x, V8 low_y, V8 high_y) const {
        const V8 zero = {};
        const V8 dx = largest(largest(low_x - box_[1], box_[0] - high_x), zero);
        const V8 dy = largest(largest(low_y - box_[3], box_[2] - high_y), zero);
        return less(dx * dx + dy * dy, splat8(near_.radius2));
    }

    static constexpr int lanes8 = laguerre::lanes;

    const Scene& scene_;
    Near& near_;
    double box_[4];
};

// The gathered sites as one cell sees them, those within the gathered distance in order of their distance.
template <bool Weighted>
class Ordered {
public:
    Ordered(const Site& site, const Near& near, double most2) {
        const double within2 = near.radius2 < most2 ? near.radius2 : most2;
        alignas(64) std::int64_t index[Near::capacity + 8], key[Near::capacity + 8];
        for (int b = 0; b < near.size; b += 8) {
            const V8 dx = load8(near.x + b) - site.x, dy = load8(near.y + b) - site.y, d2 = dx * dx + dy * dy;
            V8 h = d2;
            if constexpr (Weighted) h = h + (site.psi - load8(near.psi + b));
            store8(dx_ + b, dx);
            store8(dy_ + b, dy);
            store8(h_ + b, h * 0.5);
            store8(d2_ + b, d2);
            count_ += bits_of(less(d2, splat8(within2)), b, index + count_);
        }
        // Distances as integers whose last bits tell sites apart; their ranks, without a branch.
        const int padded = (count_ + 7) / 8 * 8;
        for (int t = 0; t < padded; ++t)
            key[t] = t < count_ ? (__builtin_bit_cast(std::int64_t, d2_[index[t]]) & -std::int64_t{Near::capacity}) | t
                                : INT64_MAX;
        for (int t = 0; t < count_; ++t) {
            int rank = 0;
            for (int b = 0; b < padded; b += 8) rank += __builtin_popcount(less(load8(key + b), splat8(key[t])));
            order_[rank] = static_cast<std::int32_t>(index[t]);
        }
    }

    DEBLAI_HD int count() const { return count_; }
    DEBLAI_HD int at(int t) const { return order_[t]; }
    DEBLAI_HD double distance2(int k) const { return d2_[k]; }
    DEBLAI_HD bool same_place(int k) const { return dx_[k] == 0 && dy_[k] == 0; }
    DEBLAI_HD Bisector bisector(int k) const { return {dx_[k], dy_[k], h_[k]}; }

private:
    alignas(64) double dx_[Near::capacity], dy_[Near::capacity], h_[Near::capacity], d2_[Near::capacity];
    std::int32_t order_[Near::capacity];
    int count_ = 0;
};

// The square of a distance from which on no site, with at most this psi, reaches the circle around a polygon.
template <bool Weighted>
DEBLAI_HD double reach2(double radius2, double psi, double own) {
    if (!Weighted || psi <= own) return 4 * radius2;
    const double r = __builtin_sqrt(radius2) + __builtin_sqrt(radius2 + (psi - own));
    return r * r;
}

// Clips by the gathered sites, near ones first, until the circle around the polygon is nearer. `complete` says that
// nothing else can cut.
template <bool Weighted>
Status clip_near(const Scene& scene, const Site& site, const Near& near, ClippedPolygon& polygon, bool& complete) {
    double enough = reach2<Weighted>(polygon.radius2(), near.psi_max, site.psi);
    const Ordered<Weighted> sites(site, near, enough);
    int t = 0;
    Octagon small = polygon.small();
    const bool large = polygon.size() > 8;
    Cut done = large ? Cut::full : Cut::none;
    const auto repeats = [&](int k) __attribute__((always_inline)) {
        return sites.same_place(k) && near.place[k] != site.place && sites.bisector(k).h == 0 &&
               scene.id[near.place[k]] < scene.id[site.place];
    };
    for (; !large && t < sites.count(); ++t) {
        const int k = sites.at(t);
        if (sites.distance2(k) >= enough) break;
        if (near.place[k] == site.place && sites.same_place(k)) continue;
        if (repeats(k)) return polygon.clear(), Status::done;
        done = small.clip(sites.bisector(k), near.place[k], polygon.extent());
        if (done == Cut::none) continue;
        if (done != Cut::some) break;
        enough = reach2<Weighted>(small.radius2(), near.psi_max, site.psi);
    }
    if (done == Cut::all) return polygon.clear(), Status::done;
    if (!large) polygon.adopt(small);
    if (done == Cut::full)
        for (; t < sites.count(); ++t) {
            const int k = sites.at(t);
            if (sites.distance2(k) >= reach2<Weighted>(polygon.radius2(), near.psi_max, site.psi)) break;
            if (repeats(k)) return polygon.clear(), Status::done;
            done = polygon.clip(sites.bisector(k), near.place[k]);
            if (done == Cut::full) return Status::grow;
            if (done == Cut::all) return Status::done;
        }
    complete = reach2<Weighted>(polygon.radius2(), scene.psi_max, site.psi) <= near.radius2;
    return Status::done;
}

}  // namespace
}  // namespace deblai::DEBLAI_LEVEL
