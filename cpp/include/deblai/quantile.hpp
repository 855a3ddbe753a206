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
    M end{};  // the mass done when it is left
};

// The cell (i, j), entered when the mass `done` is done.
// Both totals equal `total`; the last interval of each sample ends there whatever rounding left.
template <class CdfA, class CdfB>
DEBLAI_HD Cell<typename CdfA::mass_t> cell_at(index_t n, index_t m, CdfA A, CdfB B, typename CdfA::mass_t total,
                                              index_t i, index_t j, typename CdfA::mass_t done) {
    using M = typename CdfA::mass_t;
    const bool last_i = i + 1 >= n, last_j = j + 1 >= m;
    const M ends_a = last_i ? total : A(i);
    const M ends_b = last_j ? total : B(j);
    const M next = ends_a < ends_b ? ends_a : ends_b;
    const bool step_i = (!last_i) & (last_j | (ends_a <= ends_b));
    const bool step_j = (!last_j) & (last_i | (ends_b <= ends_a));
    return {i, j, next - done, step_i, step_j, next};
}

// Walks the staircase from (i, j, done) and calls visit(cell) until the last cell or `limit` cells.
template <class CdfA, class CdfB, class Visit>
DEBLAI_HD void staircase(index_t n, index_t m, CdfA A, CdfB B, typename CdfA::mass_t total, index_t i, index_t j,
                         typename CdfA::mass_t done, index_t limit, Visit&& visit) {
    for (index_t k = 0; k < limit; ++k) {
        const auto cell = cell_at(n, m, A, B, total, i, j, done);
        visit(cell);
        if (!(cell.step_i | cell.step_j)) return;
        done = cell.end;
        i += cell.step_i;
        j += cell.step_j;
    }
}

// A place on the staircase: about to enter the cell (i, j), the mass `done` being done.
template <class M>
struct Corner {
    index_t i, j;
    M done;
};

// How many of the first `count` cumulative masses are below `mass` (with `equal`: below or equal).
template <class Cdf>
DEBLAI_HD index_t count_below(Cdf cdf, index_t count, typename Cdf::mass_t mass, bool equal) {
    index_t low = 0, high = count;
    while (low < high) {
        const index_t middle = low + (high - low) / 2;
        const auto c = cdf(middle);
        if (c < mass || (equal && c == mass))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

// Where the staircase first reaches i + j >= diagonal, 0 <= diagonal <= n + m - 2, by binary search (the merge path
// of Odeh, Green, Mwassi, Shmueli and Birk, 2012): the walks between consecutive diagonals, at least two apart, then
// visit each cell of the whole walk once, in order, with the same masses and steps.
template <class CdfA, class CdfB>
DEBLAI_HD Corner<typename CdfA::mass_t> corner(index_t n, index_t m, CdfA A, CdfB B, index_t diagonal) {
    using M = typename CdfA::mass_t;
    index_t low = diagonal > m - 1 ? diagonal - (m - 1) : 0, high = diagonal < n - 1 ? diagonal : n - 1;
    while (low < high) {
        const index_t middle = low + (high - low) / 2;
        if (A(middle) <= B(diagonal - 1 - middle))
            low = middle + 1;
        else
            high = middle;
    }
    const index_t i = low, j = diagonal - low;
    const M done_a = i > 0 ? A(i - 1) : M{0}, done_b = j > 0 ? B(j - 1) : M{0};
    const M done = done_a < done_b ? done_b : done_a;
    const bool tied = i > 0 && ((j > 0 && done_a == done_b) || (j < m - 1 && done_a == B(j)));
    if (!tied) return {i, j, done};
    // Steps at equal masses go in pairs, the first of A with the first of B, until one side has no more of them.
    const index_t begin_i = count_below(A, n - 1, done, false), begin_j = count_below(B, m - 1, done, false);
    const index_t size_i = count_below(A, n - 1, done, true) - begin_i;
    const index_t size_j = count_below(B, m - 1, done, true) - begin_j;
    const index_t pairs = size_i < size_j ? size_i : size_j, steps = diagonal - begin_i - begin_j;
    const index_t paired = steps < 2 * pairs ? (steps + 1) / 2 : pairs;
    const index_t single = steps < 2 * pairs ? 0 : steps - 2 * pairs;
    return {begin_i + paired + (size_i > pairs ? single : 0), begin_j + paired + (size_j > pairs ? single : 0), done};
}

// The cells with begin <= i + j < end, entered at from = corner(begin).
template <class CdfA, class CdfB, class Visit>
DEBLAI_HD void stretch(index_t n, index_t m, CdfA A, CdfB B, typename CdfA::mass_t total,
                       Corner<typename CdfA::mass_t> from, index_t end, Visit&& visit) {
    while (from.i + from.j < end) {
        const auto cell = cell_at(n, m, A, B, total, from.i, from.j, from.done);
        visit(cell);
        if (!(cell.step_i | cell.step_j)) return;
        from = {from.i + cell.step_i, from.j + cell.step_j, cell.end};
    }
}

// f_{i+1} - f_i on leaving the cell (i, j) by a step in i; where both indices step at once either order is
// optimal, and the mean of the two is taken (a subgradient symmetric in the two samples).
DEBLAI_HD double potential_step(const PowerCost& c, double x, double x_next, double y, double y_next, bool both) {
    const double here = c.cost(x_next - y) - c.cost(x - y);
    return both ? 0.5 * (here + c.cost(x_next - y_next) - c.cost(x - y_next)) : here;
}

}  // namespace deblai
