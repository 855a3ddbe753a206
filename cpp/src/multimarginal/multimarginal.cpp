#include "deblai/multimarginal.hpp"

#include "levels.hpp"
#include "multimarginal-sums.hpp"

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

namespace {

// Mass, <c, plan> and the gradient of the cost in the row's point, of one row of a pair's plan.
template <class T>
struct RowSummary {
    double mass = 0, linear = 0;

    RowSummary(const Problem<T>& q, int p, int r, index_t i, const T* plan, const T* M, index_t n, double* grad) {
        for (index_t j = 0; j < n; ++j) {
            if (!(plan[j] > 0)) continue;
            mass += plan[j];
            linear -= q.epsilon * static_cast<double>(plan[j]) * static_cast<double>(M[j]);
        }
        if (!grad) return;
        const auto &x = q.marginals[q.symmetric ? 0 : p].points, &y = q.marginals[q.symmetric ? 0 : r].points;
        for (index_t j = 0; j < n; ++j) {
            if (!(plan[j] > 0)) continue;
            double r2 = 0;
            for (index_t k = 0; k < x.cols; ++k) {
                const double d = static_cast<double>(x(i, k)) - static_cast<double>(y(j, k));
                r2 += d * d;
            }
            const double slope = plan[j] * q.cost.slope(r2);
            for (index_t k = 0; k < x.cols; ++k)
                grad[k] += slope * (static_cast<double>(x(i, k)) - static_cast<double>(y(j, k)));
        }
    }
};

// Adds up what the rows of the plan of (p, r) say about marginal p.
template <class T>
class Tally {
public:
    Tally(const Problem<T>& q, const Output<T>& out, const std::vector<index_t>& at)
        : q_(q), at_(at), marginals_(at.back()), linear_(at.back()) {
        if (!out.grad_points) return;
        gradients_.resize(q.distinct());
        for (int p = 0; p < q.distinct(); ++p)
            if (out.grad_points[p]) gradients_[p].resize(q.marginals[p].size * q.marginals[p].points.cols);
    }

    void row(int p, int r, index_t i, const T* plan, const T* M, index_t n, bool counts, bool first) {
        const bool wanted = !gradients_.empty() && !gradients_[p].empty();
        double* const grad = wanted ? &gradients_[p][i * q_.marginals[p].points.cols] : nullptr;
        if (!grad && !counts && !first) return;
        const RowSummary<T> s(q_, p, r, i, plan, M, n, grad);
        if (counts) linear_[at_[p] + i] += s.mass > 0 ? s.linear : 0.0;
        if (first) marginals_[at_[p] + i] = s.mass;
    }

    const Problem<T>& q_;
    const std::vector<index_t>& at_;
    std::vector<double> marginals_, linear_;
    std::vector<std::vector<double>> gradients_;
};

}  // namespace

template <class T>
Summary evaluate(const Problem<T>& q, const double* potentials, const Output<T>& out, const Control& control) {
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
    for (int p = 0; p < q.distinct() && !tally.gradients_.empty(); ++p) {
        if (tally.gradients_[p].empty()) continue;
        const Matrix<T>& to = out.grad_points[p];
        const double factor = q.symmetric ? 2 * pairs_of_one(q) : 1.0;
        for (index_t i = 0; i < to.rows; ++i)
            for (index_t k = 0; k < to.cols; ++k)
                to(i, k) = static_cast<T>(tally.gradients_[p][i * to.cols + k] * factor);
    }
    Summary summary = summarise(q, sums, potentials, tally.marginals_, tally.linear_);
    summary.exact_rows = sums.exact_rows();
    return summary;
}

template <class T>
std::size_t workspace_bytes(const Problem<T>& q, int threads, int memory) {
    const std::size_t count = threads > 0 ? threads : hardware_threads();
    // Points of the iteration, each as long as the potentials: those of the sweeps, and the past of the acceleration.
    const std::size_t past = memory > 0 ? 2 * (std::size_t(memory) + 2) : 0,
                      d = q.costs ? 0 : q.marginals[0].points.cols;
    std::size_t total = 0;
    for (int p = 0; p < q.distinct(); ++p)
        total += q.marginals[p].size * sizeof(double) * (8 + std::max(past, d));
    return total + Sums<T>::bytes(q, static_cast<int>(count)) + 4096 + 128 * count;
}

#define DEBLAI_INSTANCES(T)                                                                                    \
    template Progress sinkhorn(const Problem<T>&, const Schedule&, double*, double*, double*, const Control&); \
    template Summary evaluate(const Problem<T>&, const double*, const Output<T>&, const Control&);             \
    template std::size_t workspace_bytes(const Problem<T>&, int, int);
DEBLAI_INSTANCES(float)
DEBLAI_INSTANCES(double)

}  // namespace deblai::multimarginal
