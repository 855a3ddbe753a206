#include "deblai/multimarginal-host.hpp"

#include <algorithm>
#include <chrono>
#include <limits>
#include <numeric>

#include "anderson.hpp"
#include "deblai/check.hpp"

namespace deblai::multimarginal {
namespace {

constexpr auto report_interval = std::chrono::milliseconds(100);
constexpr double infinity = std::numeric_limits<double>::infinity();

// Moves x towards `from` until no entry is further than `most`; returns the distance left.
double shorten(std::vector<double>& x, const std::vector<double>& from, double most) {
    double far = 0;
    for (std::size_t i = 0; i < x.size(); ++i) far = std::max(far, std::abs(x[i] - from[i]));
    if (far <= most) return far;
    for (std::size_t i = 0; i < x.size(); ++i) x[i] = from[i] + (x[i] - from[i]) * (most / far);
    return most;
}

// Constants that move from one potential to another change nothing, and combinations of past points would let them
// grow: all means become equal.
void level(std::vector<double>& x, const std::vector<index_t>& at) {
    const auto count = static_cast<double>(at.size() - 1);
    std::vector<double> means;
    for (std::size_t p = 0; p + 1 < at.size(); ++p)
        means.push_back(std::accumulate(x.begin() + at[p], x.begin() + at[p + 1], 0.0) /
                        static_cast<double>(at[p + 1] - at[p]));
    const double all = std::accumulate(means.begin(), means.end(), 0.0) / count;
    for (std::size_t p = 0; p + 1 < at.size(); ++p)
        for (index_t i = at[p]; i < at[p + 1]; ++i) x[i] += all - means[p];
}

}  // namespace

std::string named(const char* argument, int k) {
    const std::string name = std::string("[multimarginal.sinkhorn] ") + argument;
    return k < 0 ? name : name + "[" + std::to_string(k) + "]";
}

InvalidValue not_a_cost(index_t pair, double value) {
    return InvalidValue(named("cost", static_cast<int>(pair)) + ": expected numbers or +inf, got " +
                        (value < 0 ? "-inf" : "nan"));
}

InvalidValue not_symmetric(index_t i, index_t j) {
    return InvalidValue(
        "[multimarginal.sinkhorn] cost: expected a symmetric matrix for equal marginals, got different values at [" +
        std::to_string(i) + ", " + std::to_string(j) +
        "] and its mirror; give a list of weights for marginals that differ");
}

template <class T>
Masses masses(int p, const Marginal<T>& m) {
    const double mass = m.weights ? require_mass(named("weights", p).c_str(), m.weights) : 1.0;
    Masses s;
    s.weights.resize(m.size);
    s.logs.resize(m.size);
    for (index_t i = 0; i < m.size; ++i) {
        s.weights[i] = m.weights ? m.weights(i) / mass : 1.0 / static_cast<double>(m.size);
        s.logs[i] = std::log(s.weights[i]);
    }
    return s;
}

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
    require(!q.edges || !q.symmetric, "graph: expected marginals of their own, one each");
    const auto require_matrix = [&](index_t pair, int a, int b) {
        const Matrix<const T>& c = q.costs[pair];
        require(c && c.rows == q.marginals[a].size && c.cols == q.marginals[b].size,
                "cost: expected matrices of one row and one column per point of the pair");
    };
    for (index_t e = 0; q.edges && e < q.edge_count; ++e) {
        const auto [a, b] = q.edges[e];
        require(0 <= a && a < b && b < q.n_marginals, "graph: expected edges p < q between marginals that are there");
        require(q.pair(a, b) == e, "graph: expected each edge once");
        if (q.costs) require_matrix(e, a, b);
    }
    for (int a = 0; q.costs && !q.edges && a < q.distinct(); ++a)
        for (int b = q.symmetric ? a : a + 1; b < q.distinct(); ++b) require_matrix(q.pair(a, b), a, b);
}

template <class T>
Roles choose_roles(const Problem<T>& problem, int p, int q) {
    const auto size = [&](int k) { return problem.marginals[problem.symmetric ? 0 : k].size; };
    Roles roles{p, q, -1, {}};
    std::vector<int> others;
    for (int k = 0; k < problem.n_marginals; ++k)
        if (k != p && k != q) others.push_back(k);
    std::stable_sort(others.begin(), others.end(), [&](int a, int b) { return size(a) > size(b); });
    auto next = others.begin();
    roles.r = *next++;
    if (q < 0) roles.q = *next++;
    roles.fixed.assign(next, others.end());
    return roles;
}

template <class T>
double terms(const Problem<T>& problem, const Roles& roles) {
    const auto size = [&](int k) { return static_cast<double>(problem.marginals[problem.symmetric ? 0 : k].size); };
    double count = size(roles.q) * size(roles.r);
    for (const int l : roles.fixed) count *= size(l);
    return count;
}

template <class T>
Progress iterate(const Problem<T>& q, const Schedule& schedule, Conditionals& sums, double* potentials, double* errors,
                 double* values) {
    const std::vector<index_t> at = offsets(q);
    std::vector<double> metric, x(potentials, potentials + at.back()), image, safe = x, lse;
    // Points without weight move nothing, but their potentials are wanted, too.
    constexpr double least = 1e-3;
    for (int p = 0; p < q.distinct(); ++p)
        for (const double a : sums.weights(p))
            metric.push_back(std::max(a, least / static_cast<double>(sums.weights(p).size())));
    if (schedule.memory > 0 && !q.symmetric) level(x, at);
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
        for (int k = 0; k < q.distinct(); ++k) {
            const int p = sums.order(k);
            const std::vector<double>& weights = sums.weights(p);
            lse.resize(weights.size());
            if (!sums.conditional(p, drift, lse.data())) return done;
            double off = 0, mass = 0;
            for (std::size_t i = 0; i < weights.size(); ++i) {
                double& now = image[at[p] + i];
                const double a = weights[i];
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
            if (schedule.memory > 0 && !q.symmetric) level(image, at);
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

template <class T>
Summary summarise(const Problem<T>& q, const Conditionals& sums, const double* potentials,
                  const std::vector<double>& marginals, const std::vector<double>& linear) {
    const std::vector<index_t> at = offsets(q);
    const double pairs = pairs_of_one(q);
    Summary s{0, 0, 0, 0, true};
    for (int p = 0; p < q.distinct(); ++p) {
        const std::vector<double>& weights = sums.weights(p);
        double off = 0, mass = 0;
        for (std::size_t i = 0; i < weights.size(); ++i) {
            const double m = marginals[at[p] + i];
            off += std::abs(m - weights[i]);
            mass += m;
            s.value_linear += pairs * linear[at[p] + i];
            s.value += (q.symmetric ? q.n_marginals : 1) * weights[i] * potentials[at[p] + i];
        }
        if (p == 0) s.mass = mass;
        s.marginal_error = std::max(s.marginal_error, off);
    }
    s.value -= q.epsilon * (s.mass - 1.0);
    s.marginals = marginals;
    return s;
}

#define DEBLAI_INSTANCES(T)                                                                                       \
    template Masses masses(int, const Marginal<T>&);                                                              \
    template void require_shapes(const Problem<T>&);                                                              \
    template Roles choose_roles(const Problem<T>&, int, int);                                                     \
    template double terms(const Problem<T>&, const Roles&);                                                       \
    template Progress iterate(const Problem<T>&, const Schedule&, Conditionals&, double*, double*, double*);      \
    template Summary summarise(const Problem<T>&, const Conditionals&, const double*, const std::vector<double>&, \
                               const std::vector<double>&);
DEBLAI_INSTANCES(float)
DEBLAI_INSTANCES(double)

}  // namespace deblai::multimarginal
