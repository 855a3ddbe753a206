// Checks of the entries of arguments on the device, with the errors of deblai/check.hpp.
#pragma once

#include "call.cuh"
#include "deblai/sliced.hpp"

namespace deblai::cuda {

using flat_index = unsigned long long;  // of an entry; all ones: none

// Put into *first, in device memory, the first entry that is not finite, or not a weight; `parts` has room for a number
// a tile, *total becomes the sum.
template <class T>
void find_nonfinite(const Call& call, Matrix<const T> points, flat_index* first);
template <class T>
void weigh(const Call& call, Vector<const T> weights, flat_index* first, double* parts, double* total);

// Throw InvalidValue for what has been found and fetched.
template <class T>
void refuse_points(const Call& call, const char* argument, Matrix<const T> points, flat_index first);
template <class T>
void refuse_weights(const Call& call, const char* argument, Vector<const T> weights, flat_index first, double total);

// What one pass over the arguments of sliced.wasserstein finds; lives on the device.
struct Findings {
    enum Argument { x, y, directions, a, b };
    flat_index first[5];
    double total[2];  // of a and of b
};

struct Totals {
    double a = 1, b = 1;  // 1 for equal weights
};

// Throws InvalidValue for NaN, infinite or negative entries and for zero mass.
template <class T>
Totals require_entries(const Call& call, const deblai::sliced::Problem<T>& problem, Findings* findings, double* parts);

}  // namespace deblai::cuda
