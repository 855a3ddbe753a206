// What multimarginal refuses, and that each message names the argument and the entry.
#include "deblai/error.hpp"
#include "multimarginal_support.hpp"

namespace {

using namespace deblai;
using namespace deblai::test;

template <class T>
void refuse(const std::string& message, const Case<T>& good, const std::function<void(Case<T>&)>& change) {
    Case<T> c = good;
    change(c);
    CHECK_THROWS(sweep(c, {0, 3}), InvalidValue, message);
    CHECK_THROWS(sweep(c, {0, 3}, {.threads = 2}), InvalidValue, message);
    CHECK_THROWS(evaluate(c, std::vector<double>(c.length(), 0.0)), InvalidValue, message);
}

template <class T>
void bad_entries() {
    constexpr T nan = std::numeric_limits<T>::quiet_NaN(), infinity = std::numeric_limits<T>::infinity();
    using Change = Case<T>;
    const Case<T> points = random_case<T>({40, 50, 9}, 3, 1, 3, coulomb, {}, 1);
    CHECK(sweep(points, {-1, 2}).done.sweeps == 2);
    refuse<T>("[multimarginal.sinkhorn] points[1]: expected finite values, got nan at [2, 1]", points,
              [&](Change& c) { c.points[1][7] = c.points[1][70] = nan; });
    refuse<T>("[multimarginal.sinkhorn] points[2]: expected finite values, got -inf at [8, 2]", points,
              [&](Change& c) { c.points[2][26] = -infinity; });
    refuse<T>("[multimarginal.sinkhorn] weights[0]: expected finite nonnegative weights, got -1 at [5]", points,
              [&](Change& c) { c.weights[0][5] = -1; });
    refuse<T>("[multimarginal.sinkhorn] weights[2]: expected finite nonnegative weights, got nan at [8]", points,
              [&](Change& c) { c.weights[2][8] = nan; });
    refuse<T>("[multimarginal.sinkhorn] weights[1]: expected a positive finite total mass, got 0", points,
              [&](Change& c) { c.weights[1].assign(50, T(0)); });
    refuse<T>("[multimarginal.sinkhorn] weights: expected one weight per point", points,
              [&](Change& c) { c.weights[1].pop_back(); });
    for (const double epsilon : {0.0, -1.0, double(nan), inf})
        refuse<T>("[multimarginal.sinkhorn] epsilon: expected a positive finite number", points,
                  [&](Change& c) { c.epsilon = epsilon; });
    refuse<T>("[multimarginal.sinkhorn] n_marginals: expected at least 2",
              random_case<T>({5}, 2, 1, 2, harmonic, {}, 1), [](Change& c) { c.n_marginals = 1; });

    for (const int n : {2, 3, 4}) {
        const Case<T> equal = random_case<T>({20}, n, 1, 0, {}, {.infinite = true}, 2);
        CHECK(sweep(equal, {-1, 2}).done.sweeps == 2);
        refuse<T>("[multimarginal.sinkhorn] cost: expected numbers or +inf, got nan", equal,
                  [&](Change& c) { c.costs[0][45] = nan; });
        refuse<T>("[multimarginal.sinkhorn] cost: expected numbers or +inf, got -inf", equal,
                  [&](Change& c) { c.costs[0][45] = -infinity; });
        // Entry 45 is [2, 5]: its mirror image is [5, 2].
        for (const T other : {T(0.1), T(-1000), infinity})
            refuse<T>("expected a symmetric matrix for equal marginals, got different values at [5, 2]", equal,
                      [&](Change& c) { c.costs[0][45] += other; });
        Case<T> rounded = equal;
        rounded.costs[0][45] *= 1 + 2 * std::numeric_limits<T>::epsilon();
        CHECK(sweep(rounded, {-1, 2}).done.sweeps == 2);

        const Case<T> general = random_case<T>(std::vector<index_t>(n, 20), n, 1, 0, {}, {.infinite = true}, 3);
        refuse<T>("[multimarginal.sinkhorn] cost[" + std::to_string(n * (n - 1) / 2 - 1) + "]: expected numbers",
                  general, [&](Change& c) { c.costs.back()[45] = nan; });
    }
}

template <class T>
void shapes() {
    Case<T> c = random_case<T>({7, 8, 9}, 3, 1, 2, harmonic, {}, 4);
    std::vector<double> f(c.length()), errors(1), values(1);
    const auto call = [&](const mm::Problem<T>& q) { mm::sinkhorn(q, {0, 1}, f.data(), errors.data(), values.data()); };
    mm::Problem<T> q = c.problem();
    c.marginals[1].points.cols = 1;
    CHECK_THROWS(call(q), InvalidValue, "points: expected as many coordinates in each marginal");
    c.marginals[1].points.rows = 7;
    CHECK_THROWS(call(q), InvalidValue, "points: expected shape (n, d)");
    q = c.problem();
    c.marginals[2].size = 0;
    CHECK_THROWS(call(q), InvalidValue, "points: expected at least one point a marginal");
    c = random_case<T>({7, 8, 9}, 3, 1, 0, {}, {}, 4);
    q = c.problem();
    c.matrices[1].cols = 8;
    CHECK_THROWS(call(q), InvalidValue, "cost: expected matrices of one row and one column per point of the pair");
    q = c.problem();
    c.matrices[2] = {};
    CHECK_THROWS(call(q), InvalidValue, "cost: expected matrices");
    CHECK_THROWS(sweep(c, {0, 1}, {.simd = "sse9"}), InvalidValue, "simd: expected");
}

// No plan of finite cost.
template <class T>
void infeasible() {
    constexpr T infinity = std::numeric_limits<T>::infinity();
    for (const int n : {2, 3, 4}) {
        const std::string at =
            "[multimarginal.sinkhorn] cost: point 5 of marginal 0 has infinite cost with all choices";
        Case<T> c = random_case<T>(std::vector<index_t>(n, 9), n, 1, 0, {}, {}, 5);
        for (index_t k = 0; k < 9; ++k) c.costs[0][5 * 9 + k] = infinity;
        CHECK_THROWS(sweep(c, {0, 3}), InvalidValue, at);
        CHECK_THROWS(sweep(c, {0, 3}, {.threads = 3}), InvalidValue, at);
        // A point that nobody needs may be alone.
        c.weights[0][5] = 0;
        const Run<T> r = sweep(c, {-1, 30});
        CHECK(r.done.sweeps == 30 && r.errors.back() < 1e-3, r.errors.back());
        for (const double f : r.potentials) CHECK(std::isfinite(f), f);

        c = random_case<T>({9}, n, 1, 0, {}, {}, 6);
        for (index_t k = 0; k < 9; ++k) c.costs[0][5 * 9 + k] = c.costs[0][k * 9 + 5] = infinity;
        CHECK_THROWS(sweep(c, {0, 3}), InvalidValue, at);

        // Atoms beyond 1 / N of the mass cannot be told apart from themselves.
        c = random_case<T>({20}, n, 1, 0, {}, {.weighted = false, .infinite = true}, 7);
        c.weights[0].assign(20, T(1));
        c.weights[0][3] = T(19.0 / (n - 1) * 1.01);
        CHECK_THROWS(sweep(c, {0, 3}), InvalidValue,
                     "[multimarginal.sinkhorn] weights: expected at most 1/" + std::to_string(n) + " of the mass");
        c.weights[0][3] = T(19.0 / (n - 1) * 0.9);
        CHECK(sweep(c, {-1, 3}).done.sweeps == 3);
    }
    Case<T> c = random_case<T>({20}, 2, 1, 2, logarithmic, {.weighted = false}, 8);
    c.weights[0].assign(20, T(1));
    c.weights[0][3] = 30;
    CHECK_THROWS(sweep(c, {0, 3}), InvalidValue, "got 0.6122");
}

}  // namespace

int main() {
    bad_entries<float>();
    bad_entries<double>();
    shapes<float>();
    shapes<double>();
    infeasible<float>();
    infeasible<double>();
    return report();
}
