// Sliced Wasserstein against closed forms and a naive computation, at every instruction set, in float32 and
// float64. "Ground truth k" is that of section 4 of the project's notes on sliced and entropic transport.
#include "deblai/sliced.hpp"

#include <cstring>

#include "check.hpp"
#include "sliced_support.hpp"

namespace {

using namespace deblai;
using namespace deblai::test;

template <class T>
constexpr double tight = sizeof(T) == 8 ? 1e-13 : 2e-6;

template <class F>
void for_levels(F&& f) {
    for (const char* level : levels()) f(Control{.simd = level});
}

double dot(const auto& a, std::size_t i, const auto& b, std::size_t j, index_t d) {
    double s = 0;
    for (index_t k = 0; k < d; ++k) s += double(a[i * d + k]) * double(b[j * d + k]);
    return s;
}

// Ground truth 1, for given directions: two Diracs, or a cloud and its translate by t, cost |theta . t|^p.
template <class T>
void translates() {
    for (const index_t d : {1, 2, 3, 17})
        for (const index_t n : {1, 2, 100})
            for (const double p : {1.0, 1.5, 2.0, 3.0}) {
                Case<T> c = random_case<T>(n, n, d, 9, false, p, 10 + d);
                const std::vector<T> t = gaussian<T>(d, 77);
                // Multiples of 1/1024, so that x + t is exact in float32 too.
                for (T& v : c.x) v = std::round(v * 1024) / 1024;
                for (index_t i = 0; i < n * d; ++i) c.y[i] = c.x[i] + std::round(t[i % d] * 1024) / 1024;
                std::vector<T> exact(d);
                for (index_t k = 0; k < d; ++k) exact[k] = c.y[k] - c.x[k];
                for_levels([&](const Control& control) {
                    const Result<T> r = solve(c, only_cost, control);
                    CHECK(r.estimate.done == c.L());
                    for (index_t l = 0; l < c.L(); ++l) {
                        const double s = std::abs(dot(c.theta, l, exact, 0, d));
                        // Of the projections, which are larger than their difference.
                        const double rounding = 20 * p * (sizeof(T) == 8 ? 2e-16 : 1e-7) * std::pow(s + 1e-3, p - 1);
                        CHECK(std::abs(r.cost[l] - std::pow(s, p)) <= rounding * std::sqrt(double(d)), r.cost[l],
                              std::pow(s, p), control.simd, n, d, p);
                    }
                });
            }
}

// Ground truth 1, averaged: SW_p^p = |t|^p c_{d,p} with c_{d,p} = G(d/2) G((p+1)/2) / (sqrt(pi) G((d+p)/2)).
// c_{2,1} = 0.6366197723675815 = 2/pi, by the midpoint rule; c_{d,2} = 1/d, exact on an orthonormal basis;
// any d, p within 5 standard errors.
void averages() {
    Case<double> circle{2, {0.3, -0.2}, {3.3, 3.8}, {}, {}, {}, 1};
    constexpr int L = 1000;
    for (int l = 0; l < L; ++l) {
        const double angle = std::numbers::pi * (l + 0.5) / L;
        circle.theta.insert(circle.theta.end(), {std::cos(angle), std::sin(angle)});
    }
    CHECK_CLOSE(solve(circle).value(), 5 * 0.6366197723675815, 1e-6);

    Case<double> basis{3, {0, 0, 0}, {1, 2, -2}, {1, 0, 0, 0, 1, 0, 0, 0, 1}, {}, {}, 2};
    CHECK_CLOSE(solve(basis).value(), 9.0 / 3, 1e-15);

    for (const index_t d : {2, 3, 7})
        for (const double p : {1.0, 1.5, 2.0, 3.0}) {
            Case<double> c{
                d, std::vector<double>(d, 0), std::vector<double>(d, 0), directions<double>(20000, d, d), {}, {}, p};
            c.y[0] = 2;
            const Result<double> r = solve(c);
            const double constant = std::tgamma(d / 2.0) * std::tgamma((p + 1) / 2) /
                                    (std::sqrt(std::numbers::pi) * std::tgamma((d + p) / 2));
            double variance = 0;
            for (const double v : r.cost) variance += (v - r.value()) * (v - r.value()) / 20000;
            CHECK(std::abs(r.value() - std::pow(2, p) * constant) < 5 * std::sqrt(variance / 20000), r.value(), d, p);
        }
}

// Ground truth 2: Y = s X + t in any order, cost mean_i (theta . ((s - 1) x_i + t))^2 for each theta.
template <class T>
void affine() {
    for (const double s : {0.0, 0.5, 3.0})
        for (const index_t d : {1, 2, 10})
            for (const index_t n : {3, 64, 1777}) {
                Case<T> c = random_case<T>(n, n, d, 5, false, 2, 20 + d);
                for (index_t i = 0; i < n; ++i)
                    for (index_t k = 0; k < d; ++k)
                        c.y[(n - 1 - i) * d + k] = T(s) * c.x[i * d + k] + T(0.3) * T(k + 1);
                for_levels([&](const Control& control) {
                    const Result<T> r = solve(c, only_cost, control);
                    for (index_t l = 0; l < c.L(); ++l) {
                        double want = 0;
                        for (index_t i = 0; i < n; ++i) {
                            const double v = dot(c.theta, l, c.y, n - 1 - i, d) - dot(c.theta, l, c.x, i, d);
                            want += v * v / n;
                        }
                        CHECK_CLOSE(r.cost[l], want, tight<T>);
                    }
                });
            }
}

// Ground truth 3: two points against two, u and v their differences, alpha the angle between them, in the plane:
// SW_2^2 = (C_id + C_swap)/(4d) - |u| |v| (sin alpha + (pi/2 - alpha) cos alpha)/(pi d), alpha in [0, pi/2].
void two_against_two() {
    Case<double> c{2, {0, 0, 2, 0}, {1, 1, 2, 2.5}, {}, {}, {}, 2};
    constexpr int L = 20000;
    for (int l = 0; l < L; ++l) {
        const double angle = std::numbers::pi * (l + 0.5) / L;
        c.theta.insert(c.theta.end(), {std::cos(angle), std::sin(angle)});
    }
    const double u = 2, v = std::hypot(1, 1.5), alpha = std::atan2(1.5, 1);
    const double id = 2 + 6.25, swap = (4 + 6.25) + (1 + 1), pi = std::numbers::pi;
    const double want = (id + swap) / 8 - u * v * (std::sin(alpha) + (pi / 2 - alpha) * std::cos(alpha)) / (2 * pi);
    CHECK_CLOSE(solve(c).value(), want, 1e-7);
}

// Ground truth 5, the examples of scipy.stats.wasserstein_distance.
template <class T>
void scipy() {
    Case<T> c{1, {0, 1, 3}, {5, 6, 8}, {1}, {}, {}, 1};
    Case<T> weighted{1, {0, 1}, {0, 1}, {1}, {3, 1}, {2, 2}, 1};
    Case<T> more{1,   {T(3.4), T(3.9), T(7.5), T(7.8)}, {T(4.5), T(1.4)},
                 {1}, {T(1.4), T(0.9), T(3.1), T(7.2)}, {T(3.2), T(3.5)},
                 1};
    for_levels([&](const Control& control) {
        CHECK_CLOSE(solve(c, only_cost, control).cost[0], 5, tight<T>);
        CHECK_CLOSE(solve(weighted, only_cost, control).cost[0], 0.25, tight<T>);
        CHECK_CLOSE(solve(more, only_cost, control).cost[0], 4.0781331438047861, tight<T>);
    });
}

// Each direction's cost is the integral over the merged breakpoints, for any sizes, weights and powers.
template <class T>
void naive() {
    constexpr index_t sizes[][2] = {{1, 1}, {1, 40}, {33, 1}, {50, 50}, {50, 75}, {700, 700}, {700, 901}, {3000, 2000}};
    for (const auto& [n, m] : sizes)
        for (const index_t d : {1, 3, 40})
            for (const bool weighted : {false, true})
                for (const double p : {1.0, 1.5, 2.0, 3.0}) {
                    if (n * d > 10000) continue;
                    Case<T> c = random_case<T>(n, m, d, 3, weighted, p, n + m + d);
                    if (weighted && n % 3 == 0) c.b.clear();  // one side weighted, the other not
                    if (weighted && n > 2) c.a[0] = c.a[n / 2] = 0;
                    std::vector<double> want;
                    for (index_t l = 0; l < c.L(); ++l) want.push_back(naive_cost(c.law(true, l), c.law(false, l), p));
                    for_levels([&](const Control& control) {
                        const Result<T> r = solve(c, only_cost, control);
                        for (index_t l = 0; l < c.L(); ++l)
                            CHECK(close(r.cost[l], want[l], sizeof(T) == 8 ? 1e-12 : 2e-5), r.cost[l], want[l], n, m, d,
                                  p, weighted, control.simd);
                        // Gradients wanted or not, the value is the same to rounding.
                        CHECK_CLOSE(solve(c, everything, control).value(), r.value(), 1e-13);
                    });
                }
}

// Explicit equal weights are no weights; integer weights are repeated points.
template <class T>
void equivalent_weights() {
    for (const index_t m : {60, 80})
        for (const double p : {1.0, 2.0, 3.0}) {
            Case<T> plain = random_case<T>(60, m, 3, 8, false, p, 30), equal = plain, counted = plain, repeated = plain;
            equal.a.assign(60, T(0.7)), equal.b.assign(m, T(3));
            for (const bool first : {true, false}) {
                std::vector<T>&points = first ? repeated.x : repeated.y, &w = first ? counted.a : counted.b;
                const std::vector<T> once = points;
                points.clear();
                for (std::size_t i = 0; i < once.size() / 3; ++i) {
                    w.push_back(T(i * 7 % 4));
                    for (int k = 0; k < w[i]; ++k) points.insert(points.end(), &once[3 * i], &once[3 * i] + 3);
                }
            }
            for_levels([&](const Control& control) {
                CHECK_CLOSE(solve(equal, only_cost, control).value(), solve(plain, only_cost, control).value(), 1e-12);
                CHECK_CLOSE(solve(counted, only_cost, control).value(), solve(repeated, only_cost, control).value(),
                            1e-12);
            });
        }
}

// The mean and its standard error: sample deviation over sqrt(L). NaN marks a direction that was not done.
void estimates() {
    const std::vector<double> cost = {1, 2, std::numeric_limits<double>::quiet_NaN(), 6};
    const sliced::Estimate e = sliced::estimate(cost.data(), 4), one = sliced::estimate(cost.data(), 1);
    CHECK(e.done == 3 && one.done == 1, e.done, one.done);
    CHECK_CLOSE(e.mean, 3, 1e-15);
    CHECK_CLOSE(e.standard_error, std::sqrt(7.0 / 3), 1e-15);  // variance (4 + 1 + 9) / 2 = 7
    CHECK(one.mean == 1 && std::isnan(one.standard_error), one.mean, one.standard_error);

    const Case<double> c = random_case<double>(30, 40, 2, 50, false, 2, 3);
    const Result<double> r = solve(c);
    const sliced::Estimate again = sliced::estimate(r.cost.data(), c.L());
    CHECK(r.estimate.done == 50 && r.estimate.mean == again.mean && r.estimate.standard_error == again.standard_error);
}

// A cost beyond the largest double is infinite, never NaN (a cell without mass times infinity): NaN says "not done".
void overflow() {
    for (const double p : {1.5, 2.0, 3.0})
        for (const int m : {2, 3})
            for (const bool weighted : {false, true}) {
                Case<double> c{1, {-1e300, 1e300}, std::vector<double>(m, 1e301), {1}, {}, {}, p};
                if (weighted) c.a = {1, 0};
                for_levels([&](const Control& control) {
                    for (const Wanted wanted : {only_cost, everything})
                        CHECK(solve(c, wanted, control).cost[0] == INFINITY, p, m, weighted, wanted, control.simd);
                });
            }
}

template <class T>
void all() {
    translates<T>();
    affine<T>();
    scipy<T>();
    naive<T>();
    equivalent_weights<T>();
}

}  // namespace

int main() {
    all<float>();
    all<double>();
    averages();
    estimates();
    overflow();
    two_against_two();
    return report();
}
