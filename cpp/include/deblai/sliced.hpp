// Sliced Wasserstein distances of two weighted point clouds, streamed over directions:
//   W_p^p(theta) = int_0^1 |F_theta^-1(t) - G_theta^-1(t)|^p dt,   value_p = mean over theta
// with F_theta the distribution of <x, theta>. Rabin, Peyre, Delon and Bernot, SSVM 2011; Bonneel, Rabin,
// Peyre and Pfister, JMIV 2015. Gradients are those of value_p; in the weights, of the normalised weights.
#pragma once

#include <cstddef>

#include "deblai/parallel.hpp"
#include "deblai/view.hpp"

namespace deblai::sliced {

template <class T>
struct Problem {
    Matrix<const T> x;           // (n, d)
    Matrix<const T> y;           // (m, d)
    Vector<const T> a, b;        // (n,), (m,): nonnegative, any positive sum; null: equal weights
    Matrix<const T> directions;  // (L, d), used as they are
    double p = 2.0;              // p >= 1
};

template <class T>
struct Output {
    double* cost = nullptr;  // (L,) W_p^p of each direction, in host memory; NaN where an interrupt came first
    Matrix<T> grad_x, grad_y;
    Vector<T> grad_a, grad_b;  // null: not wanted
};

// Throws InvalidValue where shapes do not fit or p is out of range; every backend's first step.
template <class T>
void require_shapes(const Problem<T>& problem);

// What the directions done say: their number (all L, or fewer after a stop: gradients are then void), the mean
// of their costs, and its standard error as for independent directions (NaN for a single one).
struct Estimate {
    index_t done;
    double mean;
    double standard_error;
};

Estimate estimate(const double* cost, index_t count);

// Throws InvalidValue for NaN or infinite entries, negative weights or zero mass.
template <class T>
Estimate wasserstein(const Problem<T>& problem, const Output<T>& output, const Control& control = {});

// Bytes that one call allocates: O((n + m) * (chunk + threads)), with chunk <= 32 directions at a time.
template <class T>
std::size_t workspace_bytes(const Problem<T>& problem, const Output<T>& output, int threads);

}  // namespace deblai::sliced
