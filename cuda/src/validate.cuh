// Checks of the entries of sliced.wasserstein's arguments on the device, with the errors of deblai/check.hpp.
#pragma once

#include "call.cuh"
#include "deblai/sliced.hpp"

namespace deblai::cuda {

// What one pass over the arguments finds; lives on the device.
struct Findings {
    enum Argument { x, y, directions, a, b };
    unsigned long long first[5];  // flat index of the first entry that cannot be; all ones where there is none
    double total[2];              // of a and of b
};

struct Totals {
    double a = 1, b = 1;  // 1 for equal weights
};

// Throws InvalidValue for NaN, infinite or negative entries and for zero mass. `parts` has room for a number a tile.
template <class T>
Totals require_entries(const Call& call, const deblai::sliced::Problem<T>& problem, Findings* findings, double* parts);

}  // namespace deblai::cuda
