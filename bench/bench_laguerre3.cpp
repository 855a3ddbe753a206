// Voronoi and Laguerre cells of space from C++: masses, centroids and second moments of uniform random sites, float64.
// Floor: 25 cuts, 80 tests of 27 vertices and 81 tetrahedra a cell, 1.3 us at 2.6 GHz on one core. Error: |sum of
// masses - 1|. Usage: bench_laguerre3 [threads] [results.json]
#include <cmath>
#include <cstdlib>
#include <vector>

#include "deblai/laguerre3.hpp"
#include "deblai/rng.hpp"
#include "harness.hpp"

namespace {

using deblai::index_t;

std::vector<double> uniform(index_t count, std::uint64_t seed, double scale) {
    const deblai::Philox philox(seed);
    std::vector<double> out(count);
    for (index_t i = 0; i < count; ++i) {
        const auto b = philox(i);
        out[i] = scale * deblai::uniform_open(b.word[0], b.word[1]);
    }
    return out;
}

struct Case {
    const char* name;
    index_t n;
    bool periodic;
    double psi;  // range, in units of the mean volume to the power 2/3; 0: Voronoi
    double goal;
};

void row(deblai::bench::Report& report, const Case& c, int threads) {
    const index_t n = c.n;
    const double unit = std::pow(static_cast<double>(n), -2.0 / 3);
    const std::vector<double> sites = uniform(3 * n, 1, 1), psi = uniform(n, 2, c.psi * unit);
    deblai::laguerre3::Problem<double> q{{sites.data(), n, 3, 3, 1}, {}, {0, 0, 0}, {1, 1, 1}, c.periodic};
    if (c.psi > 0) q.psi = {psi.data(), n, 1};
    std::vector<double> mass(n), centroid(3 * n), second(n);
    std::vector<std::int64_t> counts(3 * n);
    const deblai::laguerre3::Output<double> out{
        {mass.data(), n, 1}, {centroid.data(), n, 3, 3, 1}, {second.data(), n, 1}, {counts.data(), n, 3, 3, 1}, {}};
    const double floor = 1.3e-6 * static_cast<double>(n) / threads;
    char name[96];
    std::snprintf(name, sizeof name, "laguerre3 %s n=%lld", c.name, static_cast<long long>(n));
    report.run(name, {c.goal, static_cast<double>(n), "cells/s", floor}, [&] {
        deblai::laguerre3::cells(q, out, {.threads = threads});
        double total = 0;
        for (const double m : mass) total += m;
        return std::abs(total - 1);
    });
}

}  // namespace

int main(int argc, char** argv) {
    const int threads = argc > 1 ? std::atoi(argv[1]) : 2;
    deblai::bench::Report report;
    report.header();
    row(report, {"voronoi", 1000, false, 0, 0.01}, threads);
    row(report, {"voronoi", 100000, false, 0, 0.3}, threads);
    row(report, {"voronoi torus", 100000, true, 0, 0.3}, threads);
    row(report, {"power", 100000, false, 0.3, 0.4}, threads);
    row(report, {"power, wide psi", 100000, false, 1e3, 0.4}, threads);
    if (argc > 2) report.write(argv[2]);
}
