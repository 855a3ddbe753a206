// Moves of one and of two particles against every possibility; equal to the bit for any number of threads; stops.
#include "deblai/columns.hpp"

#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <vector>

#include "check.hpp"
#include "deblai/error.hpp"
#include "support.hpp"

namespace {

using deblai::Control;
using deblai::index_t;
using deblai::columns::Problem;
using deblai::test::gaussian;

constexpr double inf = std::numeric_limits<double>::infinity();

// A symmetric matrix; `infinite` 1: on the diagonal, 2: here and there as well.
struct Sites {
    index_t n;
    std::vector<double> costs, potential;

    Sites(index_t n, int infinite, std::uint64_t seed)
        : n(n), costs(gaussian<double>(n * n, seed)), potential(gaussian<double>(n, seed + 1)) {
        for (index_t i = 0; i < n; ++i)
            for (index_t j = 0; j <= i; ++j) {
                const bool forbidden = (infinite > 0 && i == j) || (infinite > 1 && (3 * i + j) % 5 == 1);
                costs[i * n + j] = costs[j * n + i] = forbidden ? inf : costs[i * n + j];
            }
    }

    double price(const std::vector<std::int32_t>& s) const {
        double sum = 0;
        for (std::size_t p = 0; p < s.size(); ++p) {
            sum += potential[s[p]];
            for (std::size_t q = 0; q < p; ++q) sum -= costs[s[p] * n + s[q]];
        }
        return sum;
    }

    // Calls f for every multiset of `count` sites.
    void each(int count, const std::function<void(const std::vector<std::int32_t>&)>& f) const {
        std::vector<std::int32_t> s(count);
        const std::function<void(int, index_t)> grow = [&](int k, index_t from) {
            if (k == count) return f(s);
            for (index_t b = from; b < n; ++b) {
                s[k] = static_cast<std::int32_t>(b);
                grow(k + 1, b);
            }
        };
        grow(0, 0);
    }

    std::vector<std::int32_t> finite(int count, index_t most) const {
        std::vector<std::int32_t> all;
        each(count, [&](const auto& s) {
            if (price(s) > -inf && static_cast<index_t>(all.size()) < most * count)
                all.insert(all.end(), s.begin(), s.end());
        });
        return all;
    }

    Problem problem(const std::vector<std::int32_t>& parents, int count) const {
        const index_t m = static_cast<index_t>(parents.size()) / count;
        return {{costs.data(), n, n, n, 1}, potential.data(), {parents.data(), m, count, count, 1}};
    }
};

void moves(index_t n, int count, int infinite) {
    const Sites sites(n, infinite, 7 * n + count);
    const auto parents = sites.finite(count, 40);
    const index_t m = static_cast<index_t>(parents.size()) / count;
    std::vector<double> gain(m * count), two(m);
    std::vector<std::int32_t> to(m * count), move(4 * m);
    CHECK(deblai::columns::price(sites.problem(parents, count), gain.data(), to.data()));
    CHECK(deblai::columns::price_pairs(sites.problem(parents, count), two.data(), move.data()));
    for (index_t j = 0; j < m; ++j) {
        const std::vector<std::int32_t> s(parents.begin() + j * count, parents.begin() + (j + 1) * count);
        double best_pair = 0;
        for (int k = 0; k < count; ++k) {
            double best = -inf;
            std::int32_t at = -1;
            for (index_t b = 0; b < n; ++b) {
                auto child = s;
                child[k] = static_cast<std::int32_t>(b);
                for (int l = k + 1; l < count; ++l)
                    for (index_t d = 0; d < n; ++d) {
                        auto grandchild = child;
                        grandchild[l] = static_cast<std::int32_t>(d);
                        best_pair = std::max(best_pair, sites.price(grandchild) - sites.price(s));
                    }
                if (b == s[k] || !(sites.price(child) > best + 1e-13)) continue;
                best = sites.price(child);
                at = static_cast<std::int32_t>(b);
            }
            const index_t i = j * count + k;
            CHECK(to[i] == at, n, count, infinite, j, k, to[i], at);
            CHECK(at < 0 ? gain[i] == -inf : std::abs(gain[i] - (best - sites.price(s))) < 1e-12, gain[i], best);
        }
        CHECK(std::abs(two[j] - best_pair) < 1e-12, n, count, infinite, j, two[j], best_pair);
        auto child = s;
        for (int k = 0; k < 2 && move[4 * j] >= 0; ++k) child[move[4 * j + k]] = move[4 * j + 2 + k];
        CHECK(std::abs(sites.price(child) - sites.price(s) - two[j]) < 1e-12, j, two[j]);
    }
}

void threads() {
    const Sites sites(60, 1, 5);
    const auto parents = sites.finite(5, 300);
    const Problem q = sites.problem(parents, 5);
    std::vector<double> first;
    for (const int threads : {1, 2, 3, 8}) {
        Control control;
        control.threads = threads;
        std::vector<double> gain(q.parents.rows * 5);
        std::vector<std::int32_t> to(gain.size());
        CHECK(deblai::columns::price(q, gain.data(), to.data(), control));
        if (first.empty()) first = gain;
        CHECK(first == gain);
    }
    Control control;  // asked every 50 ms: this takes some hundreds of one thread
    control.poll = [](void*) { return true; };
    control.threads = 1;
    const Sites many(400, 1, 6);
    std::vector<std::int32_t> crowd(40000 * 12);
    for (std::size_t i = 0; i < crowd.size(); ++i) crowd[i] = static_cast<std::int32_t>(i % 400);
    std::vector<double> gain(crowd.size());
    std::vector<std::int32_t> to(crowd.size());
    CHECK(!deblai::columns::price(many.problem(crowd, 12), gain.data(), to.data(), control));
}

}  // namespace

int main() {
    for (const int infinite : {0, 1, 2})
        for (const int count : {2, 3, 4, 5}) moves(8, count, infinite);
    moves(1, 3, 0);
    threads();
    const std::vector<double> oblong(12);
    CHECK_THROWS(deblai::columns::price({{oblong.data(), 3, 4, 4, 1}, oblong.data(), {}}, nullptr, nullptr),
                 deblai::InvalidValue, "expected a square matrix");
    return deblai::test::report();
}
