// Columns of the multi-marginal linear program with equal marginals: a column is a multiset of N sites s_1..s_N of cost
//   c(s) = sum_{p<q} C(s_p, s_q),  and prices out at  f(s_1) + ... + f(s_N) - c(s)  for a potential f.
// `price` looks at every move of one particle of every parent, `price_pairs` at those of two; all multisets at once are
// searched by multimarginal-minimum.hpp. Genetic column generation: Friesecke, Schulz and Voegler, SIAM J. Sci. Comput.
// 44, 2022; they draw moves one by one. C is symmetric; +inf forbids. Multisets of finite cost are parents.
#pragma once

#include <cstdint>

#include "deblai/parallel.hpp"
#include "deblai/view.hpp"

namespace deblai::columns {

// Contiguous rows.
struct Problem {
    Matrix<const double> costs;          // (n, n)
    const double* potential = nullptr;   // (n,)
    Matrix<const std::int32_t> parents;  // (m, N) sites
};

// Throws InvalidValue where shapes do not fit or sites are out of range; every backend's first step.
void require_shapes(const Problem& problem);

// gain(j, k) = the most that particle k of parent j adds to the price by going elsewhere, to site to(j, k), the lowest
// of equals; -inf and -1 where it can go nowhere. (m, N), contiguous. False after a stop: outputs are void.
bool price(const Problem& problem, double* gain, std::int32_t* to, const Control& control = {});

// gain(j) = the most that two particles p < q of parent j add by going to sites b and d together; move(j) = p, q, b, d,
// -1 where there is none that adds more than 0 (gain 0). Pairs of sites that cannot win are never looked at.
bool price_pairs(const Problem& problem, double* gain, std::int32_t* move, const Control& control = {});

}  // namespace deblai::columns
