// Sliced Wasserstein from C++: values and gradients against their floors.
// Floor: three scatter passes of a least-significant-digit radix sort at 1.0 ns a key and one counting pass at
// 0.5 ns (measured ceiling of one core, level-2 cache), plus the projection at 60 GFLOP/s a core.
// Usage: bench_sliced [threads] [results.json]
#include <cmath>
#include <cstdlib>
#include <vector>

#include "deblai/rng.hpp"
#include "deblai/sliced.hpp"
#include "harness.hpp"

namespace {

using deblai::index_t;

template <class T>
std::vector<T> gaussian(index_t count, std::uint64_t seed, double scale, double shift) {
    const deblai::Philox philox(seed);
    std::vector<T> out(count);
    for (index_t i = 0; i < count; ++i) {
        const auto b = philox(i);
        const double r = std::sqrt(-2 * std::log(deblai::uniform_open(b.word[0], b.word[1])));
        out[i] = static_cast<T>(shift + scale * r * std::cos(2 * M_PI * deblai::uniform_open(b.word[2], b.word[3])));
    }
    return out;
}

// y = 0.8 x + 0.3: the estimator for given directions is mean (theta . (0.3 - 0.2 x))^2 exactly.
template <class T>
void row(deblai::bench::Report& report, const char* type, index_t n, index_t d, index_t L, bool grad, int threads,
         double goal) {
    const std::vector<T> x = gaussian<T>(n * d, 1, 1, 0);
    std::vector<T> y(n * d), theta = gaussian<T>(L * d, 3, 1, 0), gx(grad ? n * d : 0);
    for (index_t i = 0; i < n; ++i)
        for (index_t k = 0; k < d; ++k) y[i * d + k] = T(0.8) * x[(n - 1 - i) * d + k] + T(0.3);
    double truth = 0;
    for (index_t l = 0; l < L; ++l) {
        double norm = 0;
        for (index_t k = 0; k < d; ++k) norm += double(theta[l * d + k]) * theta[l * d + k];
        for (index_t k = 0; k < d; ++k) theta[l * d + k] = static_cast<T>(theta[l * d + k] / std::sqrt(norm));
        double sum = 0;
        for (index_t i = 0; i < n; ++i) {
            double s = 0;
            for (index_t k = 0; k < d; ++k)
                s += theta[l * d + k] * (double(y[i * d + k]) - double(x[(n - 1 - i) * d + k]));
            sum += s * s;
        }
        truth += sum / n / L;
    }
    std::vector<double> cost(L);
    deblai::sliced::Problem<T> problem;
    problem.x = {x.data(), n, d, d, 1};
    problem.y = {y.data(), n, d, d, 1};
    problem.directions = {theta.data(), L, d, d, 1};
    deblai::sliced::Output<T> output;
    output.cost = cost.data();
    if (grad) output.grad_x = {gx.data(), n, d, d, 1};
    const double keys = 2.0 * n * L, passes = sizeof(T) == 4 ? 3 : 6, words = grad ? 1.5 : 1;
    const double floor = (keys * (passes * words + 0.5) * 1e-9 + keys * d * 2 / 60e9) / threads;
    char name[128];
    std::snprintf(name, sizeof name, "sliced %s %s n=%lld d=%lld L=%lld", type, grad ? "value+grad" : "value",
                  (long long)n, (long long)d, (long long)L);
    report.run(name, {goal, keys, "keys/s", floor}, [&] {
        std::fill(gx.begin(), gx.end(), T(0));
        deblai::sliced::wasserstein(problem, output, {.threads = threads});
        double value = 0;
        for (const double c : cost) value += c / L;
        return std::abs(value / truth - 1);
    });
}

}  // namespace

int main(int argc, char** argv) {
    const int threads = argc > 1 ? std::atoi(argv[1]) : 2;
    deblai::bench::Report report;
    report.header();
    row<float>(report, "f32", 10000, 2, 100, false, threads, 0.008);
    row<float>(report, "f32", 100000, 10, 100, false, threads, 0.108);
    row<float>(report, "f32", 10000, 100, 1000, false, threads, 0.090);
    row<float>(report, "f32", 1000000, 10, 10, false, threads, 0.125);
    row<float>(report, "f32", 100000, 10, 100, true, threads, 0.150);
    row<double>(report, "f64", 100000, 10, 100, false, threads, 0.200);
    row<double>(report, "f64", 100000, 10, 100, true, threads, 0.400);
    if (argc > 2) report.write(argv[2]);
}
