// What sliced::wasserstein refuses, and that each message names the argument and the entry.
#include "check.hpp"
#include "deblai/error.hpp"
#include "sliced_support.hpp"

namespace {

using namespace deblai;
using namespace deblai::test;

template <class T>
void refused() {
    constexpr T nan = std::numeric_limits<T>::quiet_NaN(), inf = std::numeric_limits<T>::infinity();
    const Case<T> good = random_case<T>(64, 10, 3, 4, true, 2, 1);
    CHECK(solve(good).estimate.done == 4);
    const auto refuse = [&](const char* message, auto&& change) {
        Case<T> c = good;
        change(c);
        CHECK_THROWS(solve(c), InvalidValue, message);
        CHECK_THROWS(solve(c, everything, {.threads = 2}), InvalidValue, message);
    };
    refuse("[sliced.wasserstein] x: expected finite values, got nan at [2, 1]", [&](auto& c) { c.x[7] = nan; });
    refuse("[sliced.wasserstein] x: expected finite values, got -inf at [63, 2]", [&](auto& c) { c.x.back() = -inf; });
    refuse("[sliced.wasserstein] y: expected finite values, got inf at [0, 0]", [&](auto& c) { c.y[0] = inf; });
    refuse("[sliced.wasserstein] directions: expected finite values, got nan at [3, 2]",
           [&](auto& c) { c.theta[11] = nan; });
    refuse("[sliced.wasserstein] a: expected finite nonnegative weights, got -1", [&](auto& c) { c.a[5] = -1; });
    refuse("at [5]", [&](auto& c) { c.a[5] = -1; });
    refuse("[sliced.wasserstein] a: expected finite nonnegative weights, got nan at [0]",
           [&](auto& c) { c.a[0] = nan; });
    refuse("[sliced.wasserstein] b: expected finite nonnegative weights, got inf at [9]",
           [&](auto& c) { c.b[9] = inf; });
    refuse("[sliced.wasserstein] b: expected a positive finite total mass, got 0", [&](auto& c) { c.b.assign(10, 0); });
    refuse("[sliced.wasserstein] a: expected one weight per point of x", [&](auto& c) { c.a.pop_back(); });
    refuse("[sliced.wasserstein] b: expected one weight per point of y", [&](auto& c) { c.b.push_back(1); });
    refuse("[sliced.wasserstein] x: expected at least one point", [&](auto& c) { c.x.clear(); });
    refuse("[sliced.wasserstein] y: expected at least one point", [&](auto& c) { c.y.clear(); });
    refuse("[sliced.wasserstein] directions: expected shape (L, d), L >= 1", [&](auto& c) { c.theta.clear(); });
    for (const double p : {0.5, 0.0, -1.0, 1e3, double(nan), double(inf)})
        refuse("[sliced.wasserstein] p: expected 1 <= p < 1000", [&](auto& c) { c.p = p; });

    std::vector<double> cost(4);
    sliced::Problem<T> q = good.problem();
    q.y.cols = 2;
    CHECK_THROWS(sliced::wasserstein<T>(q, {cost.data(), {}, {}, {}, {}}), InvalidValue,
                 "y: expected as many coordinates as x");
    q = good.problem();
    q.directions.cols = 2;
    CHECK_THROWS(sliced::wasserstein<T>(q, {cost.data(), {}, {}, {}, {}}), InvalidValue, "directions: expected shape");
    q = good.problem();
    q.x.cols = q.y.cols = q.directions.cols = 0;
    CHECK_THROWS(sliced::wasserstein<T>(q, {cost.data(), {}, {}, {}, {}}), InvalidValue,
                 "x: expected at least one point and one coordinate");
    CHECK_THROWS(solve(good, only_cost, {.simd = "sse9"}), InvalidValue,
                 "simd: expected baseline, avx2 or avx512, got 'sse9'");
}

// One bad entry anywhere is found, whatever the layout and however the array is cut into tasks.
void found_anywhere() {
    for (const index_t n : {1, 63, 64, 5000})
        for (const index_t d : {1, 3}) {
            const Case<float> good = random_case<float>(n, 3, d, 2, false, 2, 2);
            for (const index_t at : {index_t{0}, n * d / 2, n * d - 1}) {
                Case<float> c = good;
                c.x[at] = -std::numeric_limits<float>::infinity();
                const std::string where =
                    "got -inf at [" + std::to_string(at / d) + ", " + std::to_string(at % d) + "]";
                CHECK_THROWS(solve(c, only_cost, {.threads = 3}), InvalidValue, where);
                sliced::Problem<float> q = c.problem();
                std::vector<float> turned(n * d);  // column-major
                for (index_t i = 0; i < n * d; ++i) turned[i % d * n + i / d] = c.x[i];
                q.x = {turned.data(), n, d, 1, n};
                double cost[2];
                CHECK_THROWS(sliced::wasserstein<float>(q, {cost, {}, {}, {}, {}}), InvalidValue, where);
            }
        }
}

}  // namespace

int main() {
    refused<float>();
    refused<double>();
    found_anywhere();
    return report();
}
