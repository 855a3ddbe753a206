// Vectors of one instruction set: loads, sums, exp and log. Included only by the -inl.hpp files that are
// compiled once per level, inside the namespace DEBLAI_LEVEL; everything here has internal linkage and
// nothing comes from std, so that no symbol compiled for one level can be linked in for another.
#pragma once

#include <cstdint>
#include <cstring>

#include "deblai/hd.hpp"

#if defined(__AVX512F__)
#define DEBLAI_VECTOR_BYTES 64
#elif defined(__AVX2__)
#define DEBLAI_VECTOR_BYTES 32
#else
#define DEBLAI_VECTOR_BYTES 16
#endif

namespace deblai::DEBLAI_LEVEL {
namespace {

template <class T>
inline constexpr index_t lanes = DEBLAI_VECTOR_BYTES / sizeof(T);

template <class T>
struct VecOf;
template <>
struct VecOf<float> {
    typedef float type __attribute__((vector_size(DEBLAI_VECTOR_BYTES)));
    typedef std::int32_t bits __attribute__((vector_size(DEBLAI_VECTOR_BYTES)));
    typedef std::uint32_t words __attribute__((vector_size(DEBLAI_VECTOR_BYTES)));
};
template <>
struct VecOf<double> {
    typedef double type __attribute__((vector_size(DEBLAI_VECTOR_BYTES)));
    typedef std::int64_t bits __attribute__((vector_size(DEBLAI_VECTOR_BYTES)));
    typedef std::uint64_t words __attribute__((vector_size(DEBLAI_VECTOR_BYTES)));
};
template <class T>
using Vec = typename VecOf<T>::type;
template <class T>
using Bits = typename VecOf<T>::bits;

template <class T>
DEBLAI_HD Vec<T> load(const T* p) {
    Vec<T> v;
    std::memcpy(&v, p, sizeof v);
    return v;
}

template <class T>
DEBLAI_HD void store(T* p, Vec<T> v) {
    std::memcpy(p, &v, sizeof v);
}

// As many values as a vector of doubles has lanes, widened.
DEBLAI_HD Vec<double> load_double(const double* p) { return load(p); }
DEBLAI_HD Vec<double> load_double(const float* p) {
    typedef float half __attribute__((vector_size(DEBLAI_VECTOR_BYTES / 2)));
    half v;
    std::memcpy(&v, p, sizeof v);
    return __builtin_convertvector(v, Vec<double>);
}

template <class T>
DEBLAI_HD Vec<T> splat(T value) {
    return value - Vec<T>{};
}

DEBLAI_HD double sum(Vec<double> v) {
    double s = 0;
    for (index_t k = 0; k < lanes<double>; ++k) s += v[k];
    return s;
}

template <class T>
DEBLAI_HD Bits<T> as_bits(Vec<T> v) {
    return (Bits<T>)v;
}

// a - b modulo 2^32 or 2^64.
template <class T>
DEBLAI_HD Bits<T> wrapping_minus(Bits<T> a, Bits<T> b) {
    using Words = typename VecOf<T>::words;
    return (Bits<T>)((Words)a - (Words)b);
}

template <class T>
DEBLAI_HD Vec<T> abs(Vec<T> v) {
    const auto mask = Bits<T>{} + (sizeof(T) == 8 ? INT64_MAX : INT32_MAX);
    return (Vec<T>)(as_bits<T>(v) & mask);
}

template <class T, int N>
DEBLAI_HD Vec<T> horner(const T (&c)[N], Vec<T> x) {
    Vec<T> y = splat<T>(c[N - 1]);
    for (int k = N - 2; k >= 0; --k) y = y * x + c[k];
    return y;
}

template <class T>
struct Constants;

// Polynomials: Chebyshev fits of (exp(r) - 1 - r) / r^2 on |r| <= ln(2) / 2, and of (2 atanh(s) - 2 s) / s^3
// in s^2 for (1 + s) / (1 - s) in [sqrt(1/2), sqrt(2)].
template <>
struct Constants<double> {
    static constexpr int mantissa = 52;
    static constexpr std::int64_t bias = 1023;
    static constexpr std::int64_t sqrt_half = 0x3FE6A09E667F3BCD;
    static constexpr double round = 0x1.8p52, inv_ln2 = 0x1.71547652b82fep0;
    static constexpr double ln2_hi = 0x1.62e42p-1, ln2_lo = 0x1.fdf473de6af28p-22;
    static constexpr double exp_max = 709.79, exp_min = -745.2, min_normal = 0x1p-1022;
    static constexpr double exp_poly[] = {
        0.50000000000000010221,   0.16666666666666667453,    0.041666666666624127873,    0.0083333333333300618325,
        0.0013888888917213716901, 0.00019841269863053616878, 0.000024801521295954375131, 2.7557268459997064772e-6,
        2.7620088445409748161e-7, 2.5100385495510319078e-8};
    static constexpr double log_poly[] = {0.66666666666666696883, 0.39999999999899443233, 0.28571428626003268742,
                                          0.22222211130259877029, 0.18182889455674946039, 0.15331710618210771568,
                                          0.14616585424888621989};
};
template <>
struct Constants<float> {
    static constexpr int mantissa = 23;
    static constexpr std::int32_t bias = 127;
    static constexpr std::int32_t sqrt_half = 0x3F3504F3;
    static constexpr float round = 0x1.8p23f, inv_ln2 = 0x1.715476p0f;
    static constexpr float ln2_hi = 0x1.62ep-1f, ln2_lo = 0x1.0bfbe8p-15f;
    static constexpr float exp_max = 88.73f, exp_min = -104.0f, min_normal = 0x1p-126f;
    static constexpr float exp_poly[] = {0.5f, 0.16666576989698775683f, 0.041666554617204574203f,
                                         0.0083631790527225773704f, 0.0013926183587713494542f};
    static constexpr float log_poly[] = {0.66666685045156029067f, 0.39988778282162807727f, 0.29580053043188442144f};
};

// exp(x) = 2^k (1 + r + r^2 q(r)), x = k ln 2 + r; 2^k in two factors, so that underflow is gradual.
template <class T>
DEBLAI_HD Vec<T> vexp(Vec<T> x) {
    using C = Constants<T>;
    Vec<T> z = x < C::exp_max ? x : splat<T>(C::exp_max);
    z = z > C::exp_min ? z : splat<T>(C::exp_min);
    const Vec<T> shifted = z * C::inv_ln2 + C::round;
    const Vec<T> k = shifted - C::round;
    const Bits<T> n = as_bits<T>(shifted) - as_bits<T>(splat<T>(C::round));
    const Vec<T> r = (z - k * C::ln2_hi) - k * C::ln2_lo;
    const Vec<T> y = r * r * horner(C::exp_poly, r) + r + T(1);
    const Bits<T> half = n >> 1;
    const Vec<T> s0 = (Vec<T>)((half + C::bias) << C::mantissa);
    const Vec<T> s1 = (Vec<T>)((n - half + C::bias) << C::mantissa);
    const Vec<T> e = y * s0 * s1;
    return x == x ? e : x;
}

// log(x) = k ln 2 + log(1 + f), 1 + f in [sqrt(1/2), sqrt(2)); log(1 + f) = f - f^2/2 + s (f^2/2 + s^2 P(s^2)).
template <class T>
DEBLAI_HD Vec<T> vlog(Vec<T> x) {
    using C = Constants<T>;
    constexpr T lift = T(std::int64_t{1} << (C::mantissa + 2));
    const auto tiny = x < C::min_normal;
    const Bits<T> ix = as_bits<T>(tiny ? x * lift : x);
    const Bits<T> k = wrapping_minus<T>(ix, Bits<T>{} + C::sqrt_half) >> C::mantissa;
    const Vec<T> f = (Vec<T>)wrapping_minus<T>(ix, k << C::mantissa) - T(1);
    const Vec<T> e = __builtin_convertvector(tiny ? k - (C::mantissa + 2) : k, Vec<T>);
    const Vec<T> s = f / (f + T(2)), z = s * s, h = f * f * T(0.5);
    const Vec<T> y = e * C::ln2_hi + (f - (h - (s * (h + z * horner(C::log_poly, z)) + e * C::ln2_lo)));
    const Vec<T> inf = splat<T>(T(__builtin_inf()));
    const Vec<T> edge = x == T(0) ? -inf : x == inf ? inf : splat<T>(T(__builtin_nan("")));
    return (x > T(0)) & (x < inf) ? y : edge;
}

}  // namespace
}  // namespace deblai::DEBLAI_LEVEL
