// Gradients in points and weights against central differences of the value, at every instruction set.
#include "check.hpp"
#include "sliced_support.hpp"

namespace {

using namespace deblai;
using namespace deblai::test;

// (value(v + h e_i) - value(v - h e_i)) / 2h for every entry of one of the case's arrays.
std::vector<double> differences(Case<double> c, std::vector<double> Case<double>::* array, double h) {
    std::vector<double> out;
    for (double& v : c.*array) {
        const double at = v;
        v = at + h;
        const double more = solve(c).value();
        v = at - h;
        const double less = solve(c).value();
        v = at;
        out.push_back((more - less) / (2 * h));
    }
    return out;
}

template <class T>
void compare(const std::vector<T>& got, const std::vector<double>& want, double tolerance, const char* what,
             const char* level, double p) {
    double scale = 0;
    for (const double w : want) scale = std::max(scale, std::abs(w));
    CHECK(got.size() == want.size());
    for (std::size_t i = 0; i < got.size(); ++i)
        CHECK(std::abs(double(got[i]) - want[i]) <= tolerance * scale, got[i], want[i], i, what, level, p);
}

template <class T>
std::vector<T> rounded(const std::vector<double>& v) {
    return std::vector<T>(v.begin(), v.end());
}

// Generic points and weights: the value is smooth there. float32 is held to float64's differences.
void generic() {
    constexpr index_t sizes[][2] = {{6, 6}, {60, 60}, {5, 7}, {12, 31}};
    for (const auto& [n, m] : sizes)
        for (const bool weighted : {false, true})
            for (const double p : {1.0, 1.5, 2.0, 3.0}) {
                const Case<double> c = random_case<double>(n, m, 3, 6, weighted, p, 7 * n + m);
                const Case<float> f{3,
                                    rounded<float>(c.x),
                                    rounded<float>(c.y),
                                    rounded<float>(c.theta),
                                    rounded<float>(c.a),
                                    rounded<float>(c.b),
                                    p};
                const auto dx = differences(c, &Case<double>::x, 1e-6), dy = differences(c, &Case<double>::y, 1e-6);
                // Null weights differentiate as weights that sum to 1; where n = m they are not generic, see below.
                const bool smooth = weighted || n != m;
                Case<double> w = c;
                if (!weighted) w.a.assign(n, 1.0 / n), w.b.assign(m, 1.0 / m);
                const auto da = differences(w, &Case<double>::a, 1e-6), db = differences(w, &Case<double>::b, 1e-6);
                for (const char* level : levels()) {
                    const Result<double> r = solve(c, everything, {.simd = level}),
                                         q = solve(c, points, {.simd = level});
                    compare(r.grad_x, dx, 1e-7, "x", level, p);
                    compare(r.grad_y, dy, 1e-7, "y", level, p);
                    compare(q.grad_x, r.grad_x, 1e-13, "x alone", level, p);
                    compare(q.grad_y, r.grad_y, 1e-13, "y alone", level, p);
                    const Result<float> s = solve(f, everything, {.simd = level});
                    compare(s.grad_x, dx, p == 1.5 ? 1e-3 : 2e-5, "x, float32", level, p);
                    if (!smooth) continue;
                    compare(r.grad_a, da, 1e-6, "a", level, p);
                    compare(r.grad_b, db, 1e-6, "b", level, p);
                    if (n != m) compare(s.grad_b, db, 1e-3, "b, float32", level, p);
                }
            }
}

// Equal weights and n = m: every step of one distribution function meets one of the other, the value has a kink in
// the weights, and the gradient is the mean of its two one-sided derivatives: what a central difference gives.
void kink() {
    Case<double> c = random_case<double>(8, 8, 2, 5, false, 2, 90), w = c;
    w.a.assign(8, 0.125), w.b.assign(8, 0.125);
    const Result<double> r = solve(c, weights);
    compare(r.grad_a, differences(w, &Case<double>::a, 1e-7), 1e-6, "a", "best", 2);
    compare(r.grad_b, differences(w, &Case<double>::b, 1e-7), 1e-6, "b", "best", 2);
}

// Of the normalised weights: the gradient is orthogonal to them, and scales as 1 / sum of the weights.
void homogeneous() {
    const Case<double> c = random_case<double>(40, 30, 3, 7, true, 2, 91);
    Case<double> scaled = c;
    for (double& v : scaled.a) v *= 4;
    const Result<double> r = solve(c, everything), s = solve(scaled, everything);
    CHECK_CLOSE(r.value(), s.value(), 1e-13);
    double along = 0, size = 0;
    for (index_t i = 0; i < c.n(); ++i) {
        along += c.a[i] * r.grad_a[i];
        size += c.a[i] * std::abs(r.grad_a[i]);
        CHECK_CLOSE(r.grad_a[i], 4 * s.grad_a[i], 1e-10);
    }
    CHECK(std::abs(along) < 1e-13 * size, along, size);
}

// A translation of both clouds changes nothing: all gradients in the points sum to zero.
void translation() {
    for (const index_t m : {100, 130}) {
        const Result<double> r = solve(random_case<double>(100, m, 2, 9, false, 1.5, 92), points);
        for (int k = 0; k < 2; ++k) {
            double sum = 0;
            for (std::size_t i = k; i < r.grad_x.size(); i += 2) sum += r.grad_x[i];
            for (std::size_t i = k; i < r.grad_y.size(); i += 2) sum += r.grad_y[i];
            CHECK(std::abs(sum) < 1e-14, sum);
        }
    }
}

// Each output alone equals the same output among all.
void one_output_at_a_time() {
    const Case<double> c = random_case<double>(50, 70, 2, 9, true, 3, 93);
    const Result<double> r = solve(c, everything);
    std::vector<double> cost(c.L()), gx(c.x.size()), gy(c.y.size()), ga(c.n()), gb(c.m());
    sliced::wasserstein<double>(c.problem(), {cost.data(), matrix(gx, 2), {}, {}, {}});
    sliced::wasserstein<double>(c.problem(), {cost.data(), {}, matrix(gy, 2), {}, {}});
    sliced::wasserstein<double>(c.problem(), {cost.data(), {}, {}, vector(ga), {}});
    sliced::wasserstein<double>(c.problem(), {cost.data(), {}, {}, {}, vector(gb)});
    CHECK(gx == r.grad_x);
    CHECK(gy == r.grad_y);
    CHECK(ga == r.grad_a);
    CHECK(gb == r.grad_b);
    for (index_t l = 0; l < c.L(); ++l) CHECK_CLOSE(cost[l], r.cost[l], 1e-14);
}

}  // namespace

int main() {
    generic();
    kink();
    homogeneous();
    translation();
    one_output_at_a_time();
    return report();
}
