// A convex polygon that lives in registers while it has at most eight vertices, in memory beyond.
// Lanes past the end repeat vertex 0, so they never decide anything.
#pragma once

#include "deblai/geometry.hpp"
#include "laguerre-kernels.hpp"

#if defined(__x86_64__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // GCC 12's own headers
#include <immintrin.h>
#pragma GCC diagnostic pop
#endif

namespace deblai::DEBLAI_LEVEL {
namespace {

typedef double V8 __attribute__((vector_size(64)));
typedef std::int64_t I8 __attribute__((vector_size(64)));

constexpr I8 iota = {0, 1, 2, 3, 4, 5, 6, 7};

DEBLAI_HD V8 load8(const double* p) {
    V8 v;
    __builtin_memcpy(&v, p, sizeof v);
    return v;
}
DEBLAI_HD void store8(double* p, V8 v) { __builtin_memcpy(p, &v, sizeof v); }
DEBLAI_HD void store8(std::int64_t* p, I8 v) { __builtin_memcpy(p, &v, sizeof v); }
DEBLAI_HD V8 splat8(double v) { return v - V8{}; }

// Bit k: a[k] < b[k].
DEBLAI_HD unsigned less(V8 a, V8 b) {
#if defined(__AVX512F__)
    return _mm512_cmp_pd_mask((__m512d)a, (__m512d)b, _CMP_LT_OQ);
#elif defined(__AVX2__)
    struct Halves {
        __m256d low, high;
    };
    const auto p = __builtin_bit_cast(Halves, a), q = __builtin_bit_cast(Halves, b);
    return _mm256_movemask_pd(_mm256_cmp_pd(p.low, q.low, _CMP_LT_OQ)) |
           _mm256_movemask_pd(_mm256_cmp_pd(p.high, q.high, _CMP_LT_OQ)) << 4;
#elif defined(__SSE2__)
    struct Quarters {
        __m128d v[4];
    };
    const auto p = __builtin_bit_cast(Quarters, a), q = __builtin_bit_cast(Quarters, b);
    unsigned mask = 0;
    for (int k = 0; k < 4; ++k) mask |= _mm_movemask_pd(_mm_cmplt_pd(p.v[k], q.v[k])) << (2 * k);
    return mask;
#else
    unsigned mask = 0;
    for (int k = 0; k < 8; ++k) mask |= (a[k] < b[k]) << k;
    return mask;
#endif
}

DEBLAI_HD V8 largest(V8 a, V8 b) {
#if defined(__AVX512F__)
    return (V8)_mm512_max_pd((__m512d)a, (__m512d)b);
#else
    return a > b ? a : b;
#endif
}

DEBLAI_HD double top(V8 v) {
#if defined(__AVX512F__)
    return _mm512_reduce_max_pd((__m512d)v);
#else
    double m = v[0];
    for (int k = 1; k < 8; ++k) m = v[k] > m ? v[k] : m;
    return m;
#endif
}

// Lane k gets v[index[k]].
DEBLAI_HD V8 permute(V8 v, I8 index) {
#if defined(__AVX512F__)
    return (V8)_mm512_permutexvar_pd((__m512i)index, (__m512d)v);
#else
    double from[8], to[8];
    store8(from, v);
    for (int k = 0; k < 8; ++k) to[k] = from[index[k]];
    return load8(to);
#endif
}

class ClippedPolygon {
public:
    explicit ClippedPolygon(const laguerre::Scratch& scratch)
        : memory_{scratch.x, scratch.y, scratch.label, 0, scratch.capacity}, s_(scratch.s) {}

    void start(double low_x, double low_y, double high_x, double high_y, std::int64_t label) {
        x_ = V8{low_x, high_x, high_x, low_x, low_x, low_x, low_x, low_x};
        y_ = V8{low_y, low_y, high_y, high_y, low_y, low_y, low_y, low_y};
        label_ = label - I8{};
        size_ = 4;
        measure();
    }

    DEBLAI_HD int size() const { return size_; }
    DEBLAI_HD void clear() { size_ = 0; }
    // Largest distance of a vertex from the site, and its square.
    DEBLAI_HD double radius() const { return radius_; }
    DEBLAI_HD double radius2() const { return radius2_; }

    // Is a vertex v nearer in power to somewhere in the box (given relative to the site) than to the site?
    // |v - box|^2 - psi_box < |v|^2 - psi_i
    DEBLAI_HD bool reached_by(double low_x, double high_x, double low_y, double high_y, double gain) const {
        const auto reached = [&](V8 x, V8 y) __attribute__((always_inline)) {
            const V8 zero = {};
            const V8 dx = largest(largest(low_x - x, x - high_x), zero);
            const V8 dy = largest(largest(low_y - y, y - high_y), zero);
            return less(dx * dx + dy * dy, x * x + y * y + gain);
        };
        if (size_ <= 8) return reached(x_, y_);
        for (int k = 0; k < size_; k += 8)
            if (reached(load8(memory_.x + k), load8(memory_.y + k))) return true;
        return false;
    }

    // Cuts off the side beyond. False: the scratch is too small.
    DEBLAI_HD bool clip(const Bisector& b, std::int64_t label) {
        if (size_ > 8) return clip_memory(b, label);
        const V8 s = x_ * b.dx + y_ * b.dy - b.h, zero = {};
        return less(zero, s) == 0 || clip_registers(b, label, s);
    }

    // Distances of the vertices again, after cuts.
    DEBLAI_HD void measure() {
        if (size_ <= 8) {
            radius2_ = top(x_ * x_ + y_ * y_);
        } else {
            V8 m = {};
            for (int k = 0; k < size_; k += 8) {
                const V8 x = load8(memory_.x + k), y = load8(memory_.y + k);
                m = largest(m, x * x + y * y);
            }
            radius2_ = top(m);
        }
        radius_ = __builtin_sqrt(radius2_);
    }

    // The vertices in the memory of the scratch.
    const Polygon<std::int64_t>& stored() {
        if (size_ <= 8) spill();
        return memory_;
    }

private:
    DEBLAI_HD bool clip_registers(const Bisector& b, std::int64_t label, V8 s) {
        const double tolerance = b.tolerance(radius_);
        const unsigned all = (1u << size_) - 1, beyond = less(splat8(tolerance), s) & all;
        if (beyond == 0) return true;
        if (beyond == all) return size_ = 0, true;
        const unsigned starts = beyond & ~(beyond << 1 | beyond >> (size_ - 1));
        const int count = __builtin_popcount(beyond), kept = size_ - count;
        if (starts & (starts - 1) || kept + 2 > 8) {
            spill();
            return clip_memory(b, label);
        }
        alignas(64) double sv[8], xv[8], yv[8];
        alignas(64) std::int64_t lv[8];
        store8(sv, s);
        store8(xv, x_);
        store8(yv, y_);
        store8(lv, label_);
        const int a = __builtin_ctz(starts), before = a > 0 ? a - 1 : size_ - 1;
        const int after = a + count < size_ ? a + count : a + count - size_, last = after > 0 ? after - 1 : size_ - 1;
        const bool on_before = sv[before] >= -tolerance, on_after = sv[after] >= -tolerance;
        const Point in = crossing(xv[before], yv[before], sv[before], xv[a], yv[a], sv[a]);
        const Point out = crossing(xv[after], yv[after], sv[after], xv[last], yv[last], sv[last]);
        // after .. before, then the new edge; lanes past the end repeat `after`
        const std::int64_t at = kept - on_before, end = at + 2 - on_after;
        if (end < 3) return size_ = 0, true;
        I8 from = iota + after;
        from = from >= size_ ? from - size_ : from;
        from = iota < end ? from : after - I8{};
        const I8 first = iota == at, second = iota == (on_after ? -1 : at + 1);
        x_ = permute(x_, from);
        y_ = permute(y_, from);
        label_ = (I8)permute((V8)label_, from);
        x_ = first ? splat8(on_before ? xv[before] : in.x) : x_;
        y_ = first ? splat8(on_before ? yv[before] : in.y) : y_;
        label_ = first ? label - I8{} : label_;
        x_ = second ? splat8(out.x) : x_;
        y_ = second ? splat8(out.y) : y_;
        label_ = second ? lv[last] - I8{} : label_;
        size_ = static_cast<int>(end);
        return true;
    }

    __attribute__((noinline)) bool clip_memory(const Bisector& b, std::int64_t label) {
        unsigned any = 0;
        const V8 zero = {};
        for (int k = 0; k < size_; k += 8) {
            const V8 s = load8(memory_.x + k) * b.dx + load8(memory_.y + k) * b.dy - b.h;
            store8(s_ + k, s);
            any |= less(zero, s);
        }
        memory_.size = size_;
        if (!any) return true;
        if (!cut(memory_, s_, b.tolerance(radius_), label)) return false;
        size_ = memory_.size;
        if (size_ == 0) return true;
        for (int k = size_; k % 8 != 0; ++k) memory_.move(k, 0);
        if (size_ <= 8) {
            x_ = load8(memory_.x);
            y_ = load8(memory_.y);
            __builtin_memcpy(&label_, memory_.label, sizeof label_);
        }
        return true;
    }

    void spill() {
        store8(memory_.x, x_);
        store8(memory_.y, y_);
        store8(memory_.label, label_);
        memory_.size = size_;
    }

    V8 x_, y_;
    I8 label_;
    int size_;
    double radius_, radius2_;
    Polygon<std::int64_t> memory_;
    double* s_;
};

}  // namespace
}  // namespace deblai::DEBLAI_LEVEL
