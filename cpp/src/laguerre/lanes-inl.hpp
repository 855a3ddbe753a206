// Eight doubles or integers at a time: one vector of AVX-512, elsewhere four of 16 bytes. (Two of 32 are slower by 40
// %: scalars and vectors pass through memory here, and wide loads wait for narrow stores.)
#pragma once

#include <cstdint>

#include "deblai/hd.hpp"

#if defined(__x86_64__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // of GCC 12's own headers
#pragma GCC diagnostic ignored "-Wuninitialized"
#include <immintrin.h>
#pragma GCC diagnostic pop
#endif

namespace deblai::DEBLAI_LEVEL {
namespace {

#if defined(__AVX512F__)
inline constexpr int parts = 1, part_lanes = 8;
#else
inline constexpr int parts = 4, part_lanes = 2;
#endif
typedef double Part __attribute__((vector_size(64 / parts)));
typedef std::int64_t PartBits __attribute__((vector_size(64 / parts)));

struct V8 {
    Part part[parts];
};
struct I8 {
    PartBits part[parts];
};

template <class A, class F>
DEBLAI_HD A each_part(const F& f) {
    A out;
#pragma GCC unroll 4
    for (int p = 0; p < parts; ++p) out.part[p] = f(p);
    return out;
}

DEBLAI_HD V8 load8(const double* p) {
    V8 v;
    __builtin_memcpy(&v, p, sizeof v);
    return v;
}
DEBLAI_HD I8 load8(const std::int64_t* p) {
    I8 v;
    __builtin_memcpy(&v, p, sizeof v);
    return v;
}
DEBLAI_HD void store8(double* p, V8 v) { __builtin_memcpy(p, &v, sizeof v); }
DEBLAI_HD void store8(std::int64_t* p, I8 v) { __builtin_memcpy(p, &v, sizeof v); }

DEBLAI_HD V8 splat8(double v) {
    return each_part<V8>([&](int) __attribute__((always_inline)) { return v - Part{}; });
}
DEBLAI_HD I8 splat8(std::int64_t v) {
    return each_part<I8>([&](int) __attribute__((always_inline)) { return v - PartBits{}; });
}
DEBLAI_HD I8 iota8() {
    constexpr std::int64_t lane[8] = {0, 1, 2, 3, 4, 5, 6, 7};
    return load8(lane);
}

DEBLAI_HD V8 operator+(V8 a, V8 b) {
    return each_part<V8>([&](int p) __attribute__((always_inline)) { return a.part[p] + b.part[p]; });
}
DEBLAI_HD V8 operator-(V8 a, V8 b) {
    return each_part<V8>([&](int p) __attribute__((always_inline)) { return a.part[p] - b.part[p]; });
}
DEBLAI_HD V8 operator*(V8 a, V8 b) {
    return each_part<V8>([&](int p) __attribute__((always_inline)) { return a.part[p] * b.part[p]; });
}
DEBLAI_HD V8 operator+(V8 a, double b) { return a + splat8(b); }
DEBLAI_HD V8 operator-(V8 a, double b) { return a - splat8(b); }
DEBLAI_HD V8 operator-(double a, V8 b) { return splat8(a) - b; }
DEBLAI_HD V8 operator*(V8 a, double b) { return a * splat8(b); }

DEBLAI_HD V8 largest(V8 a, V8 b) {
    return each_part<V8>([&](int p) __attribute__((always_inline)) {
#if defined(__AVX512F__)
        return (Part)_mm512_max_pd((__m512d)a.part[p], (__m512d)b.part[p]);
#else
        return a.part[p] > b.part[p] ? a.part[p] : b.part[p];
#endif
    });
}

DEBLAI_HD V8 root(V8 a) {
    return each_part<V8>([&](int p) __attribute__((always_inline)) {
        Part r;
        for (int k = 0; k < part_lanes; ++k) r[k] = __builtin_sqrt(a.part[p][k]);
        return r;
    });
}

DEBLAI_HD double top(V8 v) {
    Part m = v.part[0];
#pragma GCC unroll 4
    for (int p = 1; p < parts; ++p) m = m > v.part[p] ? m : v.part[p];
#if defined(__AVX512F__)
    return _mm512_reduce_max_pd((__m512d)m);
#else
    double t = m[0];
#pragma GCC unroll 4
    for (int k = 1; k < part_lanes; ++k) t = m[k] > t ? m[k] : t;
    return t;
#endif
}

// Bit k: a[k] < b[k].
#if defined(__AVX512F__)
DEBLAI_HD unsigned less(V8 a, V8 b) { return _mm512_cmp_pd_mask((__m512d)a.part[0], (__m512d)b.part[0], _CMP_LT_OQ); }
DEBLAI_HD unsigned less(I8 a, I8 b) { return _mm512_cmplt_epi64_mask((__m512i)a.part[0], (__m512i)b.part[0]); }
#else
template <class A>
DEBLAI_HD unsigned less(A a, A b) {
    unsigned mask = 0;
#pragma GCC unroll 4
    for (int p = 0; p < parts; ++p) {
        const PartBits one = a.part[p] < b.part[p];
#if defined(__SSE2__)
        mask |= static_cast<unsigned>(_mm_movemask_pd((__m128d)one)) << (p * part_lanes);
#else
        for (int k = 0; k < part_lanes; ++k) mask |= static_cast<unsigned>(one[k] & 1) << (p * part_lanes + k);
#endif
    }
    return mask;
}
#endif

// Lanes below `end` from a, the others from b.
template <class A>
DEBLAI_HD A until(std::int64_t end, A a, A b) {
    const I8 lane = iota8();
    return each_part<A>([&](int p)
                            __attribute__((always_inline)) { return lane.part[p] < end ? a.part[p] : b.part[p]; });
}

// The lane `at` from b, the others from a; -1 for no lane.
template <class A>
DEBLAI_HD A with(std::int64_t at, A a, A b) {
    const I8 lane = iota8();
    return each_part<A>([&](int p)
                            __attribute__((always_inline)) { return lane.part[p] == at ? b.part[p] : a.part[p]; });
}

// Lane k < size gets lane (first + k) mod size.
DEBLAI_HD V8 rotate(V8 v, int first, int size) {
#if defined(__AVX512F__)
    PartBits from = iota8().part[0] + first;
    from = from >= size ? from - size : from;
    return {{(Part)_mm512_permutexvar_pd((__m512i)from, (__m512d)v.part[0])}};
#else
    double twice[16];
    store8(twice, v);
    store8(twice + size, v);
    return load8(twice + first);
#endif
}
DEBLAI_HD I8 rotate(I8 v, int first, int size) {
    return __builtin_bit_cast(I8, rotate(__builtin_bit_cast(V8, v), first, size));
}

// Writes the numbers of the bits that are set plus `first`, in order, and garbage up to eight; returns how many.
DEBLAI_HD int bits_of(unsigned mask, std::int64_t first, std::int64_t* out) {
#if defined(__AVX512F__)
    const PartBits all = iota8().part[0] + first;
    store8(out, I8{{(PartBits)_mm512_maskz_compress_epi64(static_cast<__mmask8>(mask), (__m512i)all)}});
#else
    int n = 0;
#pragma GCC unroll 8
    for (int k = 0; k < 8; ++k) {
        out[n] = first + k;
        n += mask >> k & 1;
    }
#endif
    return __builtin_popcount(mask);
}

}  // namespace
}  // namespace deblai::DEBLAI_LEVEL
