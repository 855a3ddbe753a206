// A convex polygon that lives in registers while it has at most eight vertices, in memory beyond.
#pragma once

#include "deblai/geometry.hpp"
#include "laguerre-kernels.hpp"
#include "lanes-inl.hpp"

namespace deblai::DEBLAI_LEVEL {
namespace {

enum class Cut { none, some, all, full };

// At most eight vertices. Lanes past the end repeat vertex 0, so they never decide anything.
struct Octagon {
    V8 x, y;
    I8 label;
    int size;

    DEBLAI_HD double radius2() const { return top(x * x + y * y); }

    // Cuts off the side beyond; `full`, and nothing done, where nine vertices would be left, or where rounding makes
    // the side beyond look like two. `extent`: of coordinates in which vertices have been rounded.
    DEBLAI_HD Cut clip(const Bisector& b, std::int64_t site, double extent) {
        const V8 s = x * b.dx + y * b.dy - b.h, zero = {};
        if (less(zero, s) == 0) return Cut::none;
        const double tolerance = b.tolerance(extent);
        const unsigned whole = (1u << size) - 1, beyond = less(splat8(tolerance), s) & whole;
        if (beyond == 0) return Cut::none;
        if (beyond == whole) return Cut::all;
        const unsigned starts = beyond & ~(beyond << 1 | beyond >> (size - 1));
        const int count = __builtin_popcount(beyond), kept = size - count;
        if (starts & (starts - 1) || kept > 6) return Cut::full;
        alignas(64) double sv[8], xv[8], yv[8];
        alignas(64) std::int64_t lv[8];
        store8(sv, s);
        store8(xv, x);
        store8(yv, y);
        store8(lv, label);
        const int a = __builtin_ctz(starts), before = a > 0 ? a - 1 : size - 1;
        const int after = a + count < size ? a + count : a + count - size, last = after > 0 ? after - 1 : size - 1;
        const bool on_before = sv[before] >= -tolerance, on_after = sv[after] >= -tolerance;
        const Point in = crossing(xv[before], yv[before], sv[before], xv[a], yv[a], sv[a]);
        const Point out = crossing(xv[after], yv[after], sv[after], xv[last], yv[last], sv[last]);
        // after .. before, then the new edge
        const std::int64_t at = kept - on_before, end = at + 2 - on_after;
        if (end < 3) return Cut::all;
        const std::int64_t second = on_after ? -1 : at + 1;
        const V8 pad_x = splat8(xv[after]), pad_y = splat8(yv[after]);
        x = until(kept, rotate(x, after, size), pad_x);
        y = until(kept, rotate(y, after, size), pad_y);
        label = rotate(label, after, size);
        x = with(second, with(at, x, splat8(on_before ? xv[before] : in.x)), splat8(out.x));
        y = with(second, with(at, y, splat8(on_before ? yv[before] : in.y)), splat8(out.y));
        label = with(second, with(at, label, splat8(site)), splat8(lv[last]));
        size = static_cast<int>(end);
        return Cut::some;
    }
};

class ClippedPolygon {
public:
    explicit ClippedPolygon(const laguerre::Scratch& scratch)
        : memory_{scratch.x, scratch.y, scratch.label, 0, scratch.capacity}, s_(scratch.s) {}

    void start(double low_x, double low_y, double high_x, double high_y, std::int64_t label) {
        small_.x = V8{low_x, high_x, high_x, low_x, low_x, low_x, low_x, low_x};
        small_.y = V8{low_y, low_y, high_y, high_y, low_y, low_y, low_y, low_y};
        small_.label = splat8(label);
        small_.size = 4;
        size_ = 4;
        measure();
        extent_ = radius_;
    }

    // Corners of a polygon, counter-clockwise, for which the scratch has room.
    void start(const double* x, const double* y, int size, double site_x, double site_y, std::int64_t label) {
        for (int k = 0; k < size || k % 8 != 0; ++k) {
            const int l = k < size ? k : 0;
            memory_.x[k] = x[l] - site_x;
            memory_.y[k] = y[l] - site_y;
            memory_.label[k] = label;
        }
        memory_.size = size_ = size;
        small_ = {load8(memory_.x), load8(memory_.y), load8(memory_.label), size < 8 ? size : 8};
        measure();
        extent_ = radius_;
    }

    DEBLAI_HD int size() const { return size_; }
    DEBLAI_HD void clear() { size_ = 0; }
    // Largest distance of a vertex from the site, and its square.
    DEBLAI_HD double radius() const { return radius_; }
    DEBLAI_HD double radius2() const { return radius2_; }
    DEBLAI_HD double extent() const { return extent_; }

    // A copy to work with where no address is taken; only while there are at most eight vertices.
    DEBLAI_HD const Octagon& small() const { return small_; }
    DEBLAI_HD void adopt(const Octagon& polygon) {
        small_ = polygon;
        size_ = polygon.size;
        measure();
    }

    // Is a vertex v as near in power to somewhere in the box (given relative to the site) as to the site? For
    // psi <= psi_i + gain + slope . D in the box that is, with w = v + slope / 2,
    //   |w - box|^2 <= |w|^2 + gain; equal where the box is a site at the same place
    DEBLAI_HD bool reached_by(double low_x, double high_x, double low_y, double high_y, double gain, double slope_x,
                              double slope_y) const {
        const auto reached = [&](V8 x, V8 y) __attribute__((always_inline)) {
            const V8 zero = {};
            x = x + 0.5 * slope_x;
            y = y + 0.5 * slope_y;
            const V8 dx = largest(largest(low_x - x, x - high_x), zero);
            const V8 dy = largest(largest(low_y - y, y - high_y), zero);
            return less(x * x + y * y + gain, dx * dx + dy * dy) != 0xFF;
        };
        if (size_ <= 8) return reached(small_.x, small_.y);
        for (int k = 0; k < size_; k += 8)
            if (reached(load8(memory_.x + k), load8(memory_.y + k))) return true;
        return false;
    }

    // Cuts off the side beyond; `full` where the scratch is too small. The circle is measured again.
    Cut clip(const Bisector& b, std::int64_t label) {
        if (size_ <= 8) {
            const Cut done = small_.clip(b, label, extent_);
            if (done == Cut::none) return done;
            if (done != Cut::full) {
                size_ = done == Cut::all ? 0 : small_.size;
                measure();
                return done;
            }
            spill();
        }
        return clip_memory(b, label);
    }

    // The vertices in the memory of the scratch.
    const Polygon<std::int64_t>& stored() {
        if (size_ <= 8) spill();
        return memory_;
    }

private:
    DEBLAI_HD void measure() {
        V8 m = {};
        if (size_ <= 8) {
            m = small_.x * small_.x + small_.y * small_.y;
        } else {
            for (int k = 0; k < size_; k += 8) {
                const V8 x = load8(memory_.x + k), y = load8(memory_.y + k);
                m = largest(m, x * x + y * y);
            }
        }
        radius2_ = top(m);
        radius_ = __builtin_sqrt(radius2_);
    }

    __attribute__((noinline)) Cut clip_memory(const Bisector& b, std::int64_t label) {
        unsigned any = 0;
        const V8 zero = {};
        for (int k = 0; k < size_; k += 8) {
            const V8 s = load8(memory_.x + k) * b.dx + load8(memory_.y + k) * b.dy - b.h;
            store8(s_ + k, s);
            any |= less(zero, s);
        }
        if (!any) return Cut::none;
        memory_.size = size_;
        if (!cut(memory_, s_, b.tolerance(extent_), label)) return Cut::full;
        size_ = memory_.size;
        if (size_ == 0) return Cut::all;
        for (int k = size_; k % 8 != 0; ++k) memory_.move(k, 0);
        if (size_ <= 8) small_ = {load8(memory_.x), load8(memory_.y), load8(memory_.label), size_};
        measure();
        return Cut::some;
    }

    void spill() {
        store8(memory_.x, small_.x);
        store8(memory_.y, small_.y);
        store8(memory_.label, small_.label);
        memory_.size = size_;
    }

    Octagon small_;
    int size_;
    double radius_, radius2_;
    double extent_;  // of the first polygon, in which later vertices are rounded
    Polygon<std::int64_t> memory_;
    double* s_;
};

}  // namespace
}  // namespace deblai::DEBLAI_LEVEL
