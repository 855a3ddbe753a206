// What the kernels of multimarginal share: exponents are in powers of two, M = -c / (epsilon log 2), so that the
// hardware's exp2 takes them as they are. Rows, columns and contracted points come in tiles of 32, padded with -inf; a
// thread has one column of eight rows.
#pragma once

#include <cmath>
#include <limits>

#include "deblai/cost.hpp"
#include "deblai/view.hpp"
#include "tile.cuh"

namespace deblai::cuda::multimarginal {

inline constexpr int tile = 32, tile_threads = 128, thread_rows = 8;
static_assert(tile_threads / tile * thread_rows == tile);

inline constexpr double log2_e = 1.4426950408889634, log_2 = 0.6931471805599453;

DEBLAI_HD index_t tiles_of(index_t n) { return (n + tile - 1) / tile; }
DEBLAI_HD index_t padded(index_t n) { return tiles_of(n) * tile; }

__device__ inline float power(float x) { return exp2f(x); }
__device__ inline double power(double x) { return exp2(x); }
__device__ inline float root(float x) { return sqrtf(x); }
__device__ inline double root(double x) { return sqrt(x); }
__device__ inline float logarithm(float x) { return log2f(x); }
__device__ inline double logarithm(double x) { return log2(x); }

template <class T>
struct Range {
    static constexpr T infinity = std::numeric_limits<T>::infinity();
    static constexpr T unset = sizeof(T) == 4 ? T(-1e30) : T(-1e300);       // the scale of a sum of nothing
    static constexpr T high = 32;                                           // above its scale a sum is scaled again
    static constexpr T wide = sizeof(T) == 4 ? T(70) : T(900);              // what a product may lie above its scale
    static constexpr T plenty = sizeof(T) == 4 ? T(0x1p-80) : T(0x1p-900);  // 2^40 times what such sums may lose
};

// 2^top * sum
struct Scaled {
    double top, sum;
};

template <class T>
struct Running {
    T top;
    double sum = 0;

    // Makes room for a term 2^e.
    __device__ void meet(T e) {
        if (!(e - top > Range<T>::high)) return;
        sum *= exp2(static_cast<double>(top) - static_cast<double>(e));
        top = e;
    }
    // part 2^e, of part <= 32 or so
    __device__ void add(T part, T e) {
        if (!(part > T(0))) return;
        if (e - top > Range<T>::high) {
            const T level = e + logarithm(part);
            meet(level);
        }
        sum += static_cast<double>(part) * static_cast<double>(power(e - top));
    }
};

__device__ inline Scaled add_scaled(Scaled a, Scaled b) {
    if (!(b.sum > 0)) return a;
    if (!(a.sum > 0)) return b;
    return a.top >= b.top ? Scaled{a.top, a.sum + b.sum * exp2(b.top - a.top)}
                          : Scaled{b.top, b.sum + a.sum * exp2(a.top - b.top)};
}

// What the threads of a row have found, from left to right.
template <class T>
__device__ Scaled add_lanes(const T* tops, const double* sums) {
    T top = tops[0];
    for (int k = 1; k < tile; ++k) top = max(top, tops[k]);
    Scaled total{static_cast<double>(top), 0};
    for (int k = 0; k < tile && top > -Range<T>::infinity; ++k)
        total.sum += sums[k] * exp2(static_cast<double>(tops[k]) - total.top);
    return total;
}

// Costs as functions of points; see PairCost, whose numbers these are in the precision of the problem.
template <class T>
struct ScaledCost {
    using Kind = PairCost::Kind;
    Kind kind;
    T factor, s;  // s: of Yukawa in units of log 2, of softened Coulomb squared, else the exponent of r^2
    int simple;   // 1: s = 1, 2: s = 2

    __host__ ScaledCost(const PairCost& c, double epsilon)
        : kind(c.kind),
          factor(static_cast<T>(-(c.kind == Kind::log ? -0.5 * log_2 : 1.0) * c.strength / epsilon * log2_e)),
          s(static_cast<T>(c.kind == Kind::yukawa  ? -c.s * log2_e
                           : c.kind == Kind::soft  ? c.s * c.s
                           : c.kind == Kind::power ? 0.5 * c.s
                                                   : -0.5 * c.s)),
          simple(c.s == 1.0   ? 1
                 : c.s == 2.0 ? 2
                              : 0) {}

    __device__ T operator()(T r2) const {
        switch (kind) {
            case Kind::quadratic: return factor * r2;
            case Kind::log: return factor * logarithm(r2);
            case Kind::yukawa: return factor * (power(s * root(r2)) / root(r2));
            case Kind::soft: return factor / root(r2 + s);
            case Kind::power: return factor * (simple == 1 ? root(r2) : power(s * logarithm(r2)));
            default:
                return factor * (simple == 1 ? T(1) / root(r2) : simple == 2 ? T(1) / r2 : power(s * logarithm(r2)));
        }
    }
};

// One marginal on the device; all arrays are padded.
template <class T>
struct Side {
    index_t size, ld;
    T* points;             // coordinate-major, (d, ld); null where costs are given
    double *f, *g;         // potential over epsilon; with the log-weight
    const double* masses;  // normalised weights
};

// The M of an ordered pair, (size, ld): stored, or from points.
template <class T>
struct Pair {
    const T* stored;
    const T *x, *y;
    index_t ld_x, ld, d;
    ScaledCost<T> cost;

    __device__ T operator()(index_t i, index_t j) const {
        if (stored) return stored[i * ld + j];
        T r2 = 0;
        for (index_t k = 0; k < d; ++k) {
            const T gap = x[k * ld_x + i] - y[k * ld + j];
            r2 += gap * gap;
        }
        return cost(r2);
    }
};

}  // namespace deblai::cuda::multimarginal
