// Columns of the multi-marginal linear program with equal marginals: a column is a multiset of N sites s_1..s_N of cost
//   c(s) = sum_{p<q} C(s_p, s_q),  and prices out at  f(s_1) + ... + f(s_N) - c(s)  for a potential f.
// `price` looks at every move of one particle of every parent, `price_pairs` at those of two, `least` for the least
// c - sum f over all multisets, by branch and bound. Genetic column generation: Friesecke, Schulz and Voegler, SIAM J.
// Sci. Comput. 44, 2022; they draw moves one by one. C is symmetric; +inf forbids. Multisets of finite cost are
// parents.
#pragma once

#include <cstdint>
#include <vector>

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

struct Least {
    double lower;        // min(c - sum f) >= lower
    bool exact;          // nothing was left open: `lower` is the minimum, or `threshold` if that is less
    bool finished;       // false after a stop
    std::int64_t nodes;  // whose bounds were looked at, each of at most n^2 / 2 pairs
    std::vector<double> values;
    std::vector<std::int32_t> sites;  // N for each of `values`: multisets below `threshold`, the least of each subtree
};

// The least of c - sum f over all multisets of N sites, as far as it is below `threshold`, in at most about `budget`
// nodes. What m free particles add to h (the cost of each site with those that sit) is at least
//   m (m - 1) / 2 * min over pairs (b, d) of C(b, d) + (h(b) + h(d)) / (m - 1),  exact for m = 2.
// Equal for any number of threads.
Least least(Matrix<const double> costs, const double* potential, int n_particles, double threshold, std::int64_t budget,
            const Control& control = {});

}  // namespace deblai::columns
