// The least reduced cost of many marginals on a GPU: what deblai/multimarginal-minimum.hpp says, of arrays in device
// memory, in float64. All tuples are looked at, by products of tiles in the (min, +) semiring; those of equal marginals
// in sorted order. Where these are too many, subsets S of k marginals bound the minimum from below:
//   sum over S of min over x_S of [sum of c(x_p, x_q) / C(N-2, k-2) - sum of f_p(x_p) / C(N-1, k-1)],
// for equal marginals N (N - 1) / (k (k - 1)) times one of them. Of ties one tuple is chosen by its indices; two runs
// are equal to the bit.
#pragma once

#include "deblai/cuda/error.hpp"
#include "deblai/multimarginal-minimum.hpp"

namespace deblai::cuda::multimarginal {

// Arguments, stream, poll and errors as for `sinkhorn`. A node is a choice of points for all marginals but the two
// longest, whose pairs are all looked at: the minimum is exact where the product of the other sizes, C(n + N - 3, N -
// 2) for N equal marginals, is at most `budget`, and always of two marginals. Else k is the largest for which all
// subsets are within the budget, at least 2; `best` then is a tuple built around the least one of a subset. After a
// stop the bound is -inf.
//
// Workspace: 8 * n_p * n_q bytes for the costs of each pair of three marginals or more (one pair of equal ones), with
// n_q rounded up to whole tiles of 32; none for those of two; 24 * (n_p * n_q / 1024 + 2048) of the largest pair.
template <class T>
deblai::multimarginal::Minimum minimum(const deblai::multimarginal::Problem<T>& problem, const double* potentials,
                                       std::int64_t budget, void* stream, int device, bool (*poll)(void*) = nullptr,
                                       void* context = nullptr);

}  // namespace deblai::cuda::multimarginal
