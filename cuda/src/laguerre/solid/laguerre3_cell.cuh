// One cell of space by one thread: the search of cpp/src/laguerre/solid/search3-inl.hpp, a number at a time, after a
// first cut by the neighbours along the curve.
#pragma once

#include "laguerre3_polyhedron.cuh"

namespace deblai::cuda::laguerre3 {

using deblai::laguerre3::Leaf;
using deblai::laguerre3::Node;
using deblai::laguerre3::Scene;
using deblai::laguerre3::Side;

constexpr int lanes = deblai::laguerre3::lanes;

class Cell {
public:
    __device__ Cell(const Scene& scene, index_t place, const Room& room) : scene_(scene), place_(place), p_(room) {
        const Leaf& leaf = scene.leaf[place / lanes];
        for (int k = 0; k < 3; ++k) at_[k] = leaf.at[k][place % lanes];
        psi_ = leaf.psi[place % lanes];
    }

    __device__ index_t place() const { return place_; }
    __device__ Point3 at() const { return {at_[0], at_[1], at_[2]}; }
    __device__ const Polyhedron& polyhedron() const { return p_; }

    // False where the room is too small.
    __device__ bool clip() {
        if (hidden_by(scene_, place_, place_ - 1) || hidden_by(scene_, place_, place_ + 1)) return p_.clear(), true;
        start();
        const double zero[3] = {};
        const index_t own = place_ / lanes, last = (scene_.size - 1) / lanes;
        for (int step = 0; step < 3; ++step) {
            const index_t leaf = step == 0 ? own : step == 1 ? own - 1 : own + 1;
            if (leaf >= 0 && leaf <= last && !visit(static_cast<std::int32_t>(leaf), at_, zero)) return false;
        }
        if (!confine()) return false;
        inner2_ = -1;
        outer2_ = first_round2(scene_, place_);
        while (p_.size() > 0) {
            if (!round()) return false;
            if (!(nearest_ < HUGE_VAL)) break;
            inner2_ = outer2_;
            outer2_ = 16 * fmax(outer2_, nearest_);
        }
        return true;
    }

    // Tetrahedra 0, r, v, u over the edges v -> u of each facet, r a vertex of the facet, from vertex 0. `touching`
    // says whether an edge has no length.
    __device__ Moments3 moments(bool& touching) const {
        const Room& m = p_.room();
        Moments3 sum;
        touching = false;
        if (p_.size() == 0) return sum;
        for (int v = 0; v < p_.size(); ++v)
            for (const std::int16_t p : m.corner[v].plane) m.seen[p] = static_cast<std::int16_t>(v);
        const double c[3] = {m.x[0], m.y[0], m.z[0]};
        for (int v = 0; v < p_.size(); ++v)
            for (int k = 0; k < 3; ++k) {
                const int u = m.corner[v].next[k == 2 ? 0 : k + 1], r = m.seen[m.corner[v].plane[k]];
                const double a[3] = {m.x[r] - c[0], m.y[r] - c[1], m.z[r] - c[2]};
                const double b[3] = {m.x[v] - c[0], m.y[v] - c[1], m.z[v] - c[2]};
                const double d[3] = {m.x[u] - c[0], m.y[u] - c[1], m.z[u] - c[2]};
                touching |= b[0] == d[0] && b[1] == d[1] && b[2] == d[2];
                const double det = a[0] * (b[1] * d[2] - b[2] * d[1]) + a[1] * (b[2] * d[0] - b[0] * d[2]) +
                                   a[2] * (b[0] * d[1] - b[1] * d[0]);
                double square = 0;
                for (int l = 0; l < 3; ++l) {
                    const double s = a[l] + b[l] + d[l];
                    sum.first[l] += det * s;
                    square += a[l] * a[l] + b[l] * b[l] + d[l] * d[l] + s * s;
                }
                sum.mass += det;
                sum.second += det * square;
            }
        sum.mass /= 6;
        sum.second /= 120;
        for (int l = 0; l < 3; ++l) {
            sum.first[l] /= 24;
            sum.second += 2 * sum.first[l] * c[l] + sum.mass * c[l] * c[l];
            sum.first[l] += sum.mass * c[l];
        }
        return sum;
    }

private:
    __device__ void start() {
        double low[3], high[3], extent2 = 0;
        for (int k = 0; k < 3; ++k) {
            const double half = 0.5 * (scene_.upper[k] - scene_.lower[k]);
            low[k] = scene_.periodic ? -half : scene_.lower[k] - at_[k];
            high[k] = scene_.periodic ? half : scene_.upper[k] - at_[k];
            const double far = fmax(-low[k], high[k]);
            extent2 += far * far;
        }
        p_.start(low, high, scene_.periodic ? static_cast<std::int32_t>(place_) : -1, sqrt(extent2));
    }

    // Cuts off what is beyond the sides of the domain.
    __device__ bool confine() {
        for (int k = 0; k < scene_.sides && p_.size() > 0; ++k) {
            const Side& side = scene_.side[k];
            const double (&n)[3] = side.normal;
            const double h = side.offset - (n[0] * at_[0] + n[1] * at_[1] + n[2] * at_[2]);
            if (p_.clip({n[0], n[1], n[2], h}, -1) == Cut::full) return false;
        }
        return true;
    }

    // Visits what is between inner2_ and outer2_; nearest_ is the nearest of what could still cut beyond.
    __device__ bool round() {
        nearest_ = HUGE_VAL;
        depth_ = 0;
        if (scene_.periodic)
            for (int image = 0; image < deblai::laguerre3::images; ++image)
                if (near(scene_.image[image / lanes], image % lanes, at_) >= 0) push(0, scene_.levels - 1, image);
        push(0, scene_.levels - 1, deblai::laguerre3::middle);
        while (depth_ > 0) {
            const Visit v = stack_[--depth_];
            const double (&shift)[3] = scene_.shift[v.image];
            const double o[3] = {at_[0] - shift[0], at_[1] - shift[1], at_[2] - shift[2]};
            const Node& n = scene_.node[scene_.level[v.level] + v.node];
            for (int c = 0; c < lanes; ++c) {
                const double d2 = near(n, c, o);
                if (d2 < 0) continue;
                if (v.level > 0)
                    push(lanes * v.node + c, v.level - 1, v.image);
                else if (d2 >= inner2_ && !visit(lanes * v.node + c, o, shift))
                    return false;
                if (p_.size() == 0) return true;
            }
        }
        return true;
    }

    // Squared distance of a child that this round visits; negative for others.
    __device__ double near(const Node& n, int c, const double (&o)[3]) {
        double low[3], high[3], d2 = 0;
        for (int k = 0; k < 3; ++k) {
            low[k] = n.low[k][c] - o[k], high[k] = n.high[k][c] - o[k];
            const double d = fmax(fmax(low[k], -high[k]), 0.0);
            d2 += d * d;
        }
        if (!(d2 < HUGE_VAL) || (!scene_.weighted && d2 >= 4 * p_.radius2())) return -1;
        if (d2 >= outer2_ && d2 >= nearest_) return -1;
        double gain = 0, slope[3] = {};
        if (scene_.weighted) {
            double here = 0, steep = 0;
            for (int k = 0; k < 3; ++k) {
                slope[k] = n.slope[k][c];
                here += slope[k] * (o[k] - n.centre(k, c));
                steep += slope[k] * slope[k];
            }
            gain = n.rest[c] - psi_ + here;
            gain += 1e-14 * (fabs(n.rest[c]) + fabs(psi_) + fabs(here) + steep);
        }
        if (!p_.reached_by(low, high, gain, slope)) return -1;
        if (d2 < outer2_) return d2;
        nearest_ = d2;
        return -1;
    }

    // Cuts by the sites of a leaf, seen from `o`.
    __device__ bool visit(std::int32_t child, const double (&o)[3], const double (&shift)[3]) {
        const Leaf& leaf = scene_.leaf[child];
        const bool here = shift[0] == 0 && shift[1] == 0 && shift[2] == 0;
        for (int k = 0; k < lanes && p_.size() > 0; ++k) {
            const index_t other = index_t{lanes} * child + k;
            if (other >= scene_.size || (other == place_ && here)) continue;
            Plane p{leaf.at[0][k] - o[0], leaf.at[1][k] - o[1], leaf.at[2][k] - o[2], 0};
            const double d2 = p.dx * p.dx + p.dy * p.dy + p.dz * p.dz;
            if (!scene_.weighted && d2 >= 4 * p_.radius2()) continue;
            p.h = 0.5 * (scene_.weighted ? d2 + (psi_ - leaf.psi[k]) : d2);
            if (p.dx == 0 && p.dy == 0 && p.dz == 0 && p.h == 0 && scene_.id[other] < scene_.id[place_])
                return p_.clear(), true;
            if (p_.clip(p, static_cast<std::int32_t>(other)) == Cut::full) return false;
        }
        return true;
    }

    struct Visit {
        std::int32_t node;
        std::int16_t level, image;
    };
    __device__ void push(std::int32_t node, int level, int image) {
        stack_[depth_++] = {node, static_cast<std::int16_t>(level), static_cast<std::int16_t>(image)};
    }

    const Scene& scene_;
    index_t place_;
    Polyhedron p_;
    double at_[3], psi_, inner2_, outer2_, nearest_;
    int depth_;
    Visit stack_[deblai::laguerre3::max_levels * 7 + deblai::laguerre3::images + 8];
};

}  // namespace deblai::cuda::laguerre3
