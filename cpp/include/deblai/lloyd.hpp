// One step of Lloyd's algorithm (k-means): the nearest site of every sample, and the sums that move the sites, in one
// pass that never holds an n x k array.
//   label(i) = argmin_j |x_i - y_j|, the lowest j of equals     energy = sum_i w_i |x_i - y_label(i)|^2
// (of squares of differences, rounded and added in float64 over ascending coordinates: brute force finds the same)
//   mass(j) = sum of w_i, sum(j) = sum of w_i x_i, over the i with label(i) = j
// For mean powers of distances other than squares, with r_i = |x_i - y_label(i)|, what Weiszfeld's iteration wants:
//   energy = sum_i w_i r_i^p,   pull(j) = sum of g_i, sum(j) = sum of g_i x_i,   g_i = w_i r_i^(p - 2) if r_i > near,
//   still(j) = sum of w_i over the others, at the site but for rounding
// Lloyd, IEEE Transactions on Information Theory 28, 1982. Seeds: Arthur and Vassilvitskii, "k-means++", SODA 2007.
//
// Few coordinates (d <= 3) and many sites: a grid over the samples whose cells hold every site that can be nearest to
// one of their points, found by halving boxes. Otherwise all sites, in register-blocked tiles: direct differences for
// d <= 4, else |y|^2 / 2 - <x, y> on centred data, and direct differences again where two sites are nearly as good.
// Where rounding to T may have chosen, float64 decides.
#pragma once

#include <cstddef>
#include <cstdint>

#include "deblai/parallel.hpp"
#include "deblai/view.hpp"

namespace deblai::lloyd {

template <class T>
struct Problem {
    Matrix<const T> x;        // (n, d) samples
    Vector<const T> weights;  // (n,), nonnegative, any positive sum; null: all 1
    Matrix<const T> sites;    // (k, d)
    double p = 2, near = 0;   // p >= 1, near >= 0
};

template <class T>
struct Output {
    double* mass = nullptr;       // (k,)
    double* sum = nullptr;        // (k, d), contiguous
    Vector<std::int32_t> labels;  // (n,); null: not wanted
    Vector<T> cost;               // (n,), |x_i - y_label(i)|^2; null: not wanted
    double* pull = nullptr;       // (k, 2) pull and still; for p = 2 pull is `mass`, and this is not written
};

// Throws InvalidValue where shapes do not fit; every backend's first step.
template <class T>
void require_shapes(const Problem<T>& problem);

// The energy; NaN after a stop, all outputs are then void. Sums are float64 and equal to the bit for any number of
// threads. Throws InvalidValue for NaN or infinite entries, negative weights or zero mass.
template <class T>
double assign(const Problem<T>& problem, const Output<T>& output, const Control& control = {});

// Most bytes that one call of assign allocates:
//   partial sums  8 k (d + 1) P (d + 3 where p is not 2), P <= 64 pieces, fewer where that would be over 64 MiB, but at
//   least 4; sites         three copies; per thread 64 samples (256 with a grid), twice; grid          lists of 32 k
//   cells, n / 2 and 4 Mi at most, and 16 k + 4 cells candidates at most;
//                 while it is built, 10 k for each thread. Lists that grow hold up to three times that.
template <class T>
std::size_t workspace_bytes(const Problem<T>& problem, int threads);

// k-means++: chosen(0) is drawn by weight, each further one by weight times squared distance to those chosen, by
// inverting the cumulative sum at uniforms(j) in [0, 1); by weight again where all samples coincide with chosen ones.
// Returns how many were chosen, fewer than all only after a stop. Allocates n (1 + 1 / 128) numbers.
template <class T>
index_t seed(Matrix<const T> x, Vector<const T> weights, Vector<const double> uniforms, Vector<std::int32_t> chosen,
             const Control& control = {});

}  // namespace deblai::lloyd
