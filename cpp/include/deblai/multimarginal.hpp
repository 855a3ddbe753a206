// Entropic transport of N marginals with pairwise costs on the complete graph or any other, in the log domain:
//   min over plans pi of <c, pi> + epsilon KL(pi | mu_1 x ... x mu_N),   c(x_1..x_N) = sum over edges of c(x_p, x_q)
//   f_p <- -epsilon log sum over x_{-p} of exp((sum_{k!=p} f_k - c) / epsilon) prod_{k!=p} a_k
// (Benamou, Carlier and Nenna 2015). The n^N plan is never stored: a matrix product of stabilised kernels contracts all
// marginals but two, for the updates of both. What it may have lost to underflow is bounded row by row; rows whose
// bound is not negligible are summed again exactly, in the log domain. On a graph with edges given, messages between
// the bags of a junction tree do it: n^{w+1} operations and n^w numbers, where w is the treewidth that a greedy
// elimination finds; on a tree n^2 operations and n numbers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "deblai/cost.hpp"
#include "deblai/parallel.hpp"
#include "deblai/view.hpp"

namespace deblai::multimarginal {

template <class T>
struct Marginal {
    index_t size;
    Matrix<const T> points;   // (size, d); null where costs are given
    Vector<const T> weights;  // nonnegative, any positive sum; null: equal weights
};

// A pair of marginals, p < q, with a cost.
struct Edge {
    int p, q;
};

template <class T>
struct Problem {
    int n_marginals;               // N >= 2
    bool symmetric;                // all marginals are the first one, with one potential
    const Marginal<T>* marginals;  // N of them, or one
    const Matrix<const T>* costs;  // null: from the points; else one matrix a pair (0, 1), (0, 2), ..., (N-2, N-1),
                                   // or one an edge, or one if symmetric; +inf forbids
    PairCost cost;
    double epsilon;
    const Edge* edges = nullptr;  // null: all pairs have a cost; not symmetric, sums go along a junction tree
    index_t edge_count = 0;

    int distinct() const { return symmetric ? 1 : n_marginals; }
    index_t pairs() const { return edges ? edge_count : symmetric ? 1 : index_t{n_marginals} * (n_marginals - 1) / 2; }
    // Where the pair p < q stands among all; -1 for one that is no edge.
    index_t pair(int p, int q) const {
        for (index_t e = 0; edges && e < edge_count; ++e)
            if (edges[e].p == p && edges[e].q == q) return e;
        if (edges) return -1;
        return symmetric ? 0 : index_t{p} * (2 * n_marginals - p - 1) / 2 + (q - p - 1);
    }
};

// Every backend's first step. Throws InvalidValue.
template <class T>
void require_shapes(const Problem<T>& problem);

struct Schedule {
    double tol;        // of the L1 marginal error, the largest of all marginals
    index_t max_iter;  // sweeps
    int memory = 0;    // of Anderson acceleration; 0: none
    // Called about ten times a second with the number of sweeps done, whose results are written; true ends the call.
    bool (*report)(void*, index_t) = nullptr;
    void* context = nullptr;
};

struct Progress {
    index_t sweeps;  // done; each wrote its marginal error and dual value
    bool converged;  // the last one's error is at most tol
    // Of all sweeps, summed term by term where a product might have underflowed; with edges, entries of tables.
    index_t exact_rows = 0;
};

// Sweeps over all potentials (one array, one after the other), in symmetric mode f <- ((N - 1) f + T(f)) / N. `errors`
// and `values` get each sweep's marginal error and dual value. Leaves the potentials after the last full sweep, or in
// symmetric mode those that it measured; never those of a leap (of the acceleration) that lowered the dual value.
template <class T>
Progress sinkhorn(const Problem<T>& problem, const Schedule& schedule, double* potentials, double* errors,
                  double* values, const Control& control = {});

template <class T>
struct Output {
    Matrix<T>* pairs = nullptr;        // plans of pairs, as costs are ordered; null entries: not wanted
    Matrix<T>* grad_points = nullptr;  // of <c, plan> at a fixed plan; one a distinct marginal, null entries likewise
    bool plans_only = false;           // nothing but the plans wanted: the summary is void
};

struct Summary {
    double value;         // sum_p <a_p, f_p> - epsilon (mass - 1), a lower bound of the minimum
    double value_linear;  // <c, plan>
    double mass;
    double marginal_error;               // the largest L1 error of a marginal
    bool finished;                       // false after a stop: all void
    std::vector<double> marginals = {};  // of the plan, laid out as the potentials are
    index_t exact_rows = 0;              // of the plans of pairs, as in Progress
};

// Potentials of -inf leave their points out of the plans; the summary then is void.
template <class T>
Summary evaluate(const Problem<T>& problem, const double* potentials, const Output<T>& output,
                 const Control& control = {});

// The plan's marginal of any two marginals p < q, an edge or not, of a problem with edges. False after a stop.
template <class T>
bool pair_plan(const Problem<T>& problem, const double* potentials, int p, int q, Matrix<T> plan,
               const Control& control = {});

// Bytes that one call of either allocates at most, sweeps with so much memory of the acceleration.
template <class T>
std::size_t workspace_bytes(const Problem<T>& problem, int threads, int memory = 0);
// Of one call of pair_plan.
template <class T>
std::size_t pair_workspace_bytes(const Problem<T>& problem, int p, int q, int threads);

// The bags of the junction tree that the sums go along, in the order of elimination: each begins with the variable
// that it eliminates, its neighbours at that time follow.
std::vector<std::vector<int>> elimination_bags(const std::vector<index_t>& sizes, const std::vector<Edge>& edges);

}  // namespace deblai::multimarginal
