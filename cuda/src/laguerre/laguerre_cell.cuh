// One cell by one thread: the search of cpp/src/search-inl.hpp, a number at a time.
#pragma once

#include <cuda_runtime.h>

#include "deblai/laguerre_scene.hpp"

namespace deblai::cuda::laguerre {

using deblai::laguerre::Leaf;
using deblai::laguerre::Node;
using deblai::laguerre::Scene;

// Where a thread keeps its polygon, and rings for integrals.
struct Room {
    double *x, *y, *s, *rings;
    std::int32_t* label;
    int capacity;

    __device__ Room(double* numbers, std::int32_t* labels, int capacity)
        : x(numbers),
          y(numbers + capacity),
          s(numbers + 2 * capacity),
          rings(numbers + 3 * capacity),
          label(labels),
          capacity(capacity) {}

    __device__ PixelScratch scratch() const { return {rings, capacity + PixelScratch::slack}; }
    static DEBLAI_HD constexpr std::size_t doubles(int capacity, int rings) {
        return 3 * capacity + 2 * rings * (capacity + PixelScratch::slack);
    }
};

enum class State : unsigned char { done, grow, missing };

class Cell {
public:
    __device__ Cell(const Scene& scene, index_t place, const Room& room)
        : scene_(scene), place_(place), p_{room.x, room.y, room.label, 0, room.capacity}, s_(room.s) {
        const Leaf& leaf = scene.leaf[place / lanes];
        x_ = leaf.x[place % lanes];
        y_ = leaf.y[place % lanes];
        psi_ = leaf.psi[place % lanes];
    }

    __device__ double x() const { return x_; }
    __device__ double y() const { return y_; }
    __device__ const Polygon<std::int32_t>& polygon() const { return p_; }

    // False where the room is too small.
    __device__ bool clip() {
        if (!start()) return false;
        if (hidden_by(scene_, place_, place_ - 1) || hidden_by(scene_, place_, place_ + 1)) return p_.size = 0, true;
        outer2_ = first_round2(scene_, place_);
        while (round() && p_.size > 0) {
            if (!(nearest_ < HUGE_VAL)) return finish();
            inner2_ = outer2_;
            outer2_ = 64 * fmax(outer2_, nearest_);
        }
        return p_.size == 0 && finish();
    }

private:
    static constexpr int lanes = deblai::laguerre::lanes;

    __device__ bool start() {
        if (scene_.corners > p_.capacity) return false;
        p_.size = scene_.corners > 0 ? scene_.corners : 4;
        const double* const low = scene_.lower;
        const double* const high = scene_.upper;
        const double hx = 0.5 * (high[0] - low[0]), hy = 0.5 * (high[1] - low[1]);
        const bool torus = scene_.periodic;
        for (int k = 0; k < p_.size; ++k) {
            const bool right = k == 1 || k == 2, upper = k >= 2;
            const double x = right ? high[0] : low[0], y = upper ? high[1] : low[1];
            p_.x[k] = torus ? (right ? hx : -hx) : (scene_.corners > 0 ? scene_.corner_x[k] : x) - x_;
            p_.y[k] = torus ? (upper ? hy : -hy) : (scene_.corners > 0 ? scene_.corner_y[k] : y) - y_;
            p_.label[k] = torus ? static_cast<std::int32_t>(place_) : -1;
        }
        measure();
        extent_ = sqrt(radius2_);
        inner2_ = -1;
        return true;
    }

    __device__ bool finish() {
        if (!(moments(p_.x, p_.y, p_.size).mass > 0)) p_.size = 0;
        return true;
    }

    __device__ void measure() {
        radius2_ = 0;
        for (int k = 0; k < p_.size; ++k) radius2_ = fmax(radius2_, p_.x[k] * p_.x[k] + p_.y[k] * p_.y[k]);
    }

    // Visits what is between inner2_ and outer2_; nearest_ is the nearest of what could still cut beyond.
    __device__ bool round() {
        nearest_ = HUGE_VAL;
        depth_ = 0;
        push(0, scene_.levels - 1, -1);
        if (scene_.periodic)
            for (int k = 0; k < lanes; ++k)
                if (near(scene_.images, k, x_, y_) >= 0) push(0, scene_.levels - 1, k);
        while (depth_ > 0) {
            const Visit v = stack_[--depth_];
            const double ox = v.image < 0 ? x_ : x_ - scene_.shift[v.image][0];
            const double oy = v.image < 0 ? y_ : y_ - scene_.shift[v.image][1];
            const Node& n = scene_.node[scene_.level[v.level] + v.node];
            for (int k = 0; k < lanes; ++k) {
                const double d2 = near(n, k, ox, oy);
                if (d2 < 0) continue;
                if (v.level > 0)
                    push(lanes * v.node + k, v.level - 1, v.image);
                else if (d2 >= inner2_ && !visit(lanes * v.node + k, ox, oy, v.image))
                    return false;
                if (p_.size == 0) return true;
            }
        }
        return true;
    }

    // Squared distance of a child that this round visits; negative for others.
    __device__ double near(const Node& n, int k, double ox, double oy) {
        const double dx = fmax(fmax(n.low_x[k] - ox, ox - n.high_x[k]), 0.0);
        const double dy = fmax(fmax(n.low_y[k] - oy, oy - n.high_y[k]), 0.0), d2 = dx * dx + dy * dy;
        if (!(d2 < HUGE_VAL) || (!scene_.weighted && d2 >= 4 * radius2_)) return -1;
        if (d2 >= outer2_ && d2 >= nearest_) return -1;
        double gain = 0, sx = 0, sy = 0;
        if (scene_.weighted) {
            sx = n.slope_x[k];
            sy = n.slope_y[k];
            const double here = sx * (ox - n.centre_x(k)) + sy * (oy - n.centre_y(k));
            gain = n.rest[k] - psi_ + here;
            gain += 1e-14 * (fabs(n.rest[k]) + fabs(psi_) + fabs(here) + sx * sx + sy * sy);
        }
        bool reached = false;
        for (int v = 0; v < p_.size && !reached; ++v) {
            const double x = p_.x[v] + 0.5 * sx, y = p_.y[v] + 0.5 * sy;
            const double bx = fmax(fmax(n.low_x[k] - ox - x, x - (n.high_x[k] - ox)), 0.0);
            const double by = fmax(fmax(n.low_y[k] - oy - y, y - (n.high_y[k] - oy)), 0.0);
            reached = bx * bx + by * by <= x * x + y * y + gain;
        }
        if (!reached) return -1;
        if (d2 < outer2_) return d2;
        nearest_ = d2;
        return -1;
    }

    __device__ bool visit(std::int32_t child, double ox, double oy, int image) {
        const Leaf& leaf = scene_.leaf[child];
        for (int k = 0; k < lanes; ++k) {
            const index_t other = index_t{lanes} * child + k;
            if (other >= scene_.size || (other == place_ && image < 0)) continue;
            const Bisector b = Bisector::of(leaf.x[k] - ox, leaf.y[k] - oy, psi_, scene_.weighted ? leaf.psi[k] : psi_);
            if (b.dx == 0 && b.dy == 0 && b.h == 0 && scene_.id[other] < scene_.id[place_]) return p_.size = 0, true;
            bool any = false;
            for (int v = 0; v < p_.size; ++v) {
                s_[v] = p_.x[v] * b.dx + p_.y[v] * b.dy - b.h;
                any |= s_[v] > 0;
            }
            if (!any) continue;
            if (!cut(p_, s_, b.tolerance(extent_), static_cast<std::int32_t>(other))) return false;
            if (p_.size == 0) return true;
            measure();
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
    double x_, y_, psi_;
    Polygon<std::int32_t> p_;
    double* s_;
    double radius2_, extent_, inner2_, outer2_, nearest_;
    int depth_;
    Visit stack_[deblai::laguerre::max_levels * 7 + 16];
};

}  // namespace deblai::cuda::laguerre
