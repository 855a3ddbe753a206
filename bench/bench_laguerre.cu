// Voronoi and Laguerre cells of the plane on a GPU: the rows of bench_laguerre.cpp and larger ones, up to ten million
// cells with their integrals, each call with its tree and its synchronisation.
// Floor: 380 bytes a cell at 4.3 TB/s (a measured copy on an H200): sites, three arrays of keys and places through the
// eight digits of a sort, leaves, results; and 800 operations at 30 TFLOP/s: 14 tests of 6 vertices, 6.8 cuts and 6
// triangles. Facets: 70 bytes and 60 operations more for each of 6 edges. Error: |sum of masses - 1|; of facets the
// asymmetry |sum of offset . mass|, which is 0 for a torus.
// Usage: bench_laguerre_cuda [results.json]
#include <cuda_runtime.h>

#include <cmath>
#include <cstdlib>
#include <stdexcept>
#include <vector>

#include "deblai/cuda/device.hpp"
#include "deblai/cuda/laguerre.hpp"
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
    index_t size;

    explicit Device(index_t size) : size(size) {
        if (size) check(cudaMalloc(reinterpret_cast<void**>(&data), size * sizeof(T)));
    }
    explicit Device(const std::vector<T>& values) : Device(static_cast<index_t>(values.size())) {
        if (size) check(cudaMemcpy(data, values.data(), size * sizeof(T), cudaMemcpyHostToDevice));
    }
    ~Device() { cudaFree(data); }
    Device(const Device&) = delete;
    Device& operator=(const Device&) = delete;

    std::vector<T> fetch() const {
        std::vector<T> values(size);
        check(cudaMemcpy(values.data(), data, size * sizeof(T), cudaMemcpyDeviceToHost));
        return values;
    }
};

template <class T>
std::vector<T> uniform(index_t count, std::uint64_t seed, double scale) {
    const deblai::Philox philox(seed);
    std::vector<T> out(count);
    for (index_t i = 0; i < count; ++i) {
        const auto b = philox(i);
        out[i] = static_cast<T>(scale * deblai::uniform_open(b.word[0], b.word[1]));
    }
    return out;
}

struct Case {
    const char* name;
    index_t n;
    double goal, goal_facets;  // 0: without facets
    bool periodic = false;
    double psi = 0;      // range, in units of the mean area; 0: Voronoi
    index_t pixels = 0;  // along a side; 0: uniform
    bool mixture = false;
};

template <class T>
void row(deblai::bench::Report& report, const Case& c) {
    const index_t n = c.n;
    const Device<T> sites(uniform<T>(2 * n, 1, 1)), density(uniform<T>(c.pixels * c.pixels, 3, 1));
    const Device<T> psi(c.psi > 0 ? uniform<T>(n, 2, c.psi / static_cast<double>(n)) : std::vector<T>{});
    const std::vector<double> gaussians{1, 0.3, 0.4, 0.04, 0.01, 0.02, 2, 0.7, 0.6, 0.01, 0, 0.03};
    deblai::laguerre::Problem<T> q{{sites.data, n, 2, 2, 1}, {}, {0, 0}, {1, 1}, {}, c.periodic};
    if (c.psi > 0) q.psi = {psi.data, n, 1};
    if (c.pixels > 0) q.density = {density.data, c.pixels, c.pixels, c.pixels, 1};
    if (c.mixture) q.form.gaussians = {gaussians.data(), 2, 6, 6, 1};
    const Device<T> mass(n), centroid(2 * n), second(n);
    const Device<std::int64_t> count(n);
    const deblai::laguerre::Output<T> out{
        {mass.data, n, 1}, {centroid.data, n, 2, 2, 1}, {second.data, n, 1}, {count.data, n, 1}, {}};
    const double units = static_cast<double>(n), floor = units * (380 / 4.3e12 + 800 / 30e12);
    char name[128];
    const auto title = [&](const char* what) {
        std::snprintf(name, sizeof name, "%s cuda %s %s n=%lld", what, sizeof(T) == 4 ? "f32" : "f64", c.name,
                      static_cast<long long>(n));
        return name;
    };
    const auto cells = [&] { deblai::cuda::laguerre::cells(q, out, nullptr, 0); };
    cells();
    double total = 0;
    for (const T m : mass.fetch()) total += static_cast<double>(m);
    report.run(title("laguerre"), {c.goal, units, "cells/s", floor}, [&] {
        cells();
        return std::abs(total - 1);
    });
    if (!(c.goal_facets > 0)) return;
    std::vector<std::int64_t> sums(n + 1);
    const std::vector<std::int64_t> counts = count.fetch();
    for (index_t i = 0; i < n; ++i) sums[i + 1] = sums[i] + counts[i];
    const index_t edges = sums[n];
    const Device<std::int64_t> offsets(sums), across(edges);
    const Device<T> along(edges), offset(2 * edges);
    const deblai::laguerre::Facets<T> f{
        {along.data, edges, 1}, {}, {}, {offset.data, edges, 2, 2, 1}, {across.data, edges, 1}};
    const auto facets = [&] { deblai::cuda::laguerre::facets(q, {offsets.data, n + 1, 1}, f, nullptr, 0); };
    facets();
    const std::vector<T> m = along.fetch(), d = offset.fetch();
    double sum[2] = {};
    for (index_t k = 0; k < 2 * edges; ++k) sum[k % 2] += static_cast<double>(m[k / 2]) * static_cast<double>(d[k]);
    const double more = static_cast<double>(edges) * (70 / 4.3e12 + 60 / 30e12);
    report.run(title("facets"), {c.goal_facets, units, "cells/s", floor + more}, [&] {
        facets();
        return std::hypot(sum[0], sum[1]);
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
    constexpr index_t million = 1000000;
    row<double>(report, {"voronoi", 1000, 1e-3, 0});
    row<double>(report, {"voronoi", 100000, 2e-3, 0});
    row<double>(report, {"voronoi", million, 0.012, 0});
    row<double>(report, {"voronoi", 10 * million, 0.1, 0});
    row<float>(report, {"voronoi", 10 * million, 0.1, 0});
    row<double>(report, {"voronoi torus", 10 * million, 0.12, 0.12, true});
    row<double>(report, {"power", 10 * million, 0.15, 0, false, 1});
    row<double>(report, {"voronoi 3000^2 pixels", 10 * million, 0.2, 0, false, 0, 3000});
    row<double>(report, {"power, mixture", 10 * million, 0.4, 0, false, 1, 0, true});
    if (argc > 1) report.write(argv[1]);
}
