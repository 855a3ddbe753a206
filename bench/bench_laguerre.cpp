// Voronoi and Laguerre cells from C++: masses, centroids and second moments of uniform random sites, float64.
// Floor: a cell takes 6.8 cuts of a chain of 60 cycles (two products, a comparison, a division, a permutation), 14
// tests and 1/8 of the gathering of 64 sites: 0.25 us at 2.6 GHz on one core. Error: |sum of masses - 1|. Usage:
// bench_laguerre [threads] [results.json]
#include <cmath>
#include <cstdlib>
#include <vector>

#include "deblai/laguerre.hpp"
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
    double psi;      // range, in units of the mean area; 0: Voronoi
    index_t pixels;  // along a side; 0: uniform
    double goal;
};

void row(deblai::bench::Report& report, const Case& c, int threads) {
    const index_t n = c.n;
    const std::vector<double> sites = uniform(2 * n, 1, 1), psi = uniform(n, 2, c.psi / static_cast<double>(n)),
                              density = uniform(c.pixels * c.pixels, 3, 1);
    deblai::laguerre::Problem<double> q{{sites.data(), n, 2, 2, 1}, {}, {0, 0}, {1, 1}, {}, c.periodic};
    if (c.psi > 0) q.psi = {psi.data(), n, 1};
    if (c.pixels > 0) q.density = {density.data(), c.pixels, c.pixels, c.pixels, 1};
    std::vector<double> mass(n), centroid(2 * n), second(n);
    std::vector<std::int64_t> count(n);
    const deblai::laguerre::Output<double> out{
        {mass.data(), n, 1}, {centroid.data(), n, 2, 2, 1}, {second.data(), n, 1}, {count.data(), n, 1}, {}};
    const double floor = 0.25e-6 * static_cast<double>(n) / threads;
    char name[96];
    std::snprintf(name, sizeof name, "laguerre %s n=%lld", c.name, static_cast<long long>(n));
    report.run(name, {c.goal, static_cast<double>(n), "cells/s", floor}, [&] {
        deblai::laguerre::cells(q, out, {.threads = threads});
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
    row(report, {"voronoi", 1000, false, 0, 0, 1e-3}, threads);
    row(report, {"voronoi", 100000, false, 0, 0, 0.05}, threads);
    row(report, {"voronoi torus", 100000, true, 0, 0, 0.06}, threads);
    row(report, {"power", 100000, false, 1, 0, 0.07}, threads);
    row(report, {"power, wide psi", 100000, false, 1e5, 0, 0.07}, threads);
    row(report, {"voronoi 1000^2 pixels", 100000, false, 0, 1000, 0.3}, threads);
    row(report, {"voronoi 1000^2 pixels", 1000, false, 0, 1000, 0.05}, threads);
    row(report, {"voronoi", 1000000, false, 0, 0, 0.5}, threads);
    if (argc > 2) report.write(argv[2]);
}
