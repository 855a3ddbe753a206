// Sliced Wasserstein on a GPU: the rows of bench_sliced.cpp and larger ones, each call with its synchronisation.
// Floor: bytes at 4.3 TB/s (a measured copy on an H200), counting keys written by the projection, one reading for the
// digits' counts, one reading and one writing for each 8-bit digit of the sort (with a 4-byte index for gradients), and
// one reading by the cost; slopes are written and read once. Plus the projection at 60 (float64: 30) TFLOP/s.
// Usage: bench_sliced_cuda [results.json]
#include <cuda_runtime.h>

#include <cmath>
#include <cstdlib>
#include <stdexcept>
#include <vector>

#include "deblai/cuda/device.hpp"
#include "deblai/cuda/sliced.hpp"
#include "deblai/rng.hpp"
#include "harness.hpp"

namespace {

using deblai::index_t;

void check(cudaError_t status) {
    if (status != cudaSuccess) throw std::runtime_error(cudaGetErrorString(status));
}

template <class T>
struct Device {
    T* data = nullptr;
    std::size_t bytes;

    explicit Device(const std::vector<T>& values) : bytes(values.size() * sizeof(T)) {
        if (bytes) check(cudaMalloc(reinterpret_cast<void**>(&data), bytes));
        if (bytes) check(cudaMemcpy(data, values.data(), bytes, cudaMemcpyHostToDevice));
    }
    ~Device() { cudaFree(data); }
    Device(const Device&) = delete;
    Device& operator=(const Device&) = delete;
};

template <class T>
std::vector<T> gaussian(index_t count, std::uint64_t seed) {
    const deblai::Philox philox(seed);
    std::vector<T> out(count);
    for (index_t i = 0; i < count; ++i) {
        const auto b = philox(i);
        const double r = std::sqrt(-2 * std::log(deblai::uniform_open(b.word[0], b.word[1])));
        out[i] = static_cast<T>(r * std::cos(2 * M_PI * deblai::uniform_open(b.word[2], b.word[3])));
    }
    return out;
}

// y = 0.8 x + 0.3 in another order: for given directions the mean of (theta . (0.3 - 0.2 x))^2 exactly.
template <class T>
double shifted(const std::vector<T>& x, std::vector<T>& y, const std::vector<T>& theta, index_t n, index_t d,
               index_t L) {
    std::vector<double> sums(L);
    for (index_t i = 0; i < n; ++i) {
        const T* const from = &x[(n - 1 - i) * d];
        T* const to = &y[i * d];
        for (index_t k = 0; k < d; ++k) to[k] = T(0.8) * from[k] + T(0.3);
        for (index_t l = 0; l < L; ++l) {
            double s = 0;
            for (index_t k = 0; k < d; ++k) s += theta[l * d + k] * (double(to[k]) - double(from[k]));
            sums[l] += s * s;
        }
    }
    double truth = 0;
    for (const double s : sums) truth += s / static_cast<double>(n * L);
    return truth;
}

template <class T>
void row(deblai::bench::Report& report, const char* type, index_t n, index_t d, index_t L, bool grad, bool weighted,
         double goal) {
    const std::vector<T> x = gaussian<T>(n * d, 1), w(weighted ? n : 0, T(1));
    std::vector<T> y(n * d), theta = gaussian<T>(L * d, 3);
    for (index_t l = 0; l < L; ++l) {
        double norm = 0;
        for (index_t k = 0; k < d; ++k) norm += double(theta[l * d + k]) * theta[l * d + k];
        for (index_t k = 0; k < d; ++k) theta[l * d + k] = static_cast<T>(theta[l * d + k] / std::sqrt(norm));
    }
    const double truth = shifted(x, y, theta, n, d, L);
    const Device<T> dx(x), dy(y), dtheta(theta), dw(w), gradient(std::vector<T>(grad ? n * d : 0));
    std::vector<double> cost(L);
    deblai::sliced::Problem<T> problem;
    problem.x = {dx.data, n, d, d, 1};
    problem.y = {dy.data, n, d, d, 1};
    problem.directions = {dtheta.data, L, d, d, 1};
    problem.a = {dw.data, n, 1};
    problem.b = {dw.data, n, 1};
    deblai::sliced::Output<T> output;
    output.cost = cost.data();
    if (grad) output.grad_x = {gradient.data, n, d, d, 1};
    const double keys = 2.0 * static_cast<double>(n * L), key = sizeof(T), index = grad || weighted ? 4 : 0;
    const double bytes = keys * (3 * key + index + 2 * key * (key + index) + (grad ? key : 0));
    const double floor =
        bytes / 4.3e12 + keys * static_cast<double>(d) * (grad ? 3 : 2) / (sizeof(T) == 4 ? 60e12 : 30e12);
    char name[128];
    std::snprintf(name, sizeof name, "sliced cuda %s %s%s n=%lld d=%lld L=%lld", type, grad ? "value+grad" : "value",
                  weighted ? " weighted" : "", static_cast<long long>(n), static_cast<long long>(d),
                  static_cast<long long>(L));
    report.run(name, {goal, keys, "keys/s", floor}, [&] {
        if (grad) check(cudaMemsetAsync(gradient.data, 0, gradient.bytes));
        return std::abs(deblai::cuda::sliced::wasserstein(problem, output, nullptr, 0).mean / truth - 1);
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
    row<float>(report, "f32", 1000, 2, 1000, false, false, 5e-4);
    row<float>(report, "f32", 10000, 2, 100, false, false, 1e-3);
    row<float>(report, "f32", 100000, 10, 100, false, false, 2e-3);
    row<float>(report, "f32", 10000, 100, 1000, false, false, 2e-3);
    row<float>(report, "f32", 1000000, 10, 10, false, false, 3e-3);
    row<float>(report, "f32", 100000, 10, 100, true, false, 4e-3);
    row<float>(report, "f32", 100000, 10, 100, true, true, 6e-3);
    row<float>(report, "f32", 100000, 10, 1000, false, false, 1.5e-2);
    row<float>(report, "f32", 10000, 784, 1000, true, false, 5e-3);
    row<double>(report, "f64", 100000, 10, 100, false, false, 5e-3);
    row<double>(report, "f64", 100000, 10, 100, true, false, 8e-3);
    if (argc > 1) report.write(argv[1]);
}
