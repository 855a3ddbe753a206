// Graph Laplacians: against a dense factorisation, exact solutions of paths and grids, pieces that hang on nothing.
#include <vector>

#include "check.hpp"
#include "deblai/laplacian.hpp"
#include "support.hpp"

namespace {

using namespace deblai;
using namespace deblai::test;

struct Network {
    std::vector<std::int32_t> begin{0}, across;
    std::vector<double> weight;

    index_t size() const { return static_cast<index_t>(begin.size()) - 1; }
    // Symmetric: links (i, j, w).
    Network(index_t n, const std::vector<std::tuple<index_t, index_t, double>>& links) {
        std::vector<std::vector<std::pair<std::int32_t, double>>> row(n);
        for (const auto& [i, j, w] : links) {
            row[i].push_back({static_cast<std::int32_t>(j), w});
            row[j].push_back({static_cast<std::int32_t>(i), w});
        }
        for (const auto& r : row) {
            for (const auto& [j, w] : r) across.push_back(j), weight.push_back(w);
            begin.push_back(static_cast<std::int32_t>(across.size()));
        }
    }
    std::vector<double> times(const std::vector<double>& x) const {
        std::vector<double> y(size());
        for (index_t i = 0; i < size(); ++i)
            for (index_t e = begin[i]; e < begin[i + 1]; ++e) y[i] += weight[e] * (x[i] - x[across[e]]);
        return y;
    }
    laplacian::Problem problem(const std::vector<double>& rhs) const {
        const index_t entries = static_cast<index_t>(across.size());
        return {{begin.data(), size() + 1, 1},
                {across.data(), entries, 1},
                {weight.data(), entries, 1},
                {rhs.data(), static_cast<index_t>(rhs.size()), 1}};
    }
};

struct Solution {
    std::vector<double> x;
    laplacian::Summary summary;

    Solution(const Network& a, const std::vector<double>& rhs, double rtol = 1e-12, int most = 500,
             const Control& control = {})
        : x(a.size()) {
        summary = laplacian::solve(a.problem(rhs), {x.data(), a.size(), 1}, rtol, most, control);
    }
};

std::vector<double> centred(std::vector<double> v) {
    double mean = 0;
    for (const double e : v) mean += e / static_cast<double>(v.size());
    for (double& e : v) e -= mean;
    return v;
}

Network grid(index_t m, int seed, double contrast) {
    std::vector<std::tuple<index_t, index_t, double>> links;
    const std::vector<double> u = uniform<double>(2 * m * m, seed);
    for (index_t i = 0; i < m; ++i)
        for (index_t j = 0; j < m; ++j) {
            const index_t k = i * m + j;
            if (j + 1 < m) links.push_back({k, k + 1, std::pow(contrast, u[2 * k])});
            if (i + 1 < m) links.push_back({k, k + m, std::pow(contrast, u[2 * k + 1])});
        }
    return Network(m * m, links);
}

void known_solutions() {
    for (const index_t m : {index_t{2}, index_t{5}, index_t{9}, index_t{40}, sized<index_t>(200, 60)})
        for (const double contrast : {1.0, 1e4}) {
            const Network a = grid(m, 1, contrast);
            const std::vector<double> x = centred(gaussian<double>(m * m, 2)), b = a.times(x);
            const Solution s(a, b);
            double most = 0;
            for (index_t i = 0; i < m * m; ++i) most = std::max(most, std::abs(s.x[i] - x[i]));
            CHECK(s.summary.residual <= 1e-12 && most < 1e-7, s.summary.residual, most, m, contrast);
            CHECK(s.summary.iterations <= 120, s.summary.iterations, m, contrast);
            CHECK(s.summary.levels > (m * m > 64), s.summary.levels);
        }
    // A path with a source at one end and a sink at the other is a ramp.
    const index_t n = 1000;
    std::vector<std::tuple<index_t, index_t, double>> links;
    for (index_t i = 0; i + 1 < n; ++i) links.push_back({i, i + 1, 2.0});
    std::vector<double> b(n);
    b[0] = 1, b[n - 1] = -1;
    const Solution s(Network(n, links), b);
    for (index_t i = 0; i < n; ++i)
        CHECK(std::abs(s.x[i] - 0.25 * static_cast<double>(n - 1 - 2 * i)) < 1e-8, i, s.x[i]);
}

// The mean of the right side is taken off; repeated links add up; the solution has mean 0.
void conventions() {
    const Network once(3, {{0, 1, 3.0}, {1, 2, 1.0}}), twice(3, {{0, 1, 1.0}, {0, 1, 2.0}, {1, 2, 1.0}});
    const std::vector<double> b{1, 0, -1}, lifted{6, 5, 4};
    const Solution s(once, b), t(twice, b), u(once, lifted);
    for (int i = 0; i < 3; ++i) {
        CHECK(std::abs(s.x[i] - t.x[i]) < 1e-14 && std::abs(s.x[i] - u.x[i]) < 1e-14, s.x[i], t.x[i], u.x[i]);
    }
    CHECK_CLOSE(s.x[0] - s.x[1], 1.0 / 3, 1e-13);
    CHECK_CLOSE(s.x[1] - s.x[2], 1.0, 1e-13);
    CHECK(std::abs(s.x[0] + s.x[1] + s.x[2]) < 1e-15);
    const Solution nothing(once, {7, 7, 7});
    CHECK(nothing.summary.iterations == 0 && nothing.x == std::vector<double>(3));
    const Solution alone(Network(1, {}), {3.0});
    CHECK(alone.x[0] == 0 && alone.summary.iterations == 0);
}

// Two pieces: each is solved up to its constant where the right side has no mean on either; a lone node stays finite.
void pieces() {
    std::vector<std::tuple<index_t, index_t, double>> links;
    const index_t m = 300;
    for (index_t i = 0; i + 1 < m; ++i) links.push_back({i, i + 1, 1.0}), links.push_back({m + i, m + i + 1, 2.0});
    const Network a(2 * m + 1, links);
    std::vector<double> b(2 * m + 1);
    b[0] = b[m] = 1, b[m - 1] = b[2 * m - 1] = -1;
    const Solution s(a, b, 1e-10);
    CHECK(s.summary.residual <= 1e-10, s.summary.residual);
    CHECK_CLOSE(s.x[0] - s.x[m - 1], static_cast<double>(m - 1), 1e-7);
    CHECK_CLOSE(s.x[m] - s.x[2 * m - 1], 0.5 * static_cast<double>(m - 1), 1e-7);
    for (const double v : s.x) CHECK(std::isfinite(v));
}

void any_number_of_threads() {
    const index_t m = sized<index_t>(150, 70);
    const Network a = grid(m, 3, 100);
    const std::vector<double> b = centred(uniform<double>(m * m, 4));
    const Solution one(a, b, 1e-10, 500, {.threads = 1});
    for (const int threads : {2, 5}) {
        const Solution s(a, b, 1e-10, 500, {.threads = threads});
        CHECK(s.x == one.x && s.summary.iterations == one.summary.iterations, threads);
    }
    const Solution two(a, b, 1e-10, 2);
    CHECK(two.summary.iterations == 2 && two.summary.residual > 1e-10 && two.summary.residual < 1,
          two.summary.residual);
    const Solution stopped(a, b, 1e-10, 500, {.threads = 1, .poll = [](void*) { return true; }});
    CHECK(stopped.summary.iterations <= one.summary.iterations);
    for (const double v : stopped.x) CHECK(std::isfinite(v));
}

void refused() {
    const Network a(3, {{0, 1, 1.0}, {1, 2, 1.0}});
    const std::vector<double> b(3), shorter(2);
    std::vector<double> x(3);
    const Vector<double> out{x.data(), 3, 1};
    CHECK_THROWS(laplacian::solve(a.problem(shorter), out, 1e-8, 9), InvalidValue, "[laplacian] begin: expected n + 1");
    laplacian::Problem q = a.problem(b);
    q.weight.size = 3;
    CHECK_THROWS(laplacian::solve(q, out, 1e-8, 9), InvalidValue, "[laplacian]");
    q = a.problem(b);
    q.begin.size = 3;
    CHECK_THROWS(laplacian::solve(q, out, 1e-8, 9), InvalidValue, "[laplacian]");
    CHECK_THROWS(laplacian::solve(a.problem(b), {x.data(), 0, 1}, 1e-8, 9), InvalidValue, "[laplacian]");
}

}  // namespace

int main() {
    known_solutions();
    conventions();
    pieces();
    any_number_of_threads();
    refused();
    return report();
}
