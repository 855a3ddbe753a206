#include "deblai/multimarginal.hpp"

#include <chrono>
#include <string>

#include "anderson.hpp"
#include "deblai/error.hpp"
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

constexpr auto report_interval = std::chrono::milliseconds(100);
constexpr double infinity = std::numeric_limits<double>::infinity();

// Rough cost of one sweep in nanoseconds of one thread; decides only whether threads are worth starting.
template <class T>
double work_estimate(const Problem<T>& q) {
    double terms = 0.02 * q.distinct();
    for (int p = 0; p < q.n_marginals; ++p) terms *= static_cast<double>(q.marginals[q.symmetric ? 0 : p].size);
    return terms;
}

// Where the potential of each distinct marginal begins.
template <class T>
std::vector<index_t> offsets(const Problem<T>& q) {
    std::vector<index_t> at(q.distinct() + 1, 0);
    for (int p = 0; p < q.distinct(); ++p) at[p + 1] = at[p] + q.marginals[p].size;
    return at;
}

// Moves x towards `from` until no entry is further than `most`; returns the distance left.
double shorten(std::vector<double>& x, const std::vector<double>& from, double most) {
    double far = 0;
    for (std::size_t i = 0; i < x.size(); ++i) far = std::max(far, std::abs(x[i] - from[i]));
    if (far <= most) return far;
    for (std::size_t i = 0; i < x.size(); ++i) x[i] = from[i] + (x[i] - from[i]) * (most / far);
    return most;
}

// Points that are infinitely far from themselves share no plan beyond 1 / N of the mass each.
template <class T>
void require_room(const Problem<T>& q, const Sums<T>& sums) {
    if (!q.symmetric) return;
    const Side<T>& side = sums.side(0);
    for (index_t i = 0; i < side.size; ++i) {
        if (side.weights[i] * q.n_marginals <= 1.0 + 1e-6) continue;
        if (sums.row(0, q.n_marginals > 2 ? 0 : 1, i, 0)[i] > -infinity) continue;
        throw InvalidValue("[multimarginal.sinkhorn] weights: expected at most 1/" + std::to_string(q.n_marginals) +
                           " of the mass at a point whose cost with itself is infinite, got " +
                           std::to_string(side.weights[i]) + " at [" + std::to_string(i) + "]");
    }
}

}  // namespace

template <class T>
void require_shapes(const Problem<T>& q) {
    const auto require = [](bool ok, const char* message) {
        if (!ok) throw InvalidValue(std::string("[multimarginal.sinkhorn] ") + message);
    };
    require(q.n_marginals >= 2, "n_marginals: expected at least 2");
    require(q.epsilon > 0 && q.epsilon < infinity, "epsilon: expected a positive finite number");
    for (int p = 0; p < q.distinct(); ++p) {
        const Marginal<T>& m = q.marginals[p];
        require(m.size > 0, "points: expected at least one point a marginal");
        require(m.size < (index_t{1} << 31), "points: expected fewer than 2^31 points");
        require(!m.weights || m.weights.size == m.size, "weights: expected one weight per point");
        if (q.costs) continue;
        require(m.points.rows == m.size && m.points.cols > 0, "points: expected shape (n, d)");
        require(m.points.cols == q.marginals[0].points.cols, "points: expected as many coordinates in each marginal");
    }
    for (int a = 0; q.costs && a < q.distinct(); ++a)
        for (int b = q.symmetric ? a : a + 1; b < q.distinct(); ++b) {
            const Matrix<const T>& c = q.costs[q.pair(a, b)];
            require(c && c.rows == q.marginals[a].size && c.cols == q.marginals[b].size,
                    "cost: expected matrices of one row and one column per point of the pair");
        }
}

template <class T>
Progress sinkhorn(const Problem<T>& q, const Schedule& schedule, double* potentials, double* errors, double* values,
                  const Control& control) {
    require_shapes(q);
    const Kernels<T>& kernel = kernels(control.simd, T{});
    Team team(control, work_estimate(q) * static_cast<double>(std::min<index_t>(schedule.max_iter, 100)));
    Sums<T> sums(q, kernel, team);
    require_room(q, sums);
    const std::vector<index_t> at = offsets(q);
    std::vector<double> metric, x(potentials, potentials + at.back()), image, safe = x, lse;
    for (int p = 0; p < q.distinct(); ++p)
        metric.insert(metric.end(), sums.side(p).weights.begin(), sums.side(p).weights.end());
    Anderson anderson(schedule.memory, metric);
    Progress done{0, false};
    double best = -infinity, lowest = infinity, drift = infinity;  // the highest dual value so far
    double reach = 1;                                              // of a leap, in units of epsilon
    bool leapt = false;
    auto reported = std::chrono::steady_clock::now();
    for (;;) {
        // One sweep from x: its image, the marginal error on the way, and the dual value (of x in symmetric mode, of
        // the image in general mode, where it is of mass 1).
        image = x;
        double error = 0, value = 0, moved = 0;
        for (int p = 0; p < q.distinct(); ++p) sums.set_potential(p, &x[at[p]]);
        for (int p = 0; p < q.distinct(); ++p) {
            const Side<T>& side = sums.side(p);
            lse.resize(side.size);
            sums.conditional(p, drift, lse.data());
            if (team.stopped()) return done;
            double off = 0, mass = 0;
            for (index_t i = 0; i < side.size; ++i) {
                double& now = image[at[p] + i];
                const double a = side.weights[i];
                if (lse[i] == -infinity) {
                    if (a == 0) continue;
                    throw InvalidValue("[multimarginal.sinkhorn] cost: point " + std::to_string(i) + " of marginal " +
                                       std::to_string(p) + " has infinite cost with all choices of the others");
                }
                const double next = -q.epsilon * lse[i], step = (next - now) / q.epsilon;
                off += a * std::abs(std::expm1(-step));
                mass += a * std::exp(-step);
                moved = std::max(moved, std::abs(step));
                value += q.symmetric ? a * now * q.n_marginals : a * next;
                now = q.symmetric ? now + (next - now) / q.n_marginals : next;
            }
            error = std::max(error, off);
            if (q.symmetric)
                value -= q.epsilon * (mass - 1);
            else
                sums.set_potential(p, &image[at[p]]);
        }
        values[done.sweeps] = value;
        errors[done.sweeps++] = error;
        done.converged = error <= schedule.tol;
        bool last = done.converged || done.sweeps >= schedule.max_iter;

        // A leap that lowers the dual value by more than the marginal error excuses is taken back; so is one to NaN.
        const bool fell = leapt && !(value >= best - q.epsilon * std::min(1.0, lowest));
        if (fell && !done.converged) {
            x = safe;
            leapt = false;
            reach *= 0.25;
            drift = infinity;
        } else {
            best = std::max(best, value);
            lowest = std::min(lowest, error);
            safe = image;
            std::copy(q.symmetric ? x.begin() : image.begin(), q.symmetric ? x.end() : image.end(), potentials);
            if (leapt) reach *= 2;
            x = anderson.next(x, image);
            leapt = shorten(x, image, reach * q.epsilon) > 0;
            drift = moved + reach;
        }
        const auto now = std::chrono::steady_clock::now();
        if (schedule.report && now - reported >= report_interval) {
            reported = now;
            last |= schedule.report(schedule.context, done.sweeps);
        }
        if (last) return done;
    }
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
        std::size_t most = 0;
        for (int a = 0; a < q.distinct(); ++a)
            for (int b = 0; b < q.distinct(); ++b)
                most = std::max<std::size_t>(most, sums.side(a).size * sums.side(b).ld);
        const Buffer memory = allocate(most * sizeof(T));
        T* const plan = reinterpret_cast<T*>(memory.get());
        for (int a = 0; a < q.distinct() && !team.stopped(); ++a)
            for (int b = a + 1; b < (q.symmetric ? 2 : N) && !team.stopped(); ++b) {
                if (out.plans_only && !wanted(a, b)) continue;
                const index_t n = sums.side(a).size, m = sums.side(b).size, ld = sums.side(b).ld;
                sums.pair(a, b, plan);
                if (team.stopped()) break;
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
    Summary s{0, 0, 0, 0, !team.stopped()};
    if (!s.finished) return s;

    const double pairs = q.symmetric ? 0.5 * N * (N - 1) : 1.0;
    for (int p = 0; p < q.distinct(); ++p) {
        const Side<T>& side = sums.side(p);
        double off = 0, mass = 0;
        for (index_t i = 0; i < side.size; ++i) {
            const double m = tally.marginals_[at[p] + i];
            off += std::abs(m - side.weights[i]);
            mass += m;
            s.value_linear += pairs * tally.linear_[at[p] + i];
            s.value += (q.symmetric ? N : 1) * side.weights[i] * potentials[at[p] + i];
        }
        if (p == 0) s.mass = mass;
        s.marginal_error = std::max(s.marginal_error, off);
        if (tally.gradients_.empty() || tally.gradients_[p].empty()) continue;
        const Matrix<T>& to = out.grad_points[p];
        for (index_t i = 0; i < to.rows; ++i)
            for (index_t k = 0; k < to.cols; ++k)
                to(i, k) = static_cast<T>(tally.gradients_[p][i * to.cols + k] * 2 * pairs / (q.symmetric ? 1 : 2));
    }
    s.value -= q.epsilon * (s.mass - 1.0);
    return s;
}

template <class T>
std::size_t workspace_bytes(const Problem<T>& q, int threads) {
    const auto s = Sums<T>::sizes(q);
    const std::size_t count = threads > 0 ? threads : hardware_threads();
    std::size_t total = 0, d = q.costs ? 0 : q.marginals[0].points.cols, plan = 0;
    for (int p = 0; p < q.distinct(); ++p) {
        total += q.marginals[p].size * sizeof(double) * (4 + d);
        for (int r = 0; r < q.distinct() && q.n_marginals > 2; ++r)
            plan = std::max<std::size_t>(plan, q.marginals[p].size * padded<T>(q.marginals[r].size) * sizeof(T));
    }
    return total + plan + s.sides + s.costs + s.panels + s.scratch * count + 4096 + 128 * count;
}

#define DEBLAI_INSTANCES(T)                                                                                    \
    template void require_shapes(const Problem<T>&);                                                           \
    template Progress sinkhorn(const Problem<T>&, const Schedule&, double*, double*, double*, const Control&); \
    template Summary evaluate(const Problem<T>&, const double*, const Output<T>&, const Control&);             \
    template std::size_t workspace_bytes(const Problem<T>&, int);
DEBLAI_INSTANCES(float)
DEBLAI_INSTANCES(double)

}  // namespace deblai::multimarginal
