// Problems whose edges are given: against the whole tensor in double, against the complete graph's own sums, and exact
// minima against all tuples.
#include <cstring>

#include "deblai/error.hpp"
#include "multimarginal/graph/graph-algebra.hpp"
#include "multimarginal/graph/graph.hpp"
#include "multimarginal_support.hpp"

namespace {

using namespace deblai;
using namespace deblai::test;

using Edges = std::vector<mm::Edge>;

// Of N marginals, each edge with one chance in two.
Edges random_graph(int count, std::uint64_t seed, double chance = 0.5) {
    const std::vector<double> u = uniform<double>(count * count, seed);
    Edges edges;
    for (int p = 0; p < count; ++p)
        for (int q = p + 1; q < count; ++q)
            if (u[p * count + q] < chance) edges.push_back({p, q});
    return edges;
}

Edges complete(int count) { return random_graph(count, 0, 2); }

std::vector<index_t> random_sizes(int count, index_t most, std::uint64_t seed) {
    std::vector<index_t> sizes;
    for (const double v : uniform<double>(count, seed)) sizes.push_back(1 + static_cast<index_t>(v * most));
    return sizes;
}

template <class T>
std::vector<int> order(const Case<T>& c) {
    return mm::EliminationTree(c.sizes, c.edges).traversal;
}

template <class T>
void is_right(const Case<T>& c) {
    sweeps_and_plans(c, order(c));
}

// Paths, stars, rings, K4 without an edge, treewidth 3 with messages that couple three, isolated marginals.
template <class T>
void chosen_graphs() {
    const std::vector<std::pair<std::vector<index_t>, Edges>> graphs = {
        {{9, 14}, {{0, 1}}},
        {{9, 14}, {}},
        {{20, 5, 33}, {{0, 1}, {1, 2}}},
        {{20, 5, 33}, {{0, 2}}},
        {{7, 12, 5, 9}, {{0, 1}, {0, 2}, {0, 3}}},
        {{7, 4, 5, 6, 3}, {{0, 1}, {1, 2}, {2, 3}, {3, 4}}},
        {{7, 12, 9}, {{0, 1}, {1, 2}, {0, 2}}},
        {{7, 4, 9, 6}, {{0, 1}, {1, 2}, {2, 3}, {0, 3}}},
        {{5, 4, 3, 6, 4}, {{0, 1}, {1, 2}, {2, 3}, {3, 4}, {0, 4}}},
        {{7, 4, 9, 6}, {{0, 1}, {0, 2}, {0, 3}, {1, 2}, {1, 3}}},
        {{7, 4, 5, 6}, complete(4)},
        {{4, 3, 5, 3, 4}, {{0, 1}, {0, 2}, {0, 3}, {1, 2}, {1, 3}, {2, 3}, {1, 4}, {2, 4}, {3, 4}}},
        {{3, 4, 3, 2, 4}, complete(5)},
        {{4, 3, 5, 3, 4}, {{0, 3}, {1, 4}}},
        {{3, 2, 3, 3, 2, 3}, {{0, 1}, {1, 2}, {0, 2}, {3, 4}, {4, 5}, {3, 5}}},
    };
    std::uint64_t seed = 1;
    for (const auto& [sizes, edges] : graphs) {
        const int n = static_cast<int>(sizes.size());
        for (const double epsilon : {1.0, 0.05}) {
            is_right(on_graph(random_case<T>(sizes, n, epsilon, 0, {}, {}, seed += 1000), edges));
            is_right(on_graph(random_case<T>(sizes, n, epsilon, 3, harmonic, {.zeros = true}, seed += 1000), edges));
        }
        is_right(on_graph(random_case<T>(sizes, n, 0.5, 2, coulomb, {}, seed += 1000), edges));
    }
}

template <class T>
void random_graphs() {
    for (std::uint64_t seed = 1; seed <= sized(40, 6); ++seed) {
        const int n = 3 + static_cast<int>(seed % 3);
        is_right(on_graph(
            random_case<T>(random_sizes(n, 6, seed), n, seed % 2 ? 1.0 : 0.1, 0, {}, {.zeros = true}, 1000 * seed),
            random_graph(n, seed)));
    }
}

// Blocks of rows and columns that end in the middle, and products whose range is too wide for one scale: the complete
// graph, whose sums are made otherwise.
template <class T>
void as_the_complete_graph() {
    const std::vector<std::vector<index_t>> all = {{sized(150, 70), 131, sized(97, 30)}, {24, 31, 18, 9}};
    std::uint64_t seed = 5;
    for (const auto& sizes : all)
        for (const double epsilon : {1.0, 0.01, 0.0005}) {
            const int n = static_cast<int>(sizes.size());
            for (const index_t d : {0, 3}) {
                const Case<T> c =
                    random_case<T>(sizes, n, epsilon, d, coulomb, {.zeros = true, .infinite = true}, ++seed);
                const Case<T> g = on_graph(c, complete(n));
                const Run<T> start = sweep(c, {-1, 2});
                const Evaluated<T> one = evaluate(c, start.potentials), other = evaluate(g, start.potentials);
                const double tol = tolerance<T>(epsilon) * (d ? 10 : 1);
                for (std::size_t k = 0; k < one.plans.size(); ++k) {
                    const std::vector<double> want(one.plans[k].begin(), one.plans[k].end());
                    CHECK(relative_distance(other.plans[k], want) <= 4 * tol, k, n, epsilon, d, sizeof(T),
                          relative_distance(other.plans[k], want) / tol);
                }
                CHECK_CLOSE(one.summary.mass, other.summary.mass, 4 * tol);
                CHECK(std::abs(one.summary.value - other.summary.value) <=
                          4 * tol * (1 + std::abs(one.summary.value)) * one.summary.mass,
                      one.summary.value, other.summary.value, n, epsilon, d);
            }
        }
}

// The plan's marginal of two that have no edge: the sum of the whole tensor.
template <class T>
void pairs_without_an_edge() {
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        const int n = 3 + static_cast<int>(seed % 3);
        Case<T> c =
            on_graph(random_case<T>(random_sizes(n, 5, seed), n, 0.3, seed % 2 ? 2 : 0, harmonic, {}, 31 * seed),
                     random_graph(n, seed, 0.4));
        const Run<T> r = sweep(c, {-1, 2});
        const Truth<T> truth(c);
        const mm::Problem<T> q = c.problem();
        for (int p = 0; p < n; ++p)
            for (int k = p + 1; k < n; ++k) {
                std::vector<double> want(c.sizes[p] * c.sizes[k], 0.0);
                truth.each(r.potentials, [&](const auto& at, double e) {
                    double share = std::exp(e);
                    for (int l = 0; l < n; ++l) share *= truth.weight(l, at[l]);
                    want[at[p] * c.sizes[k] + at[k]] += share;
                });
                std::vector<T> got(want.size(), T(-1));
                CHECK(mm::pair_plan(q, r.potentials.data(), p, k,
                                    Matrix<T>{got.data(), c.sizes[p], c.sizes[k], c.sizes[k], 1}));
                CHECK(relative_distance(got, want) <= 2 * tolerance<T>(0.3), p, k, n, seed,
                      relative_distance(got, want));
            }
    }
}

template <class T>
void exact_minima() {
    for (std::uint64_t seed = 1; seed <= 250; ++seed) {
        const int n = 2 + static_cast<int>(seed % 4);
        const index_t d = seed % 5 == 0 ? 2 : 0;
        Case<T> c = on_graph(random_case<T>(random_sizes(n, 6, seed), n, 0.3, d, seed % 2 ? coulomb : repulsive,
                                            {.zeros = true, .infinite = seed % 3 == 0}, 77 * seed),
                             random_graph(n, seed, 0.7));
        std::vector<double> f = gaussian<double>(c.length(), seed);
        const Truth<T> truth(c);
        double least = inf;
        std::vector<index_t> there;
        truth.each(f, [&](const auto& at, double e) {
            for (int p = 0; p < n; ++p)
                if (truth.weight(p, at[p]) == 0) return;
            if (-e * c.epsilon < least) least = -e * c.epsilon, there = at;
        });
        for (const char* level : levels()) {
            const mm::Minimum m = mm::graph_minimum(c.problem(), f.data(), {.simd = level});
            CHECK(m.exact && m.nodes > 0 && m.at.size() == static_cast<std::size_t>(n));
            CHECK(m.value == least || std::abs(m.value - least) <= 1e-12 * (1 + std::abs(least)), m.value, least, n,
                  seed);
            CHECK(m.best == m.value || std::abs(m.best - m.value) <= 1e-12 * (1 + std::abs(least)), m.best, m.value);
            if (least < inf) CHECK(m.at == there, n, seed);
        }
    }
}

// Large blocks, too: the minimum of a ring of points against all its tuples.
void exact_minimum_of_a_triangle() {
    Case<float> c = on_graph(random_case<float>({150, 70, 140}, 3, 1, 2, coulomb, {}, 3), complete(3));
    const std::vector<double> f(c.length(), 0.0);
    const Truth<float> truth(c);
    double least = inf;
    truth.each(f, [&](const auto&, double e) { least = std::min(least, -e); });
    const mm::Minimum m = mm::graph_minimum(c.problem(), f.data(), {});
    CHECK_CLOSE(m.value, least, 1e-13);
    CHECK_CLOSE(m.best, least, 1e-13);
}

// Sums over the middle of a path: products do at a large epsilon; at a small one, entries are summed one by one.
template <class T>
void counts_exact_sums() {
    for (const auto& [epsilon, some] : {std::pair{1.0, false}, {sizeof(T) == 4 ? 3e-3 : 3e-4, true}}) {
        Case<T> c = on_graph(random_case<T>({40, 50, 60}, 3, epsilon, 0, {}, {}, 1), {{0, 1}, {1, 2}});
        const mm::Problem<T> q = c.problem();
        Team team({.threads = 2}, 1e9);
        mm::Algebra<T, T> algebra(q, epsilon, mm::Semiring::sum, 2, nullptr, team);
        const mm::Factors found = algebra.reduce({{nullptr, 0}, {nullptr, 1}}, {0, 2});
        CHECK(found.size() == 1 && (algebra.exact() > 0) == some, epsilon, algebra.exact());
        double far = 0;
        for (index_t i = 0; i < 40; ++i)
            for (index_t j = 0; j < 60; ++j) {
                double top = -inf, sum = 0;
                const auto term = [&](index_t k) {
                    return -(double(c.costs[0][i * 50 + k]) + double(c.costs[1][k * 60 + j])) / epsilon;
                };
                for (index_t k = 0; k < 50; ++k) top = std::max(top, term(k));
                for (index_t k = 0; k < 50; ++k) sum += std::exp(term(k) - top);
                const double got = found[0].table->offset + double(found[0].table->template values<T>()[i * 60 + j]);
                far = std::max(far, std::abs(got - top - std::log(sum)));
            }
        CHECK(far <= tolerance<T>(epsilon), far, epsilon, sizeof(T));
    }
}

template <class T>
bool same(const Run<T>& a, const Run<T>& b) {
    return a.potentials == b.potentials && a.errors == b.errors && a.values == b.values;
}

template <class T>
void any_number_of_threads() {
    const Edges ring = {{0, 1}, {1, 2}, {2, 3}, {0, 3}}, star = {{0, 1}, {0, 2}, {0, 3}};
    const std::vector<Case<T>> cases = {
        on_graph(random_case<T>({sized(300, 150), 310, 250, 90}, 4, 0.01, 2, coulomb, {}, 1), star),
        on_graph(random_case<T>({150, 131, 140, 70}, 4, 0.01, 0, {}, {.zeros = true, .infinite = true}, 2), ring),
        on_graph(random_case<T>({150, 131, 140, 70}, 4, 0.001, 2, coulomb, {}, 3), ring),
        on_graph(random_case<T>({24, 31, 18, 9}, 4, 0.1, 2, harmonic, {}, 4), complete(4))};
    for (Case<T> c : cases)
        for (const char* level : levels()) {
            const Run<T> one = sweep(c, {-1, 3, 3}, {.threads = 1, .simd = level});
            const Evaluated<T> plans = evaluate(c, one.potentials, {.threads = 1, .simd = level});
            const mm::Minimum least =
                mm::graph_minimum(c.problem(), one.potentials.data(), {.threads = 1, .simd = level});
            for (const int threads : {2, 5}) {
                const Control control{.threads = threads, .simd = level};
                CHECK(same(one, sweep(c, {-1, 3, 3}, control)), threads);
                const Evaluated<T> again = evaluate(c, one.potentials, control);
                CHECK(again.plans == plans.plans && again.gradients == plans.gradients, threads);
                CHECK(again.summary.value == plans.summary.value && again.summary.mass == plans.summary.mass);
                const mm::Minimum m = mm::graph_minimum(c.problem(), one.potentials.data(), control);
                CHECK(m.value == least.value && m.best == least.best && m.at == least.at, threads);
            }
        }
}

struct Countdown {
    int calls;
    static bool poll(void* context) { return --static_cast<Countdown*>(context)->calls <= 0; }
};

// A stop leaves the potentials of the last full sweep, also inside a product that takes long.
void stops() {
    for (const Edges& edges : {Edges{{0, 1}, {1, 2}, {2, 3}}, complete(4)}) {
        const index_t n = edges.size() == 3 ? sized(8000, 2500) : sized(200, 110);
        Case<double> c = on_graph(random_case<double>({n, n, n, n}, 4, 0.01, 3, coulomb, {}, 1), edges);
        Countdown countdown{1};
        const Run<double> r = sweep(c, {-1, 10000, 0}, {.threads = 2, .poll = Countdown::poll, .context = &countdown});
        CHECK(r.done.sweeps < 10000 && !r.done.converged, r.done.sweeps);
        const std::vector<double> want =
            r.done.sweeps ? sweep(c, {-1, r.done.sweeps, 0}).potentials : std::vector<double>(c.length(), 0.0);
        CHECK(r.potentials == want, r.done.sweeps);
        countdown = {1};
        CHECK(!evaluate(c, r.potentials, {.poll = Countdown::poll, .context = &countdown}).summary.finished);
    }
    const index_t n = sized(350, 200);
    Case<double> c = on_graph(random_case<double>({n, n, n, n}, 4, 0.01, 3, coulomb, {}, 1), complete(4));
    Countdown countdown{1};
    const mm::Minimum m = mm::graph_minimum(c.problem(), std::vector<double>(c.length(), 0.0).data(),
                                            {.poll = Countdown::poll, .context = &countdown});
    CHECK(!m.exact && m.value == -inf, m.value);
}

template <class T>
void refuses() {
    const Edges path = {{0, 1}, {1, 2}};
    const Case<T> good = on_graph(random_case<T>({5, 6, 7}, 3, 1, 0, {}, {}, 1), path),
                  points = on_graph(random_case<T>({5, 6, 7}, 3, 1, 2, coulomb, {}, 1), path);
    const auto refuse = [&](const std::string& message, const std::function<void(Case<T>&)>& change,
                            const Case<T>* from = nullptr) {
        Case<T> c = from ? *from : good;
        change(c);
        CHECK_THROWS(sweep(c, {0, 3}), InvalidValue, message);
        if (from) return;  // no arrays for plans of such pairs
        CHECK_THROWS(evaluate(c, std::vector<double>(c.length(), 0.0)), InvalidValue, message);
    };
    using Change = Case<T>;
    const std::string between = "[multimarginal.sinkhorn] graph: expected edges p < q between marginals that are there";
    refuse(between, [](Change& c) { c.edges[0] = {1, 1}; }, &points);
    refuse(between, [](Change& c) { c.edges[0] = {1, 0}; }, &points);
    refuse(between, [](Change& c) { c.edges[1].q = 3; }, &points);
    refuse(between, [](Change& c) { c.edges[1].p = -1; }, &points);
    refuse("[multimarginal.sinkhorn] graph: expected each edge once", [](Change& c) { c.edges[1] = c.edges[0]; });
    refuse("[multimarginal.sinkhorn] cost[1]: expected numbers or +inf, got nan",
           [](Change& c) { c.costs[1][3] = std::numeric_limits<T>::quiet_NaN(); });
    refuse("[multimarginal.sinkhorn] cost[0]: expected numbers or +inf, got -inf",
           [](Change& c) { c.costs[0][3] = -std::numeric_limits<T>::infinity(); });
    refuse("[multimarginal.sinkhorn] weights[2]: expected finite nonnegative weights",
           [](Change& c) { c.weights[2][0] = -1; });
    Case<T> c = good;
    for (index_t j = 0; j < 6; ++j) c.costs[0][2 * 6 + j] = std::numeric_limits<T>::infinity();
    CHECK_THROWS(sweep(c, {0, 3}), InvalidValue, "cost: point 2 of marginal 0 has infinite cost with all choices");
    CHECK_THROWS(sweep(on_graph(random_case<T>({5}, 3, 1, 0, {}, {}, 1), {{0, 0}}), {0, 1}), InvalidValue,
                 "graph: expected marginals of their own");
}

}  // namespace

int main() {
    chosen_graphs<float>();
    chosen_graphs<double>();
    random_graphs<float>();
    random_graphs<double>();
    as_the_complete_graph<float>();
    as_the_complete_graph<double>();
    pairs_without_an_edge<float>();
    pairs_without_an_edge<double>();
    exact_minima<float>();
    exact_minima<double>();
    exact_minimum_of_a_triangle();
    counts_exact_sums<float>();
    counts_exact_sums<double>();
    any_number_of_threads<float>();
    any_number_of_threads<double>();
    stops();
    refuses<float>();
    refuses<double>();
    return report();
}
