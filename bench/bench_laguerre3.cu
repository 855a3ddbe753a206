// Voronoi and Laguerre cells of space on a GPU, up to ten million with their integrals, each call with its tree and its
// synchronisation.
// Counted for uniform sites, a cell: 87 tests of 21 vertices, 34 cuts that make 4.9 vertices, 60 boxes against 7.5
// vertices, 183 boxes against the sphere around the cell, 78 tetrahedra. That is 35,000 operations: ten million cells
// take 10 ms at 34 TFLOP/s. Of device memory 560 bytes: sites, keys through the eight digits of a sort, leaves, nodes,
// results; 1.2 ms at 4.8 TB/s. Of the thread's own memory, where the vertices are, 112 KB, of 1.5 KB that stay the
// same: 38 ms at the 29 TB/s of 132 first-level caches, 0.23 s where all comes from device memory. The floor is that of
// the caches and of device memory, one after the other. Facets: of 15.5 a cell, 400 operations and 40 bytes more.
// The kernel has 150 registers (168 with voxels) and spills none (376 bytes), so that 384 threads share a cache.
// Error: |sum of masses - 1|; of facets the asymmetry |sum of offset . mass|, which is 0 for a torus.
// Usage: bench_laguerre3_cuda [results.json]
#include <cuda_runtime.h>

#include <cmath>
#include <stdexcept>
#include <vector>

#include "deblai/cuda/device.hpp"
#include "deblai/cuda/laguerre3.hpp"
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
    double goal, goal_facets = 0;  // 0: without facets
    bool periodic = false;
    double psi = 0;      // range, in units of the mean volume to the power 2/3; 0: Voronoi
    index_t voxels = 0;  // along a side; 0: uniform
    bool octahedron = false;
};

template <class T>
void row(deblai::bench::Report& report, const Case& c) {
    const index_t n = c.n, side = c.voxels;
    const Device<T> sites(uniform<T>(3 * n, 1, 1)), density(uniform<T>(side * side * side, 3, 1));
    const double unit = std::pow(static_cast<double>(n), -2.0 / 3);
    const Device<T> psi(c.psi > 0 ? uniform<T>(n, 2, c.psi * unit) : std::vector<T>{});
    std::vector<double> planes;
    for (int k = 0; k < 8; ++k) {
        double offset = 0.5;
        for (int a = 0; a < 3; ++a) {
            planes.push_back(k >> a & 1 ? 1 : -1);
            offset += 0.5 * planes.back();
        }
        planes.push_back(offset);
    }
    deblai::laguerre3::Problem<T> q{{sites.data, n, 3, 3, 1}, {}, {0, 0, 0}, {1, 1, 1}, c.periodic};
    if (c.psi > 0) q.psi = {psi.data, n, 1};
    if (side > 0) q.density = {density.data, {side, side, side}, {side * side, side, 1}};
    if (c.octahedron) q.planes = {planes.data(), 8, 4, 4, 1};
    const Device<T> mass(n), centroid(3 * n), second(n);
    const Device<std::int64_t> counts(3 * n);
    const deblai::laguerre3::Output<T> out{
        {mass.data, n, 1}, {centroid.data, n, 3, 3, 1}, {second.data, n, 1}, {counts.data, n, 3, 3, 1}, {}};
    const double units = static_cast<double>(n), floor = units * (112e3 / 29e12 + 560 / 4.8e12);
    char name[128];
    const auto title = [&](const char* what) {
        std::snprintf(name, sizeof name, "%s cuda %s %s n=%lld", what, sizeof(T) == 4 ? "f32" : "f64", c.name,
                      static_cast<long long>(n));
        return name;
    };
    const auto cells = [&] { deblai::cuda::laguerre3::cells(q, out, nullptr, 0); };
    cells();
    double total = 0;
    for (const T m : mass.fetch()) total += static_cast<double>(m);
    report.run(title("laguerre3"), {c.goal, units, "cells/s", floor}, [&] {
        cells();
        return std::abs(total - 1);
    });
    if (!(c.goal_facets > 0)) return;
    std::vector<std::int64_t> sums(3 * (n + 1));
    const std::vector<std::int64_t> count = counts.fetch();
    for (index_t i = 0; i < 3 * n; ++i) sums[i + 3] = sums[i] + count[i];
    const index_t rows = sums[3 * n + 1];
    const Device<std::int64_t> offsets(sums), across(rows);
    const Device<T> on(rows), offset(3 * rows);
    const deblai::laguerre3::Facets<T> f{
        {across.data, rows, 1}, {on.data, rows, 1}, {}, {}, {offset.data, rows, 3, 3, 1}};
    const auto facets = [&] { deblai::cuda::laguerre3::facets(q, {offsets.data, n + 1, 3, 3, 1}, f, nullptr, 0); };
    facets();
    const std::vector<T> m = on.fetch(), d = offset.fetch();
    double sum[3] = {};
    for (index_t k = 0; k < 3 * rows; ++k) sum[k % 3] += static_cast<double>(m[k / 3]) * static_cast<double>(d[k]);
    const double more = static_cast<double>(rows) * (400 / 34e12 + 40 / 4.8e12);
    report.run(title("facets3"), {c.goal_facets, units, "cells/s", floor + more}, [&] {
        facets();
        return std::hypot(sum[0], sum[1], sum[2]);
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
    row<double>(report, {"voronoi", 1000, 2e-3});
    row<double>(report, {"voronoi", 100000, 6e-3});
    row<double>(report, {"voronoi", million, 0.035});
    row<double>(report, {"voronoi", 10 * million, 0.3});
    row<float>(report, {"voronoi", 10 * million, 0.3});
    row<double>(report, {"power", 10 * million, 0.4, 0, false, 0.3});
    row<double>(report, {"voronoi torus", million, 0.035, 0.05, true});
    row<double>(report, {"voronoi octahedron", million, 0.05, 0, false, 0, 0, true});
    row<double>(report, {"voronoi 128^3 voxels", million, 0.3, 0, false, 0, 128});
    if (argc > 1) report.write(argv[1]);
}
