// The monotone coupling of two sorted weighted samples of the line, one corner at a time. Host and device.
//   W_p^p = int_0^1 |F^-1(t) - G^-1(t)|^p dt = sum over cells (i, j) of mass(i, j) |x_i - y_j|^p
// where cell (i, j) is the overlap of the i-th and j-th quantile intervals (Villani 2003, Theorem 2.18).
// Dual potentials along the staircase: f_i + g_j = |x_i - y_j|^p on every cell it visits.
#pragma once

#include <cstdint>

#include "deblai/cost.hpp"
#include "deblai/hd.hpp"

namespace deblai {

// Cumulative masses of n equal weights, in units of 1/(n m): exact integers.
struct UniformCdf {
    using mass_t = std::int64_t;
    std::int64_t step;  // the other sample's size
    DEBLAI_HD mass_t operator()(index_t i) const { return (i + 1) * step; }
};

// Cumulative masses of given weights, already divided by their sum.
struct WeightedCdf {
    using mass_t = double;
    const double* cumulative;
    DEBLAI_HD mass_t operator()(index_t i) const { return cumulative[i]; }
};

// A cell of the staircase, its mass, and which of the two indices steps on when it is left.
template <class M>
struct Cell {
    index_t i, j;
    M mass;
    bool step_i, step_j;
};

// Walks the staircase from (i, j, done) and calls visit(cell) until the last cell or `limit` cells.
// Both totals equal `total`; the last interval of each sample ends there whatever rounding left.
template <class CdfA, class CdfB, class Visit>
DEBLAI_HD void staircase(index_t n, index_t m, CdfA A, CdfB B, typename CdfA::mass_t total, index_t i, index_t j,
                         typename CdfA::mass_t done, index_t limit, Visit&& visit) {
    using M = typename CdfA::mass_t;
    for (index_t k = 0; k < limit; ++k) {
        const bool last_i = i + 1 >= n, last_j = j + 1 >= m;
        const M ends_a = last_i ? total : A(i);
        const M ends_b = last_j ? total : B(j);
        const M next = ends_a < ends_b ? ends_a : ends_b;
        const bool step_i = (!last_i) & (last_j | (ends_a <= ends_b));
        const bool step_j = (!last_j) & (last_i | (ends_b <= ends_a));
        visit(Cell<M>{i, j, next - done, step_i, step_j});
        if (!(step_i | step_j)) return;
        done = next;
        i += step_i;
        j += step_j;
    }
}

// f_{i+1} - f_i on leaving the cell (i, j) by a step in i; where both indices step at once either order is
// optimal, and the mean of the two is taken (a subgradient symmetric in the two samples).
DEBLAI_HD double potential_step(const PowerCost& c, double x, double x_next, double y, double y_next, bool both) {
    const double here = c.cost(x_next - y) - c.cost(x - y);
    return both ? 0.5 * (here + c.cost(x_next - y_next) - c.cost(x - y_next)) : here;
}

}  // namespace deblai
