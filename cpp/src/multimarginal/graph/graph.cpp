#include "graph.hpp"

#include <algorithm>
#include <limits>

#include "deblai/error.hpp"
#include "graph-algebra.hpp"
#include "multimarginal/tally.hpp"

namespace deblai::multimarginal {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

// Nanoseconds of one thread, roughly: what matters is whether threads are worth starting.
double nanoseconds(const EliminationTree& tree, const Demand& d) {
    return d.operations * (tree.width() > 1 ? 0.3 : 3.0);
}

template <class T>
std::vector<Masses> masses_of(const Problem<T>& q) {
    std::vector<Masses> all;
    for (int p = 0; p < q.n_marginals; ++p) all.push_back(masses(p, q.marginals[p]));
    return all;
}

// Rows of the plan of p and q, from factors around them.
template <class T>
class PairRows {
public:
    PairRows(const Factors& list, const Algebra<T, T>& algebra, const Kernels<T>& kernels, int p, int q)
        : list_(list), algebra_(algebra), kernels_(kernels), p_(p), q_(q), own_(algebra.line(list, p)) {
        const std::vector<double> other = algebra.line(list, q);
        for (double& v : own_) v += algebra.constant(list);
        top_ = *std::max_element(other.begin(), other.end());
        other_.assign(algebra.padded_size(q), -std::numeric_limits<T>::infinity());
        for (std::size_t j = 0; j < other.size(); ++j)
            other_[j] = static_cast<T>(top_ > -infinity ? other[j] - top_ : other[j]);
    }

    // Given row i of the edge's costs, or zeros.
    void row(index_t i, const T* M, T* scratch, T* out) const {
        std::copy(other_.begin(), other_.end(), scratch);
        algebra_.add_tables(list_, p_, i, q_, scratch);
        kernels_.exps(M, scratch, static_cast<index_t>(other_.size()), own_[i] + top_, out);
    }

private:
    const Factors& list_;
    const Algebra<T, T>& algebra_;
    const Kernels<T>& kernels_;
    int p_, q_;
    std::vector<double> own_;
    double top_;
    std::vector<T> other_;
};

template <class F>
void blocks(Team& team, index_t n, const F& f) {
    constexpr index_t block = 16;
    const auto run = [&](index_t task, int worker) {
        for (index_t i = task * block; i < std::min(n, (task + 1) * block); ++i) f(i, worker);
    };
    team.run((n + block - 1) / block, run);
}

// With tables of T, of a problem of S.
template <class T, class S>
std::size_t bytes_of(const Problem<S>& q, const EliminationTree& tree, int threads, int memory) {
    const std::size_t count = threads > 0 ? threads : hardware_threads();
    const std::size_t past = memory > 0 ? 2 * (std::size_t(memory) + 2) : 0;
    const std::size_t d = q.costs ? 0 : q.marginals[0].points.cols;
    std::size_t host = 0;
    for (const index_t n : sizes_of(q)) host += n * sizeof(double) * (12 + past + d);
    const double tables = demand(tree, sizes_of(q), q.edges, sizeof(T)).bytes;
    const double all = tables + static_cast<double>(host + Algebra<T, S>::shared_bytes(q)) +
                       static_cast<double>(count * (Algebra<T, S>::scratch_bytes(q, tree.width()) + 256)) +
                       2048.0 * q.n_marginals + 128.0 * static_cast<double>(q.edge_count) + 8192;
    return all < 0x1p62 ? static_cast<std::size_t>(all) : std::size_t{1} << 62;
}

}  // namespace

template <class T>
Progress graph_sinkhorn(const Problem<T>& q, const Schedule& schedule, double* potentials, double* errors,
                        double* values, const Control& control) {
    require_shapes(q);
    const EliminationTree tree = tree_of(q);
    Team team(control, nanoseconds(tree, demand(tree, sizes_of(q), q.edges, sizeof(T))) *
                           static_cast<double>(std::min<index_t>(schedule.max_iter, 100)));
    Algebra<T, T> algebra(q, q.epsilon, Semiring::sum, tree.width(), control.simd, team);
    GraphSums sums(q.epsilon, masses_of(q), tree, algebra);
    Progress done = iterate(q, schedule, sums, potentials, errors, values);
    done.exact_rows = algebra.exact();
    return done;
}

template <class T>
Summary graph_evaluate(const Problem<T>& q, const double* potentials, const Output<T>& out, const Control& control) {
    require_shapes(q);
    const EliminationTree tree = tree_of(q);
    Team team(control, 2 * nanoseconds(tree, demand(tree, sizes_of(q), q.edges, sizeof(T))));
    Algebra<T, T> algebra(q, q.epsilon, Semiring::sum, tree.width(), control.simd, team);
    GraphSums sums(q.epsilon, masses_of(q), tree, algebra);
    const Kernels<T>& kernels = instructions<T>(control.simd).pairs;
    const std::vector<index_t> at = offsets(q);
    for (int p = 0; p < q.n_marginals; ++p) sums.set_potential(p, potentials + at[p]);

    Tally<T> tally(q, out, at);
    for (int p = 0; p < q.n_marginals && !out.plans_only; ++p) {
        const std::vector<double> marginal = sums.marginal(p);
        if (team.stopped()) return {0, 0, 0, 0, false};
        std::copy(marginal.begin(), marginal.end(), tally.marginals_.begin() + at[p]);
    }
    for (int e = 0; e < q.edge_count; ++e) {
        const Matrix<T> wanted = out.pairs ? out.pairs[e] : Matrix<T>{};
        if (out.plans_only && !wanted) continue;
        const Factors list = sums.messages.around(q.edges[e].p, q.edges[e].q);
        if (team.stopped()) return {0, 0, 0, 0, false};
        for (const bool ahead : {true, false}) {
            const int p = ahead ? q.edges[e].p : q.edges[e].q, r = ahead ? q.edges[e].q : q.edges[e].p;
            if (!ahead && !tally.wants(p)) continue;
            const PairRows<T> rows(list, algebra, kernels, p, r);
            const index_t n = q.marginals[p].size, m = q.marginals[r].size;
            blocks(team, n, [&](index_t k, int worker) {
                T *const M = algebra.spare(worker, 0), *const plan = algebra.spare(worker, 1);
                T *const costs = algebra.spare(worker, 2), *const row = algebra.spare(worker, 3);
                algebra.edge_row(e, p, k, r, worker, M);
                rows.row(k, M, row, row);
                algebra.to_natural(r, row, plan);
                algebra.to_natural(r, M, costs);
                const index_t i = algebra.natural(p, k);
                for (index_t j = 0; ahead && wanted && j < m; ++j) wanted(i, j) = plan[j];
                tally.row(p, r, i, plan, costs, m, ahead, false);
            });
        }
    }
    if (team.stopped()) return {0, 0, 0, 0, false};
    tally.write(out);
    Summary summary = summarise(q, sums, potentials, tally.marginals_, tally.linear_);
    summary.exact_rows = algebra.exact();
    return summary;
}

template <class T>
bool pair_plan(const Problem<T>& q, const double* potentials, int p, int r, Matrix<T> plan, const Control& control) {
    require_shapes(q);
    require_pair(q, p, r);
    const EliminationTree tree = tree_of(q, {p, r});
    Team team(control, nanoseconds(tree, demand(tree, sizes_of(q), q.edges, sizeof(T))));
    Algebra<T, T> algebra(q, q.epsilon, Semiring::sum, tree.width(), control.simd, team);
    GraphSums sums(q.epsilon, masses_of(q), tree, algebra);
    const Kernels<T>& kernels = instructions<T>(control.simd).pairs;
    const std::vector<index_t> at = offsets(q);
    for (int k = 0; k < q.n_marginals; ++k) sums.set_potential(k, potentials + at[k]);
    const Factors list = sums.messages.around(p, r);
    if (team.stopped()) return false;
    const PairRows<T> rows(list, algebra, kernels, p, r);
    const int edge = static_cast<int>(q.pair(p, r));
    blocks(team, q.marginals[p].size, [&](index_t i, int worker) {
        T* const M = algebra.spare(worker, 0);
        T* const row = algebra.spare(worker, 1);
        if (edge >= 0)
            algebra.edge_row(edge, p, i, r, worker, M);
        else
            std::fill(M, M + algebra.padded_size(r), T(0));
        rows.row(i, M, row, row);
        for (index_t j = 0; j < plan.cols; ++j) plan(algebra.natural(p, i), algebra.natural(r, j)) = row[j];
    });
    return !team.stopped();
}

template <class T>
Minimum graph_minimum(const Problem<T>& q, const double* potentials, const Control& control) {
    require_shapes(q);
    const EliminationTree tree = tree_of(q);
    Team team(control, nanoseconds(tree, demand(tree, sizes_of(q), q.edges, sizeof(double))));
    Algebra<double, T> algebra(q, 1.0, Semiring::largest, tree.width(), control.simd, team);
    return least(q.edges, q.edge_count, masses_of(q), potentials, tree, algebra);
}

template <class T>
std::size_t graph_workspace_bytes(const Problem<T>& q, int threads, int memory) {
    return bytes_of<T>(q, tree_of(q), threads, memory);
}

template <class T>
std::size_t graph_minimum_bytes(const Problem<T>& q, int threads) {
    return bytes_of<double>(q, tree_of(q), threads, 0);
}

template <class T>
std::size_t pair_workspace_bytes(const Problem<T>& q, int p, int r, int threads) {
    return bytes_of<T>(q, tree_of(q, {p, r}), threads, 0);
}

std::vector<std::vector<int>> elimination_bags(const std::vector<index_t>& sizes, const std::vector<Edge>& edges) {
    const EliminationTree tree(sizes, edges);
    std::vector<std::vector<int>> bags;
    for (const int v : tree.order) {
        bags.push_back({v});
        bags.back().insert(bags.back().end(), tree.bags[v].others.begin(), tree.bags[v].others.end());
    }
    return bags;
}

#define DEBLAI_INSTANCES(T)                                                                                          \
    template Progress graph_sinkhorn(const Problem<T>&, const Schedule&, double*, double*, double*, const Control&); \
    template Summary graph_evaluate(const Problem<T>&, const double*, const Output<T>&, const Control&);             \
    template bool pair_plan(const Problem<T>&, const double*, int, int, Matrix<T>, const Control&);                  \
    template Minimum graph_minimum(const Problem<T>&, const double*, const Control&);                                \
    template std::size_t graph_minimum_bytes(const Problem<T>&, int);                                                \
    template std::size_t graph_workspace_bytes(const Problem<T>&, int, int);                                         \
    template std::size_t pair_workspace_bytes(const Problem<T>&, int, int, int);
DEBLAI_INSTANCES(float)
DEBLAI_INSTANCES(double)

}  // namespace deblai::multimarginal
