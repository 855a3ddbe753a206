// The least reduced cost of many marginals: the minimum over tuples (x_1..x_N) of
//   sum_{p<q} c(x_p, x_q) - sum_p f_p(x_p),
// by which a dual bound of the unregularised problem falls short: sum_p <a_p, f_p> + minimum <= OT_0. Points without
// weight do not count. Computed in float64 from the inputs. Two marginals are scanned, three or more searched by branch
// and bound: what remains beside fixed points is bounded by the sum over its pairs of
//   min [c(x_r, x_s) + (h_r(x_r) + h_s(x_s)) / (m - 1)],   h_r(x) = sum over fixed s of c(x_s, x) - f_r(x),
// which is exact for m = 2, and bounds what goes through each point too: points that no better tuple has are struck
// out. Equal marginals are searched in sorted tuples. What easy subtrees leave of the budget goes to hard ones. Where
// edges are given, messages along the junction tree find the minimum exactly, whatever the budget; `nodes` then counts
// the terms that were looked at.
#pragma once

#include <cstdint>
#include <limits>
#include <vector>

#include "deblai/multimarginal.hpp"

namespace deblai::multimarginal {

struct Wanted {
    std::int64_t budget;                                         // of nodes, about
    double threshold = std::numeric_limits<double>::infinity();  // the search is for less than that
    bool tuples = false;  // the least of each subtree below the threshold, not of all alone
};

struct Minimum {
    double value;  // at most the minimum or the threshold, if that is less; equal to it if `exact`
    double best;   // attained at `at`; inf where no tuple of finite cost below the threshold was found
    bool exact;
    std::int64_t nodes;       // prefixes of tuples that were searched below
    std::vector<index_t> at;  // one index a marginal; empty for best = inf
    std::vector<double> values = {};
    std::vector<index_t> tuples = {};  // wanted ones: an index a marginal for each of `values`
};

// Does not depend on the number of threads. After a stop the bound is valid, but not exact.
template <class T>
Minimum minimum(const Problem<T>& problem, const double* potentials, const Wanted& wanted, const Control& control = {});

}  // namespace deblai::multimarginal
