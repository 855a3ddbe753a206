// Multi-marginal Sinkhorn on a GPU: plain sweeps, each call with its set-up and its synchronisations; rates are
// sweeps/s. Floor, per term of a sum: one exponential for two marginals, at 16 a clock and multiprocessor in float32
// and at 30 float64 operations each in float64; for three and more in float32 one multiplication at full rate (a tile
// of products) and three exponentials for 32 terms, in float64 one multiplication on the tensor cores, so that the
// share of the floor is that of their peak, 67 TFLOP/s. The least reduced cost: tuples/s, two float64 operations each;
// thirty for a cost of two marginals. The clock and the multiprocessors are those of an H200 (1.755 GHz, 132). Error:
// of the dual value after the sweeps, relative to the CPU kernel in float64; of the least cost where the CPU finds it
// in seconds. Usage: bench_multimarginal_cuda [results.json]
#include <cuda_runtime.h>

#include <cmath>
#include <stdexcept>
#include <vector>

#include "deblai/cuda/device.hpp"
#include "deblai/cuda/multimarginal-minimum.hpp"
#include "deblai/cuda/multimarginal.hpp"
#include "deblai/rng.hpp"
#include "harness.hpp"

namespace {

using deblai::index_t;
using deblai::PairCost;
namespace mm = deblai::multimarginal;

constexpr double clocks = 132 * 1.755e9, tensor_peak = 67e12;

void check(cudaError_t status) {
    if (status != cudaSuccess) throw std::runtime_error(cudaGetErrorString(status));
}

// Equal marginals of uniform points in the cube; general mode has one list of them a marginal.
template <class T>
struct Problem {
    std::vector<std::vector<T>> points;
    std::vector<T*> device;
    std::vector<mm::Marginal<T>> marginals;

    Problem(index_t n, int count) {
        for (int p = 0; p < count; ++p) {
            const deblai::Philox philox(p + 1);
            std::vector<T> x(3 * n);
            for (index_t i = 0; i < 3 * n; ++i) {
                const auto b = philox(i);
                x[i] = static_cast<T>(deblai::uniform_open(b.word[0], b.word[1]));
            }
            T* at = nullptr;
            check(cudaMalloc(reinterpret_cast<void**>(&at), x.size() * sizeof(T)));
            check(cudaMemcpy(at, x.data(), x.size() * sizeof(T), cudaMemcpyHostToDevice));
            points.push_back(std::move(x));
            device.push_back(at);
        }
    }
    ~Problem() {
        for (T* at : device) cudaFree(at);
    }
    Problem(const Problem&) = delete;

    mm::Problem<T> view(int n_marginals, const PairCost& cost, double epsilon, bool on_device) {
        marginals.clear();
        for (std::size_t p = 0; p < points.size(); ++p) {
            const index_t n = static_cast<index_t>(points[p].size()) / 3;
            marginals.push_back({n, {on_device ? device[p] : points[p].data(), n, 3, 3, 1}, {}});
        }
        return {n_marginals, points.size() == 1, marginals.data(), nullptr, cost, epsilon};
    }
};

template <class T>
void row(deblai::bench::Report& report, int N, index_t n, bool symmetric, double epsilon, index_t sweeps, double goal) {
    const PairCost cost{symmetric ? PairCost::Kind::riesz : PairCost::Kind::quadratic, 1, 1};
    const int count = symmetric ? 1 : N;
    const index_t length = count * n;
    std::vector<double> f(length), errors(sweeps), values(sweeps);
    double truth;
    {
        Problem<double> exact(n, count);
        mm::sinkhorn(exact.view(N, cost, epsilon, false), {-1, sweeps, 0}, f.data(), errors.data(), values.data());
        truth = values.back();
    }
    Problem<T> problem(n, count);
    const mm::Problem<T> q = problem.view(N, cost, epsilon, true);
    // Of one sweep; tuples of fixed points are sorted in symmetric mode.
    double terms = count * std::pow(static_cast<double>(n), 3);
    for (int l = 0; l < N - 3; ++l) terms *= symmetric ? static_cast<double>(n + l) / (l + 1) : static_cast<double>(n);
    if (N == 2) terms = count * std::pow(static_cast<double>(n), 2);
    const double exps = clocks * (sizeof(T) == 4 ? 16 : 64.0 / 30), products = clocks * 128;
    const double each = N == 2 ? 1 / exps : sizeof(T) == 8 ? 2 / tensor_peak : std::max(1 / products, 3.0 / 32 / exps);
    char name[128];
    std::snprintf(name, sizeof name, "multimarginal cuda f%d N=%d n=%lld %s eps=%g", 8 * static_cast<int>(sizeof(T)), N,
                  static_cast<long long>(n), symmetric ? "equal" : "general", epsilon);
    report.run(name, {goal, static_cast<double>(sweeps), "sweep/s", static_cast<double>(sweeps) * terms * each}, [&] {
        f.assign(length, 0.0);
        deblai::cuda::multimarginal::sinkhorn(q, {-1, sweeps, 0}, f.data(), errors.data(), values.data(), nullptr, 0);
        return std::abs(values.back() / truth - 1);
    });
}

// All tuples at potentials of zero; the CPU, which leaves most of them out, for comparison.
void minimum(deblai::bench::Report& report, int N, index_t n, bool symmetric, bool compared, double goal) {
    const PairCost cost{symmetric ? PairCost::Kind::riesz : PairCost::Kind::quadratic, 1, symmetric ? 1.0 : -1.0};
    const int count = symmetric ? 1 : N;
    Problem<double> problem(n, count);
    const std::vector<double> f(count * n, 0.0);
    const double truth = compared ? mm::minimum(problem.view(N, cost, 1, false), f.data(), {1000000000}).best : 0;
    const mm::Problem<double> q = problem.view(N, cost, 1, true);
    double tuples = 1;
    for (int l = 0; l < N; ++l)
        tuples *= symmetric && N > 2 ? static_cast<double>(n + l) / (l + 1) : static_cast<double>(n);
    const double each = (N == 2 ? 30 : 2) / (64 * clocks);
    char name[128];
    std::snprintf(name, sizeof name, "multimarginal cuda minimum N=%d n=%lld %s", N, static_cast<long long>(n),
                  symmetric ? "equal" : "general");
    report.run(name, {goal, tuples, "tuple/s", tuples * each}, [&] {
        const mm::Minimum found = deblai::cuda::multimarginal::minimum(q, f.data(), std::int64_t{1} << 62, nullptr, 0);
        if (!found.exact) return 1.0;
        return compared ? std::abs(found.value - truth) / std::abs(truth) : 0.0;
    });
}

}  // namespace

int main(int argc, char** argv) {
    if (deblai::cuda::device_count() == 0) {
        std::printf("no CUDA device\n");
        return 1;
    }
    std::printf("%s\n", deblai::cuda::device_name(0).c_str());
    deblai::bench::Report report;
    report.header();
    row<float>(report, 2, 1000, false, 0.05, 100, 2e-2);
    row<float>(report, 2, 10000, false, 0.05, 10, 2e-2);
    row<float>(report, 2, 50000, false, 0.05, 2, 2e-2);
    row<float>(report, 3, 100, true, 0.1, 100, 2e-2);
    row<float>(report, 3, 1000, true, 0.1, 10, 5e-3);
    row<float>(report, 3, 1000, true, 0.005, 10, 2e-2);
    row<float>(report, 3, 1000, false, 0.1, 10, 1e-2);
    row<float>(report, 3, 4000, true, 0.1, 2, 2e-2);
    row<float>(report, 4, 200, true, 0.1, 5, 5e-3);
    row<float>(report, 5, 60, true, 0.1, 5, 5e-3);
    row<double>(report, 2, 10000, false, 0.05, 10, 5e-2);
    row<double>(report, 3, 1000, true, 0.1, 10, 4e-3);
    row<double>(report, 3, 1000, true, 0.005, 10, 4e-2);
    row<double>(report, 3, 1000, false, 0.1, 10, 8e-3);
    row<double>(report, 3, 4000, true, 0.1, 2, 3e-2);
    row<double>(report, 4, 200, true, 0.1, 5, 1e-2);
    minimum(report, 2, 50000, false, true, 2e-2);
    minimum(report, 3, 1000, true, true, 1e-3);
    minimum(report, 3, 1000, false, true, 1e-3);
    minimum(report, 4, 200, true, true, 1e-2);
    minimum(report, 3, 10000, false, false, 0.5);
    if (argc > 1) report.write(argv[1]);
}
