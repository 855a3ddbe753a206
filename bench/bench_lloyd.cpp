// One step of Lloyd's algorithm from C++ against its floors.
// Floor with a grid (d <= 3): samples read and labels written once at 10 GB/s a core, and d + 1 float64 sums a sample
// at one a cycle of 3.6 GHz. With tiles: the products alone, 2 n k d flops at the speed of a matrix product (float32
// 154, float64 73 GFLOP/s a core). The error is the largest excess of a squared distance over the least one, relative
// to it, among 2000 samples.
// Usage: bench_lloyd [threads] [results.json]
#include <cmath>
#include <cstdlib>
#include <vector>

#include "deblai/lloyd.hpp"
#include "deblai/rng.hpp"
#include "harness.hpp"

namespace {

using deblai::index_t;

template <class T>
std::vector<T> samples(index_t count, bool normal) {
    const deblai::Philox philox(1);
    std::vector<T> out(count);
    for (index_t i = 0; i < count; ++i) {
        const auto b = philox(i);
        const double u = deblai::uniform_open(b.word[0], b.word[1]), v = deblai::uniform_open(b.word[2], b.word[3]);
        out[i] = static_cast<T>(normal ? std::sqrt(-2 * std::log(u)) * std::cos(2 * M_PI * v) : u);
    }
    return out;
}

template <class T>
double excess(const std::vector<T>& x, const std::vector<T>& y, const std::vector<std::int32_t>& label, index_t d) {
    const index_t n = static_cast<index_t>(label.size()), k = static_cast<index_t>(y.size()) / d;
    const auto squared = [&](index_t i, index_t j) {
        double s = 0;
        for (index_t a = 0; a < d; ++a) s += std::pow(double(x[i * d + a]) - double(y[j * d + a]), 2);
        return s;
    };
    double worst = 0;
    for (index_t i = 0; i < n; i += std::max<index_t>(1, n / 2000)) {
        const double here = squared(i, label[i]);
        for (index_t j = 0; j < k; ++j) worst = std::max(worst, here > 0 ? 1 - squared(i, j) / here : 0);
    }
    return worst;
}

template <class T>
void row(deblai::bench::Report& report, const char* type, index_t n, index_t d, index_t k, bool normal, int threads,
         double goal) {
    const std::vector<T> x = samples<T>(n * d, normal);
    std::vector<T> y(k * d);
    for (index_t j = 0; j < k; ++j) std::copy_n(x.data() + (j * (n / k)) * d, d, y.data() + j * d);
    std::vector<double> mass(k), sum(k * d);
    std::vector<std::int32_t> label(n);
    const deblai::lloyd::Problem<T> problem{{x.data(), n, d, d, 1}, {}, {y.data(), k, d, d, 1}};
    const double pairs = static_cast<double>(n) * static_cast<double>(k);
    const double floor = d <= 3 ? n * ((d * sizeof(T) + 4) / 10e9 + (d + 1) / 3.6e9) / threads
                                : 2 * pairs * d / ((sizeof(T) == 4 ? 154e9 : 73e9) * threads);
    double error = -1;
    char name[128];
    std::snprintf(name, sizeof name, "lloyd %s n=%lld d=%lld k=%lld%s", type, (long long)n, (long long)d, (long long)k,
                  normal ? " normal" : "");
    report.run(name, {goal, pairs, "pairs/s", floor}, [&] {
        deblai::lloyd::assign<T>(problem, {mass.data(), sum.data(), {label.data(), n, 1}, {}}, {.threads = threads});
        if (error < 0) error = excess(x, y, label, d);
        return error;
    });
}

}  // namespace

int main(int argc, char** argv) {
    const int threads = argc > 1 ? std::atoi(argv[1]) : 2;
    deblai::bench::Report report;
    report.header();
    row<float>(report, "f32", 1000000, 1, 1000, false, threads, 0.010);
    row<float>(report, "f32", 1000000, 2, 1000, false, threads, 0.030);
    row<float>(report, "f32", 1000000, 2, 1000, true, threads, 0.030);
    row<float>(report, "f32", 1000000, 2, 10000, false, threads, 0.060);
    row<double>(report, "f64", 1000000, 2, 1000, false, threads, 0.040);
    row<float>(report, "f32", 1000000, 3, 1000, true, threads, 0.050);
    row<float>(report, "f32", 100000, 4, 1000, true, threads, 0.020);
    row<float>(report, "f32", 100000, 64, 1000, true, threads, 0.109);
    row<double>(report, "f64", 100000, 64, 1000, true, threads, 0.220);
    row<float>(report, "f32", 200000, 16, 4096, true, threads, 0.170);
    if (argc > 2) report.write(argv[2]);
}
