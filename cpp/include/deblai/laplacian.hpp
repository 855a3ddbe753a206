// Linear systems of weighted graph Laplacians, sum_j w_ij (x_i - x_j) = b_i: conjugate gradients preconditioned by a
// V-cycle of smoothed aggregation (Vanek, Mandel and Brezina, Computing 1996).
#pragma once

#include <cstdint>
#include <memory>

#include "deblai/error.hpp"
#include "deblai/parallel.hpp"
#include "deblai/view.hpp"

namespace deblai::laplacian {

// Row i has entries begin(i) .. begin(i + 1): neighbours `across`, never i itself, and weights w >= 0, the same from
// either side up to rounding. Repeated neighbours add up.
struct Problem {
    Vector<const std::int32_t> begin, across;
    Vector<const double> weight;
    Vector<const double> rhs;  // its mean is taken off
};

// What a solution leaves to the next one of a matrix of the same size that is near: all levels but the finest.
class Levels {
public:
    Levels();
    ~Levels();
    Levels(const Levels&) = delete;
    Levels& operator=(const Levels&) = delete;

    struct Kept;
    std::unique_ptr<Kept> kept_;
};

struct Summary {
    int iterations, levels;
    double residual;  // relative, of the recurrence
};

// Writes the solution of mean 0 to `x`; results do not depend on the number of threads. Stops at the relative residual
// `rtol` in the Euclidean norm, after max_iter iterations, or where control.poll says so. Without `renew` the levels
// are those of before where there are any.
Summary solve(const Problem& problem, Vector<double> x, double rtol, int max_iter, const Control& control = {},
              Levels* levels = nullptr, bool renew = true);

}  // namespace deblai::laplacian
