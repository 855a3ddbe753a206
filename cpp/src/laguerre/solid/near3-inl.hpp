// The sites near a leaf, gathered once for its eight cells, and clipping by them roughly in order of distance.
#pragma once

#include "polyhedron-inl.hpp"

namespace deblai::DEBLAI_LEVEL {
namespace {

using laguerre3::Leaf;
using laguerre3::Near;
using laguerre3::Node;
using laguerre3::Scene;
using laguerre3::Status;

constexpr double infinity = __builtin_inf();
constexpr int lanes8 = laguerre3::lanes;

struct Site {
    double at[3], psi;
    index_t place;
};

// Gathers the sites within a distance of a leaf's box into `near`: about the security radius of an even density. Takes
// a shorter distance until they fit; keeps none where they never do.
class Gather {
public:
    Gather(const Scene& scene, Near& near) : scene_(scene), near_(near) {}

    void around(index_t leaf) {
        const Node& parent = scene_.node[leaf / lanes8];
        const int c = static_cast<int>(leaf % lanes8);
        double radius = 0;
        for (int k = 0; k < 3; ++k) {
            low_[k] = parent.low[k][c], high_[k] = parent.high[k][c];
            radius += 0.6 * (high_[k] - low_[k]);
        }
        near_.leaf = leaf;
        for (int attempt = 0; attempt < 3; ++attempt, radius *= 0.6) {
            near_.radius2 = radius > 0 ? radius * radius : 0;
            if (collect()) break;
            near_.radius2 = 0;
            near_.size = 0;
        }
        for (int l = near_.size; l % lanes8 != 0; ++l) {
            for (int k = 0; k < 3; ++k) near_.at[k][l] = infinity;
            near_.psi[l] = 0;
            near_.place[l] = -1;
        }
    }

private:
    bool collect() {
        near_.size = 0;
        near_.psi_max = -infinity;
        if (!add(laguerre3::middle)) return false;
        if (scene_.periodic)
            for (int g = 0; g < laguerre3::image_groups; ++g)
                for (unsigned mask = close(scene_.image[g], scene_.shift[laguerre3::middle]); mask; mask &= mask - 1)
                    if (!add(lanes8 * g + __builtin_ctz(mask))) return false;
        return true;
    }

    bool add(int image) {
        const double (&shift)[3] = scene_.shift[image];
        std::int32_t depth = 0, stack[laguerre3::max_levels * 7 + 8][2];
        stack[depth][0] = 0;
        stack[depth++][1] = scene_.levels - 1;
        while (depth > 0) {
            const std::int32_t node = stack[--depth][0], level = stack[depth][1];
            for (unsigned mask = close(scene_.node[scene_.level[level] + node], shift); mask; mask &= mask - 1) {
                const std::int32_t child = lanes8 * node + __builtin_ctz(mask);
                if (level > 0) {
                    stack[depth][0] = child;
                    stack[depth++][1] = level - 1;
                } else if (!add_leaf(child, shift)) {
                    return false;
                }
            }
        }
        return true;
    }

    bool add_leaf(std::int32_t child, const double (&shift)[3]) {
        const Leaf& l = scene_.leaf[child];
        V8 d2 = {};
        for (int k = 0; k < 3; ++k) {
            const V8 x = load8(l.at[k]) + shift[k];
            d2 = d2 + square(outside(x, x, k));
        }
        for (unsigned mask = less(d2, splat8(near_.radius2)); mask; mask &= mask - 1) {
            const int c = __builtin_ctz(mask);
            if (near_.size == Near::capacity) return false;
            const int at = near_.size++;
            for (int k = 0; k < 3; ++k) near_.at[k][at] = l.at[k][c] + shift[k];
            near_.psi[at] = l.psi[c];
            near_.place[at] = index_t{lanes8} * child + c;
            near_.psi_max = l.psi[c] > near_.psi_max ? l.psi[c] : near_.psi_max;
        }
        return true;
    }

    DEBLAI_HD unsigned close(const Node& n, const double (&shift)[3]) const {
        V8 d2 = {};
        for (int k = 0; k < 3; ++k)
            d2 = d2 + square(outside(load8(n.low[k]) + shift[k], load8(n.high[k]) + shift[k], k));
        return less(d2, splat8(near_.radius2));
    }

    DEBLAI_HD V8 outside(V8 low, V8 high, int k) const {
        const V8 zero = {};
        return largest(largest(low - high_[k], low_[k] - high), zero);
    }
    DEBLAI_HD static V8 square(V8 v) { return v * v; }

    const Scene& scene_;
    Near& near_;
    double low_[3], high_[3];
};

// The gathered sites as one cell sees them: those within the gathered distance, in bins of the squared distance.
template <bool Weighted>
class Ordered {
public:
    Ordered(const Site& site, const Near& near, double most2) {
        const double within2 = near.radius2 < most2 ? near.radius2 : most2;
        alignas(64) std::int64_t index[Near::capacity + 8];
        for (int b = 0; b < near.size; b += 8) {
            V8 d[3], d2 = {};
            for (int k = 0; k < 3; ++k) {
                d[k] = load8(near.at[k] + b) - site.at[k];
                d2 = d2 + d[k] * d[k];
                store8(d_[k] + b, d[k]);
            }
            V8 h = d2;
            if constexpr (Weighted) h = h + (site.psi - load8(near.psi + b));
            store8(h_ + b, h * 0.5);
            store8(d2_ + b, d2);
            count_ += bits_of(less(d2, splat8(within2)), b, index + count_);
        }
        const double scale = bins / within2;
        std::int32_t end[bins + 1] = {};
        std::uint8_t bin[Near::capacity];
        for (int t = 0; t < count_; ++t) {
            const int b = static_cast<int>(d2_[index[t]] * scale);
            bin[t] = static_cast<std::uint8_t>(b < bins ? b : bins - 1);
            ++end[bin[t] + 1];
        }
        for (int b = 0; b < bins; ++b) end[b + 1] += end[b];
        for (int t = 0; t < count_; ++t) order_[end[bin[t]]++] = static_cast<std::int32_t>(index[t]);
        bin_ = within2 / bins;
    }

    DEBLAI_HD int count() const { return count_; }
    DEBLAI_HD int at(int t) const { return order_[t]; }
    DEBLAI_HD double distance2(int k) const { return d2_[k]; }
    // Later sites have squared distances of at least distance2(at(t)) - bin.
    DEBLAI_HD double bin() const { return bin_; }
    DEBLAI_HD bool same_place(int k) const { return d2_[k] == 0 && d_[0][k] == 0 && d_[1][k] == 0 && d_[2][k] == 0; }
    DEBLAI_HD Plane plane(int k) const { return {d_[0][k], d_[1][k], d_[2][k], h_[k]}; }

private:
    static constexpr int bins = 64;

    alignas(64) double d_[3][Near::capacity], h_[Near::capacity], d2_[Near::capacity];
    std::int32_t order_[Near::capacity];
    int count_ = 0;
    double bin_;
};

// The square of a distance from which on no site, with at most this psi, reaches the sphere around a cell.
template <bool Weighted>
DEBLAI_HD double reach2(double radius2, double psi, double own) {
    if (!Weighted || psi <= own) return 4 * radius2;
    const double r = __builtin_sqrt(radius2) + __builtin_sqrt(radius2 + (psi - own));
    return r * r;
}

// Clips by the gathered sites, near ones first, until the sphere around the cell is nearer. `complete` says that
// nothing else can cut.
template <bool Weighted>
Status clip_near(const Scene& scene, const Site& site, const Near& near, Polyhedron& cell, bool& complete) {
    double enough = reach2<Weighted>(cell.radius2(), near.psi_max, site.psi);
    const Ordered<Weighted> sites(site, near, enough);
    for (int t = 0; t < sites.count(); ++t) {
        const int k = sites.at(t);
        if (sites.distance2(k) >= enough) {
            if (sites.distance2(k) - 2 * sites.bin() >= enough) break;
            continue;
        }
        const Plane plane = sites.plane(k);
        if (sites.same_place(k)) {
            if (near.place[k] == site.place) continue;
            if (plane.h == 0 && scene.id[near.place[k]] < scene.id[site.place]) return cell.clear(), Status::done;
        }
        const Cut done = cell.clip(plane, near.place[k]);
        if (done == Cut::none) continue;
        if (done == Cut::full) return Status::grow;
        if (done == Cut::all) return Status::done;
        enough = reach2<Weighted>(cell.radius2(), near.psi_max, site.psi);
    }
    complete = reach2<Weighted>(cell.radius2(), scene.psi_max, site.psi) <= near.radius2;
    return Status::done;
}

}  // namespace
}  // namespace deblai::DEBLAI_LEVEL
