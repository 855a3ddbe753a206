// The staircase of two quantile functions: its masses, its cells, its cost and its dual potentials.
#include "deblai/quantile.hpp"

#include <limits>
#include <numeric>

#include "check.hpp"
#include "support.hpp"

namespace {

using namespace deblai;
using test::Law;

constexpr index_t all = std::numeric_limits<index_t>::max();

struct Sides {
    Law x, y;
    bool weighted;

    index_t n() const { return static_cast<index_t>(x.value.size()); }
    index_t m() const { return static_cast<index_t>(y.value.size()); }
};

// Calls f(A, B, total), as the kernel does: exact integers for equal weights.
template <class F>
void with_cdfs(const Sides& s, F&& f) {
    if (s.weighted)
        f(WeightedCdf{s.x.cdf.data()}, WeightedCdf{s.y.cdf.data()}, 1.0);
    else
        f(UniformCdf{s.m()}, UniformCdf{s.n()}, s.n() * s.m());
}

// Weights of several kinds: 0 random, 1 integers (ties of the two distribution functions), 2 with zeros
// first, last and in a row, 3 all mass on one atom.
std::vector<double> weights(index_t n, int kind, std::uint64_t seed) {
    std::vector<double> w = test::uniform<double>(n, seed);
    for (index_t i = 0; i < n; ++i) {
        if (kind == 1) w[i] = std::floor(1 + 3 * w[i]);
        if (kind == 2 && (i == 0 || i == n - 1 || i % 5 < 2) && n > 3) w[i] = 0;
        if (kind == 3) w[i] = i == n / 2;
    }
    return w;
}

// Rounded values are tied with each other.
std::vector<double> values(index_t n, std::uint64_t seed, bool tied) {
    std::vector<double> x = test::gaussian<double>(n, seed);
    if (tied)
        for (double& v : x) v = std::round(2 * v) / 2;
    return x;
}

template <class F>
void for_cases(F&& f) {
    constexpr index_t sizes[][2] = {{1, 1}, {1, 9}, {9, 1}, {2, 2}, {5, 7}, {6, 9}, {12, 12}, {40, 37}, {64, 96}};
    std::uint64_t seed = 1;
    for (const auto& [n, m] : sizes)
        for (const bool tied : {false, true})
            for (int kind = -1; kind < 4; ++kind, seed += 4) {
                const std::vector<double> x = values(n, seed, tied), y = values(m, seed + 1, tied);
                if (kind < 0) {
                    f(Sides{Law(x, std::vector<double>{}), Law(y, std::vector<double>{}), false});
                } else {
                    f(Sides{Law(x, weights(n, kind, seed + 2)), Law(y, weights(m, kind, seed + 3)), true});
                }
            }
}

// The masses sum to the total and to both marginals; from (0, 0) to (n-1, m-1), each cell once and monotone.
void cells(const Sides& s) {
    with_cdfs(s, [&](auto A, auto B, auto total) {
        using M = decltype(total);
        const index_t n = s.n(), m = s.m();
        const double eps = s.weighted ? 1e-15 * static_cast<double>(n + m) : 0;
        std::vector<M> rows(n, 0), columns(m, 0);
        M sum = 0;
        index_t count = 0, i = 0, j = 0;
        bool ended = false;
        staircase(n, m, A, B, total, 0, 0, M{0}, all, [&](const Cell<M>& c) {
            CHECK(c.i == i && c.j == j && c.i < n && c.j < m, c.i, c.j, i, j);
            CHECK(c.mass >= 0, c.mass);
            CHECK(!ended);
            rows[c.i] += c.mass;
            columns[c.j] += c.mass;
            sum += c.mass;
            i += c.step_i;
            j += c.step_j;
            ended = !c.step_i && !c.step_j;
            ++count;
        });
        CHECK(ended && i == n - 1 && j == m - 1, i, j);
        CHECK_CLOSE(sum, total, eps);
        for (index_t k = 0; k < n; ++k)
            CHECK(std::abs(double(rows[k] - (A(k) - (k ? A(k - 1) : M{0})))) <= eps, k, rows[k]);
        for (index_t k = 0; k < m; ++k)
            CHECK(std::abs(double(columns[k] - (B(k) - (k ? B(k - 1) : M{0})))) <= eps, k, columns[k]);
        CHECK(count <= n + m - 1, count);
        // The staircase of n and m equal weights has n + m - gcd(n, m) cells: its breakpoints are i/n and j/m.
        if (!s.weighted) CHECK(count == n + m - std::gcd(n, m), count, n, m);
    });
}

// Walking a few cells at a time visits the same ones.
void resumed(const Sides& s) {
    with_cdfs(s, [&](auto A, auto B, auto total) {
        using M = decltype(total);
        std::vector<Cell<M>> whole, parts;
        staircase(s.n(), s.m(), A, B, total, 0, 0, M{0}, all, [&](const Cell<M>& c) { whole.push_back(c); });
        Cell<M> last{0, 0, 0, false, false};
        M done = 0;
        do {
            staircase(s.n(), s.m(), A, B, total, last.i + last.step_i, last.j + last.step_j, done, 3,
                      [&](const Cell<M>& c) {
                          parts.push_back(last = c);
                          const M a = c.i + 1 == s.n() ? total : A(c.i), b = c.j + 1 == s.m() ? total : B(c.j);
                          done = std::min(a, b);
                      });
        } while (last.step_i || last.step_j);
        CHECK(whole.size() == parts.size(), whole.size(), parts.size());
        for (std::size_t k = 0; k < std::min(whole.size(), parts.size()); ++k)
            CHECK(whole[k].i == parts[k].i && whole[k].j == parts[k].j && whole[k].mass == parts[k].mass, k);
    });
}

// Villani 2003, Theorem 2.18: the staircase's cost is the integral over t of |F^-1(t) - G^-1(t)|^p.
double staircase_cost(const Sides& s, double p) {
    double cost = 0;
    with_cdfs(s, [&](auto A, auto B, auto total) {
        staircase(s.n(), s.m(), A, B, total, 0, 0, decltype(total){0}, all, [&](const auto& c) {
            cost += double(c.mass) / double(total) * PowerCost{p}.cost(s.x.value[c.i] - s.y.value[c.j]);
        });
    });
    return cost;
}

// Kantorovich duality: f_i + g_j <= |x_i - y_j|^p for all pairs, with equality on the staircase, and so
// sum a f + sum b g equals the cost. f and g are built as sliced-inl.hpp's walked() does.
void duality(const Sides& s, double p) {
    const PowerCost c{p};
    const std::vector<double>&x = s.x.value, &y = s.y.value;
    std::vector<double> f(s.n(), 0), g(s.m(), 0);
    g[0] = c.cost(x[0] - y[0]);
    const double eps = 1e-13 * std::max({1.0, c.cost(x.back() - y.front()), c.cost(x.front() - y.back())});
    double dual = 0, primal = 0;
    with_cdfs(s, [&](auto A, auto B, auto total) {
        staircase(s.n(), s.m(), A, B, total, 0, 0, decltype(total){0}, all, [&](const auto& cell) {
            const index_t i = cell.i, j = cell.j, k = i + cell.step_i, l = j + cell.step_j;
            const bool both = cell.step_i && cell.step_j;
            const double mass = double(cell.mass) / double(total), here = c.cost(x[i] - y[j]);
            CHECK(std::abs(f[i] + g[j] - here) <= eps, f[i] + g[j], here);
            primal += mass * here;
            dual += mass * (f[i] + g[j]);
            if (cell.step_i) f[k] = f[i] + potential_step(c, x[i], x[k], y[j], y[l], both);
            if (cell.step_j) g[l] = g[j] + potential_step(c, y[j], y[l], x[i], x[k], both);
        });
    });
    CHECK(std::abs(primal - dual) <= eps, primal, dual);
    for (index_t i = 0; i < s.n(); ++i)
        for (index_t j = 0; j < s.m(); ++j)
            CHECK(f[i] + g[j] <= c.cost(x[i] - y[j]) + eps, i, j, f[i] + g[j], c.cost(x[i] - y[j]));
}

void costs() {
    // |d|^p and its slope, by hand.
    CHECK(PowerCost{1}.cost(-3) == 3 && PowerCost{2}.cost(-3) == 9);
    CHECK_CLOSE(PowerCost{3}.cost(-3), 27, 1e-15);
    for (const double p : {1.0, 1.5, 2.0, 3.0})
        for (const double d : {-3.0, -0.5, 0.0, 0.25, 2.0}) {
            const auto term = PowerCost{p}.term(d);
            CHECK_CLOSE(term.cost, std::pow(std::abs(d), p), 1e-15);
            CHECK_CLOSE(term.slope, d == 0 ? 0 : std::copysign(p * std::pow(std::abs(d), p - 1), d), 1e-15);
        }
}

}  // namespace

int main() {
    costs();
    for_cases([](const Sides& s) {
        cells(s);
        resumed(s);
        for (const double p : {1.0, 1.5, 2.0, 3.0}) {
            CHECK_CLOSE(staircase_cost(s, p), test::naive_cost(s.x, s.y, p), 1e-13);
            duality(s, p);
        }
    });
    return test::report();
}
