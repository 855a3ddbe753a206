#include "deblai/multimarginal.hpp"

#include "levels.hpp"
#include "multimarginal/complete/multimarginal-sums.hpp"
#include "multimarginal/graph/graph.hpp"
#include "tally.hpp"

DEBLAI_DECLARE_LEVELS(multimarginal::Kernels<float>, multimarginal_f32)
DEBLAI_DECLARE_LEVELS(multimarginal::Kernels<double>, multimarginal_f64)

namespace deblai::multimarginal {
namespace {

constexpr const Kernels<float>* levels_f32[] = DEBLAI_LEVELS(multimarginal_f32);
constexpr const Kernels<double>* levels_f64[] = DEBLAI_LEVELS(multimarginal_f64);

const Kernels<float>& kernels(const char* simd, float) { return pick(levels_f32, simd); }
const Kernels<double>& kernels(const char* simd, double) { return pick(levels_f64, simd); }

constexpr double infinity = std::numeric_limits<double>::infinity();

// Rough cost of one sweep in nanoseconds of one thread; decides only whether threads are worth starting.
template <class T>
double work_estimate(const Problem<T>& q) {
    double terms = 0.02 * q.distinct();
    for (int p = 0; p < q.n_marginals; ++p) terms *= static_cast<double>(q.marginals[q.symmetric ? 0 : p].size);
    return terms;
}

}  // namespace

template <class T>
Progress sinkhorn(const Problem<T>& q, const Schedule& schedule, double* potentials, double* errors, double* values,
                  const Control& control) {
    if (q.edges) return graph_sinkhorn(q, schedule, potentials, errors, values, control);
    require_shapes(q);
    const Kernels<T>& kernel = kernels(control.simd, T{});
    Team team(control, work_estimate(q) * static_cast<double>(std::min<index_t>(schedule.max_iter, 100)));
    Sums<T> sums(q, kernel, team);
    if (q.symmetric)
        require_room(sums.weights(0), q.n_marginals,
                     [&](index_t i) { return sums.row(0, q.n_marginals > 2 ? 0 : 1, i, 0)[i] == -infinity; });
    Progress done = iterate(q, schedule, sums, potentials, errors, values);
    done.exact_rows = sums.exact_rows();
    return done;
}

template <class T>
Summary evaluate(const Problem<T>& q, const double* potentials, const Output<T>& out, const Control& control) {
    if (q.edges) return graph_evaluate(q, potentials, out, control);
    require_shapes(q);
    const Kernels<T>& kernel = kernels(control.simd, T{});
    Team team(control, 2 * work_estimate(q));
    Sums<T> sums(q, kernel, team);
    const std::vector<index_t> at = offsets(q);
    for (int p = 0; p < q.distinct(); ++p) sums.set_potential(p, potentials + at[p]);

    constexpr index_t block = 16;
    const int N = q.n_marginals;
    Tally<T> tally(q, out, at);
    const auto blocks = [&](index_t n, const auto& f) {
        const auto run = [&](index_t task, int worker) {
            for (index_t i = task * block; i < std::min(n, (task + 1) * block); ++i) f(i, worker);
        };
        team.run((n + block - 1) / block, run);
    };
    const auto emit = [&](Matrix<T> to, index_t i, const T* plan) {
        for (index_t j = 0; to && j < to.cols; ++j) to(i, j) = plan[j];
    };
    const auto wanted = [&](int a, int b) { return out.pairs ? out.pairs[q.pair(a, b)] : Matrix<T>{}; };

    if (N == 2) {
        for (int p = 0; p < q.distinct(); ++p)
            blocks(sums.side(p).size, [&](index_t i, int worker) {
                const T* const M = sums.row(p, 1 - p, i, worker);
                T* const plan = sums.spare_row(worker);
                sums.plan_row(p, 1 - p, i, M, plan);
                if (p == 0) emit(wanted(0, 1), i, plan);
                tally.row(p, 1 - p, i, plan, M, sums.side(1 - p).size, p == 0, true);
            });
    } else {
        for (int a = 0; a < q.distinct() && !team.stopped(); ++a)
            for (int b = a + 1; b < (q.symmetric ? 2 : N) && !team.stopped(); ++b) {
                if (out.plans_only && !wanted(a, b)) continue;
                const index_t n = sums.side(a).size, m = sums.side(b).size, ld = sums.side(b).ld;
                const T* const plan = sums.pair(a, b);
                if (!plan) break;
                blocks(n, [&](index_t i, int worker) {
                    emit(wanted(a, b), i, plan + i * ld);
                    tally.row(a, b, i, plan + i * ld, sums.row(a, b, i, worker), m, true, a == 0 && b == 1);
                });
                if (q.symmetric) continue;
                blocks(m, [&](index_t j, int worker) {
                    T* const column = sums.spare_row(worker);
                    for (index_t i = 0; i < n; ++i) column[i] = plan[i * ld + j];
                    tally.row(b, a, j, column, sums.row(b, a, j, worker), n, false, a == 0);
                });
            }
    }
    if (team.stopped()) return {0, 0, 0, 0, false};
    tally.write(out);
    Summary summary = summarise(q, sums, potentials, tally.marginals_, tally.linear_);
    summary.exact_rows = sums.exact_rows();
    return summary;
}

template <class T>
std::size_t workspace_bytes(const Problem<T>& q, int threads, int memory) {
    if (q.edges) return graph_workspace_bytes(q, threads, memory);
    const std::size_t count = threads > 0 ? threads : hardware_threads();
    // Points of the iteration, each as long as the potentials: those of the sweeps, and the past of the acceleration.
    const std::size_t past = memory > 0 ? 2 * (std::size_t(memory) + 2) : 0,
                      d = q.costs ? 0 : q.marginals[0].points.cols;
    std::size_t total = 0;
    for (int p = 0; p < q.distinct(); ++p) total += q.marginals[p].size * sizeof(double) * (8 + std::max(past, d));
    return total + Sums<T>::bytes(q, static_cast<int>(count)) + 4096 + 128 * count;
}

#define DEBLAI_INSTANCES(T)                                                                                    \
    template Progress sinkhorn(const Problem<T>&, const Schedule&, double*, double*, double*, const Control&); \
    template Summary evaluate(const Problem<T>&, const double*, const Output<T>&, const Control&);             \
    template std::size_t workspace_bytes(const Problem<T>&, int, int);
DEBLAI_INSTANCES(float)
DEBLAI_INSTANCES(double)

}  // namespace deblai::multimarginal
