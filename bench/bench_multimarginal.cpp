// Multi-marginal Sinkhorn from C++: one sweep over all potentials against its floor.
// Floor: the products that a sweep needs, one of 2 n^N flops for the updates of two marginals, in symmetric mode half
// of one over (N-2)!, at 154 (float32) or 73 (float64) GFLOP/s a core (MKL's); for two marginals one exponential an
// entry at 130 (float32) or 300 (float64) ps a core. The error is the largest difference of the potentials to those of
// a run in float64 with the terms of every row summed exactly (baseline, one thread). Usage: bench_multimarginal
// [threads] [results.json]
#include <cmath>
#include <cstdlib>
#include <vector>

#include "deblai/multimarginal.hpp"
#include "deblai/rng.hpp"
#include "harness.hpp"

namespace {

using deblai::index_t;

template <class T>
std::vector<T> cloud(index_t count, std::uint64_t seed) {
    const deblai::Philox philox(seed);
    std::vector<T> out(count);
    for (index_t i = 0; i < count; ++i) {
        const auto b = philox(i);
        const double r = std::sqrt(-2 * std::log(deblai::uniform_open(b.word[0], b.word[1])));
        out[i] =
            static_cast<T>(static_cast<float>(r * std::cos(2 * M_PI * deblai::uniform_open(b.word[2], b.word[3]))));
    }
    return out;
}

template <class T>
struct Case {
    std::vector<std::vector<T>> points;
    std::vector<deblai::multimarginal::Marginal<T>> marginals;
    deblai::multimarginal::Problem<T> problem;
    std::vector<double> potentials, errors, values;

    Case(int N, index_t n, bool symmetric, double epsilon) : errors(64), values(64) {
        const int distinct = symmetric ? 1 : N;
        for (int p = 0; p < distinct; ++p) points.push_back(cloud<T>(3 * n, p + 1));
        for (int p = 0; p < distinct; ++p) marginals.push_back({n, {points[p].data(), n, 3, 3, 1}, {}});
        problem = {N, symmetric, marginals.data(), nullptr, {}, epsilon};
        potentials.resize(distinct * n);
    }

    void sweeps(index_t count, const deblai::Control& control) {
        std::fill(potentials.begin(), potentials.end(), 0.0);
        deblai::multimarginal::sinkhorn(problem, {0.0, count}, potentials.data(), errors.data(), values.data(),
                                        control);
    }
};

template <class T>
void row(deblai::bench::Report& report, const char* type, int N, index_t n, bool symmetric, double epsilon, int threads,
         double goal) {
    Case<T> mine(N, n, symmetric, epsilon);
    Case<double> truth(N, n, symmetric, epsilon);
    constexpr index_t count = 4;
    truth.sweeps(count, {.threads = threads});
    const double entries = std::pow(static_cast<double>(n), N) * count * (symmetric ? 1 : N);
    const double flops = sizeof(T) == 4 ? 154e9 : 73e9, exponential = sizeof(T) == 4 ? 130e-12 : 300e-12;
    const double floor =
        (N == 2 ? entries * exponential : entries / (symmetric ? std::tgamma(N - 1.0) : 1.0) / flops) / threads;
    char name[128];
    std::snprintf(name, sizeof name, "multimarginal %s %s N=%d n=%lld epsilon=%g, %lld sweeps", type,
                  symmetric ? "symmetric" : "general", N, (long long)n, epsilon, (long long)count);
    report.run(name, {goal * count, entries, "entries/s", floor}, [&] {
        mine.sweeps(count, {.threads = threads});
        double worst = 0;
        for (std::size_t i = 0; i < mine.potentials.size(); ++i)
            worst = std::max(worst, std::abs(mine.potentials[i] - truth.potentials[i]));
        return worst;
    });
}

}  // namespace

int main(int argc, char** argv) {
    const int threads = argc > 1 ? std::atoi(argv[1]) : 2;
    deblai::bench::Report report;
    report.header();
    row<float>(report, "f32", 3, 128, false, 0.5, threads, 0.00012);
    row<float>(report, "f32", 3, 256, false, 0.5, threads, 0.00049);
    row<float>(report, "f32", 3, 1024, false, 0.5, threads, 0.0139);
    row<double>(report, "f64", 3, 256, false, 0.5, threads, 0.0009);
    row<float>(report, "f32", 3, 256, true, 0.5, threads, 0.00015);
    row<double>(report, "f64", 3, 256, true, 0.5, threads, 0.0003);
    row<double>(report, "f64", 3, 256, true, 0.005, threads, 0.0003);
    row<float>(report, "f32", 4, 64, false, 0.5, threads, 0.0006);
    row<float>(report, "f32", 4, 64, true, 0.5, threads, 0.00015);
    row<float>(report, "f32", 5, 24, true, 0.05, threads, 0.0001);
    row<float>(report, "f32", 2, 10000, false, 0.5, threads, 0.04);
    row<double>(report, "f64", 2, 10000, false, 0.5, threads, 0.09);
    if (argc > 2) report.write(argv[2]);
}
