// Branch and bound over tuples, in float64: see multimarginal-minimum.hpp. Positions are marginals in the order that
// the search fixes them in.
#pragma once

#include <limits>
#include <vector>

#include "deblai/multimarginal-minimum.hpp"

namespace deblai::multimarginal {

struct Tables {
    int n_marginals;
    bool symmetric;                          // one unary and one table, tuples in ascending order
    std::vector<index_t> sizes;              // by position, one if symmetric
    std::vector<std::vector<double>> unary;  // -f, +inf where there is no weight
    std::vector<std::vector<double>> costs;  // of positions a < b at pair(a, b), rows of a

    int own(int p) const { return symmetric ? 0 : p; }
    index_t size(int p) const { return sizes[own(p)]; }
    std::size_t pair(int a, int b) const {
        return symmetric ? 0 : std::size_t(a) * (2 * n_marginals - a - 1) / 2 + (b - a - 1);
    }
    const double* row(int a, int b, index_t i) const { return costs[pair(a, b)].data() + i * size(b); }
};

// The least a[j] + b[j].
double least(const double* a, const double* b, index_t n);

// Of three marginals or more; `at` is by position.
Minimum search(const Tables& tables, std::int64_t budget, const Control& control);

}  // namespace deblai::multimarginal
