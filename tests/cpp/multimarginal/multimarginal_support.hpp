// A multi-marginal problem that owns its arrays, what comes out of calls, and the truth: the whole tensor in double.
#pragma once

#include <functional>
#include <limits>

#include "check.hpp"
#include "deblai/multimarginal.hpp"
#include "support.hpp"

namespace deblai::test {

namespace mm = multimarginal;
constexpr double inf = std::numeric_limits<double>::infinity();

template <class T>
struct Case {
    std::vector<index_t> sizes;  // one: all marginals are equal
    int n_marginals;
    double epsilon = 1;
    index_t d = 0;  // 0: matrices
    PairCost cost = {};
    std::vector<std::vector<T>> points = {}, weights = {}, costs = {};  // empty weights: equal ones
    std::vector<mm::Marginal<T>> marginals = {};
    std::vector<Matrix<const T>> matrices = {};
    bool graph = false;  // whether the edges say which pairs have a cost
    std::vector<mm::Edge> edges = {};

    bool symmetric() const { return sizes.size() == 1; }
    index_t length() const { return std::accumulate(sizes.begin(), sizes.end(), index_t{0}); }
    index_t size(int p) const { return sizes[symmetric() ? 0 : p]; }
    std::vector<mm::Edge> pairs() const {
        std::vector<mm::Edge> out = edges;
        for (int a = 0; !graph && a < static_cast<int>(sizes.size()); ++a)
            for (int b = symmetric() ? a : a + 1; b < static_cast<int>(sizes.size()); ++b) out.push_back({a, b});
        return out;
    }

    mm::Problem<T> problem() {
        marginals.clear();
        matrices.clear();
        for (std::size_t p = 0; p < sizes.size(); ++p) {
            mm::Marginal<T> m{sizes[p], {}, {}};
            if (d) m.points = {points[p].data(), sizes[p], d, d, 1};
            if (!weights[p].empty()) m.weights = {weights[p].data(), static_cast<index_t>(weights[p].size()), 1};
            marginals.push_back(m);
        }
        std::size_t next = 0;
        for (const auto& [a, b] : d ? std::vector<mm::Edge>{} : pairs())
            matrices.push_back({costs[next++].data(), sizes[a], sizes[b], sizes[b], 1});
        matrices.reserve(1);  // not null where there are no edges
        edges.reserve(1);
        return {n_marginals,
                symmetric(),
                marginals.data(),
                d ? nullptr : matrices.data(),
                cost,
                epsilon,
                graph ? edges.data() : nullptr,
                static_cast<index_t>(edges.size())};
    }
};

struct Kind {
    bool weighted = true, zeros = false, infinite = false;
};

// Uniform points in the cube or costs in [0, 1], weights in [0.5, 1.5]; every sixth weight may be zero, the diagonals
// of the costs infinite.
template <class T>
Case<T> random_case(std::vector<index_t> sizes, int n_marginals, double epsilon, index_t d, PairCost cost, Kind kind,
                    std::uint64_t seed) {
    Case<T> c{std::move(sizes), n_marginals, epsilon, d, cost};
    for (std::size_t p = 0; p < c.sizes.size(); ++p) {
        c.points.push_back(uniform<T>(c.sizes[p] * d, seed + p));
        c.weights.push_back(uniform<T>(kind.weighted ? c.sizes[p] : 0, seed + 100 + p));
        for (std::size_t i = 0; i < c.weights[p].size(); ++i)
            c.weights[p][i] = kind.zeros && i % 6 == 2 ? T(0) : c.weights[p][i] + T(0.5);
    }
    for (std::size_t a = 0; !d && a < c.sizes.size(); ++a)
        for (std::size_t b = c.symmetric() ? a : a + 1; b < c.sizes.size(); ++b) {
            const index_t n = c.sizes[a], m = c.sizes[b];
            std::vector<T> v = uniform<T>(n * m, seed + 200 + 10 * a + b);
            for (index_t i = 0; c.symmetric() && i < n; ++i)
                for (index_t j = 0; j < i; ++j) v[i * n + j] = v[j * n + i];
            for (index_t i = 0; kind.infinite && i < std::min(n, m); ++i)
                v[i * m + i] = std::numeric_limits<T>::infinity();
            c.costs.push_back(std::move(v));
        }
    return c;
}

// The same problem with costs on edges p < q alone.
template <class T>
Case<T> on_graph(Case<T> c, std::vector<mm::Edge> edges) {
    std::vector<std::vector<T>> costs;
    std::size_t next = 0;
    for (const auto& [a, b] : c.d ? std::vector<mm::Edge>{} : c.pairs()) {
        for (const auto& e : edges)
            if (e.p == a && e.q == b) costs.push_back(c.costs[next]);
        ++next;
    }
    std::sort(edges.begin(), edges.end(), [](auto a, auto b) { return a.p != b.p ? a.p < b.p : a.q < b.q; });
    c.costs = std::move(costs);
    c.edges = std::move(edges);
    c.graph = true;
    return c;
}

template <class T>
struct Run {
    std::vector<double> potentials, errors, values;
    mm::Progress done{};
};

template <class T>
Run<T> sweep(Case<T> c, const mm::Schedule& schedule, const Control& control = {}, std::vector<double> init = {}) {
    if (init.empty()) init.assign(c.length(), 0.0);
    Run<T> r{std::move(init), std::vector<double>(schedule.max_iter, NAN), std::vector<double>(schedule.max_iter, NAN)};
    r.done = mm::sinkhorn(c.problem(), schedule, r.potentials.data(), r.errors.data(), r.values.data(), control);
    return r;
}

template <class T>
struct Evaluated {
    std::vector<std::vector<T>> plans, gradients;
    mm::Summary summary{};
};

template <class T>
Evaluated<T> evaluate(Case<T> c, const std::vector<double>& potentials, const Control& control = {}) {
    Evaluated<T> e;
    std::vector<Matrix<T>> plans, gradients;
    e.plans.reserve(64);
    e.gradients.reserve(64);
    for (const auto& [a, b] : c.pairs()) {
        e.plans.emplace_back(c.sizes[a] * c.sizes[b], T(-1));
        plans.push_back({e.plans.back().data(), c.sizes[a], c.sizes[b], c.sizes[b], 1});
    }
    for (std::size_t p = 0; c.d && p < c.sizes.size(); ++p) {
        e.gradients.emplace_back(c.sizes[p] * c.d, T(-1));
        gradients.push_back({e.gradients.back().data(), c.sizes[p], c.d, c.d, 1});
    }
    const mm::Output<T> out{plans.data(), c.d ? gradients.data() : nullptr, false};
    e.summary = mm::evaluate(c.problem(), potentials.data(), out, control);
    return e;
}

// The tensor of costs, entry by entry in double, from the same numbers that the kernel gets.
template <class T>
class Truth {
public:
    std::vector<std::vector<double>> weights;

    explicit Truth(const Case<T>& c) : c_(c) {
        for (std::size_t p = 0; p < c.sizes.size(); ++p) {
            std::vector<double> w(c.sizes[p], 1.0);
            if (!c.weights[p].empty()) w.assign(c.weights[p].begin(), c.weights[p].end());
            const double mass = std::accumulate(w.begin(), w.end(), 0.0);
            for (double& v : w) v /= mass;
            weights.push_back(std::move(w));
        }
        at_.push_back(0);
        for (const index_t n : c.sizes) at_.push_back(at_.back() + n);
    }

    int own(int p) const { return c_.symmetric() ? 0 : p; }
    double weight(int p, index_t i) const { return weights[own(p)][i]; }

    double r2(int p, int q, index_t i, index_t j) const {
        double sum = 0;
        for (index_t k = 0; k < c_.d; ++k) {
            const double gap = double(c_.points[own(p)][i * c_.d + k]) - double(c_.points[own(q)][j * c_.d + k]);
            sum += gap * gap;
        }
        return sum;
    }
    // Of p < q, as plans are ordered; -1 for one without a cost.
    index_t pair(int p, int q) const {
        if (!c_.graph) return c_.symmetric() ? 0 : index_t{p} * (2 * c_.n_marginals - p - 1) / 2 + (q - p - 1);
        for (std::size_t e = 0; e < c_.edges.size(); ++e)
            if (c_.edges[e].p == p && c_.edges[e].q == q) return static_cast<index_t>(e);
        return -1;
    }
    double cost(int p, int q, index_t i, index_t j) const {  // p < q
        const index_t at = pair(p, q);
        if (at < 0) return 0;
        return c_.d ? c_.cost.cost(r2(p, q, i, j)) : c_.costs[at][i * c_.size(q) + j];
    }

    // Calls f(indices, exponent) for every entry: the sum of potentials less the cost, over epsilon.
    template <class F>
    void each(const std::vector<double>& potentials, const F& f) const {
        std::vector<index_t> at(c_.n_marginals, 0);
        for (;;) {
            double e = 0;
            for (int p = 0; p < c_.n_marginals; ++p) {
                e += potentials[at_[own(p)] + at[p]];
                for (int q = p + 1; q < c_.n_marginals; ++q) e -= cost(p, q, at[p], at[q]);
            }
            f(at, e / c_.epsilon);
            int p = c_.n_marginals - 1;
            while (p >= 0 && ++at[p] == c_.size(p)) at[p--] = 0;
            if (p < 0) return;
        }
    }

    // -epsilon log of the sum over all marginals but p
    std::vector<double> conditional(int p, const std::vector<double>& potentials) const {
        std::vector<double> top(c_.size(p), -inf), sum(c_.size(p), 0.0), out(c_.size(p));
        const auto own_term = [&](index_t i) { return potentials[at_[own(p)] + i] / c_.epsilon; };
        const auto prior = [&](const std::vector<index_t>& at) {
            double w = 1;
            for (int q = 0; q < c_.n_marginals; ++q)
                if (q != p) w *= weight(q, at[q]);
            return w;
        };
        each(potentials, [&](const auto& at, double e) {
            if (prior(at) > 0) top[at[p]] = std::max(top[at[p]], e);
        });
        each(potentials, [&](const auto& at, double e) {
            if (top[at[p]] > -inf) sum[at[p]] += prior(at) * std::exp(e - top[at[p]]);
        });
        for (index_t i = 0; i < c_.size(p); ++i) out[i] = -c_.epsilon * (top[i] - own_term(i) + std::log(sum[i]));
        return out;
    }

    // Plain sweeps, as the header states them; errors and dual values beside. `order`: whose turn it is, if not 0, 1,
    // ...
    Run<T> sweep(index_t count, const std::vector<int>& order = {}) const {
        Run<T> r{std::vector<double>(at_.back(), 0.0), {}, {}};
        const double n = c_.n_marginals;
        for (index_t step = 0; step < count; ++step) {
            double error = 0, value = 0, mass = 0;
            std::vector<double> next = r.potentials;
            for (std::size_t k = 0; k < c_.sizes.size(); ++k) {
                const std::size_t p = order.empty() ? k : order[k];
                const std::vector<double> image =
                    conditional(static_cast<int>(p), c_.symmetric() ? r.potentials : next);
                double off = 0;
                for (index_t i = 0; i < c_.sizes[p]; ++i) {
                    double& now = next[at_[p] + i];
                    const double a = weights[p][i];
                    if (image[i] == inf) continue;
                    const double ratio = std::exp((now - image[i]) / c_.epsilon);
                    off += a * std::abs(ratio - 1);
                    mass += a * ratio;
                    value += c_.symmetric() ? n * a * now : a * image[i];
                    now = c_.symmetric() ? now + (image[i] - now) / n : image[i];
                }
                error = std::max(error, off);
            }
            r.errors.push_back(error);
            r.values.push_back(c_.symmetric() ? value - c_.epsilon * (mass - 1) : value);
            // Symmetric sweeps leave the potentials that they measured.
            if (!c_.symmetric() || step + 1 < count) r.potentials = next;
        }
        return r;
    }

    Evaluated<double> evaluate(const std::vector<double>& potentials) const {
        Evaluated<double> e;
        const int count = static_cast<int>(c_.sizes.size());
        const double copies = c_.symmetric() ? c_.n_marginals : 1;
        std::vector<double> marginals(at_.back(), 0.0);
        for (const auto& [a, b] : c_.pairs()) e.plans.emplace_back(c_.size(a) * c_.size(b), 0.0);
        for (int a = 0; c_.d && a < count; ++a) e.gradients.emplace_back(c_.size(a) * c_.d, 0.0);
        each(potentials, [&](const auto& at, double exponent) {
            double share = std::exp(exponent);
            for (int p = 0; p < c_.n_marginals; ++p) share *= weight(p, at[p]);
            if (!(share > 0)) return;
            e.summary.mass += share;
            for (int p = 0; p < count; ++p) marginals[at_[p] + at[p]] += share;
            for (int p = 0; p < c_.n_marginals; ++p)
                for (int q = p + 1; q < c_.n_marginals; ++q) {
                    const index_t k = pair(p, q);
                    if (k < 0) continue;
                    e.summary.value_linear += share * cost(p, q, at[p], at[q]);
                    if (!c_.symmetric() || q == 1) e.plans[k][at[p] * c_.size(q) + at[q]] += share;
                    if (!c_.d) continue;
                    const double slope = share * c_.cost.slope(r2(p, q, at[p], at[q]));
                    for (index_t k = 0; k < c_.d; ++k) {
                        double& to = e.gradients[own(p)][at[p] * c_.d + k];
                        double& from = e.gradients[own(q)][at[q] * c_.d + k];
                        const double gap =
                            double(c_.points[own(p)][at[p] * c_.d + k]) - double(c_.points[own(q)][at[q] * c_.d + k]);
                        to += slope * gap;
                        from -= slope * gap;
                    }
                }
        });
        for (int p = 0; p < count; ++p) {
            double off = 0;
            for (index_t i = 0; i < c_.sizes[p]; ++i) {
                off += std::abs(marginals[at_[p] + i] - weights[p][i]);
                e.summary.value += copies * weights[p][i] * potentials[at_[p] + i];
            }
            e.summary.marginal_error = std::max(e.summary.marginal_error, off);
        }
        e.summary.value -= c_.epsilon * (e.summary.mass - 1);
        return e;
    }

private:
    const Case<T>& c_;
    std::vector<index_t> at_;
};

inline double distance(const std::vector<double>& a, const std::vector<double>& b) {
    double far = 0;
    for (std::size_t i = 0; i < a.size(); ++i) far = std::max(far, a[i] == b[i] ? 0.0 : std::abs(a[i] - b[i]));
    for (std::size_t i = 0; i < a.size(); ++i)
        if (std::isnan(a[i]) || std::isnan(b[i])) return inf;
    return far;
}

// In the Euclidean norm.
template <class T>
double relative_distance(const std::vector<T>& got, const std::vector<double>& want) {
    double gap = 0, norm = 0;
    for (std::size_t i = 0; i < want.size(); ++i) {
        gap += (double(got[i]) - want[i]) * (double(got[i]) - want[i]);
        norm += want[i] * want[i];
    }
    return norm > 0 ? std::sqrt(gap / norm) : std::sqrt(gap);
}

// In units of epsilon. Exponents c / epsilon of some tens are rounded to T, several to a term.
template <class T>
double tolerance(double epsilon) {
    return (sizeof(T) == 4 ? 1e-6 : 5e-15) * (10 + 3 / epsilon);
}

// Sweeps, and plans, sums and gradients at the potentials that they leave, at every instruction set.
template <class T>
void sweeps_and_plans(const Case<T>& c, const std::vector<int>& order = {}) {
    constexpr index_t count = 4;
    const Truth<T> truth(c);
    const Run<T> want = truth.sweep(count, order);
    const Evaluated<double> e = truth.evaluate(want.potentials);
    const double tol = tolerance<T>(c.epsilon), scale = std::max(1.0, e.summary.mass);
    for (const char* level : sanitized ? std::vector<const char*>{nullptr} : levels()) {
        const Run<T> got = sweep(c, {-1, count}, {.simd = level});
        CHECK(got.done.sweeps == count && !got.done.converged);
        const double off = distance(got.potentials, want.potentials) / c.epsilon;
        CHECK(off <= tol, off / tol, c.n_marginals, c.sizes[0], c.epsilon, c.d, sizeof(T), c.symmetric());
        for (index_t k = 0; k < count; ++k) {
            CHECK(std::abs(got.errors[k] - want.errors[k]) <= tol * (1 + want.errors[k]), k, got.errors[k],
                  want.errors[k]);
            CHECK(std::abs(got.values[k] - want.values[k]) <= tol * c.epsilon * c.n_marginals * (1 + want.errors[k]), k,
                  got.values[k], want.values[k], tol);
        }
        const Evaluated<T> r = evaluate(c, want.potentials, {.simd = level});
        CHECK(r.summary.finished);
        CHECK(std::abs(r.summary.mass - e.summary.mass) <= tol * scale, r.summary.mass, e.summary.mass);
        CHECK(std::abs(r.summary.value - e.summary.value) <= tol * scale * (1 + std::abs(e.summary.value)),
              r.summary.value, e.summary.value);
        CHECK(std::abs(r.summary.value_linear - e.summary.value_linear) <=
                  tol * scale * (1 + std::abs(e.summary.value_linear)),
              r.summary.value_linear, e.summary.value_linear);
        CHECK(std::abs(r.summary.marginal_error - e.summary.marginal_error) <= tol * scale, r.summary.marginal_error,
              e.summary.marginal_error);
        CHECK(r.plans.size() == e.plans.size());
        for (std::size_t k = 0; k < e.plans.size(); ++k) {
            const double error = relative_distance(r.plans[k], e.plans[k]);
            CHECK(error <= 2 * tol, error / tol, k, c.n_marginals, c.epsilon, sizeof(T));
        }
        for (std::size_t k = 0; k < e.gradients.size(); ++k) {
            const double error = relative_distance(r.gradients[k], e.gradients[k]);
            CHECK(error <= 8 * tol, error / tol, k, c.n_marginals, c.epsilon, sizeof(T));
        }
    }
}

constexpr PairCost coulomb{PairCost::Kind::riesz, 1, 1}, riesz{PairCost::Kind::riesz, 1.5, 1},
    logarithmic{PairCost::Kind::log, 1, 1}, harmonic{PairCost::Kind::quadratic, 1, 1},
    repulsive{PairCost::Kind::quadratic, 1, -1}, yukawa{PairCost::Kind::yukawa, 2, 1.5},
    softened{PairCost::Kind::soft, 0.3, 2}, distances{PairCost::Kind::power, 1, -1},
    cubes{PairCost::Kind::power, 3, 0.5};

}  // namespace deblai::test
