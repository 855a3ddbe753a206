// Powers of distances: p = 2 is what moments of cells say, pulls of a torus cancel, sums of facets are those of cells,
// and any number of threads and every instruction set agree.
#include <vector>

#include "check.hpp"
#include "deblai/powers.hpp"
#include "support.hpp"

namespace {

using namespace deblai;
using namespace deblai::test;

struct Result {
    std::vector<double> mass, energy, gradient, second;
    std::vector<std::int64_t> counts;
    index_t done;
};

template <class Problem>
Result solve(const Problem& q, double p, const Control& control) {
    const index_t n = q.sites.rows, d = q.sites.cols, c = d == 3 ? 3 : 1;
    Result r{std::vector<double>(n),         std::vector<double>(n),           std::vector<double>(n * d),
             std::vector<double>(n * d * d), std::vector<std::int64_t>(n * c), 0};
    const powers::Output out{{r.mass.data(), n},
                             {r.energy.data(), n},
                             {r.gradient.data(), n, d, d},
                             {r.second.data(), n, d * d, d * d},
                             {r.counts.data(), n, c, c}};
    r.done = powers::cells(q, p, out, control);
    return r;
}

template <class Problem>
void agree(const Problem& q, double p) {
    const index_t n = q.sites.rows, d = q.sites.cols;
    const Result one = solve(q, p, {.threads = 1});
    CHECK(one.done == n);
    for (const int threads : {2, 5}) {
        const Result r = solve(q, p, {.threads = threads});
        CHECK(r.energy == one.energy && r.gradient == one.gradient && r.second == one.second, threads);
        CHECK(r.counts == one.counts && r.mass == one.mass, threads);
    }
    double scale = 0;
    for (index_t i = 0; i < n * d; ++i) scale = std::max(scale, std::abs(one.gradient[i]));
    for (const char* level : levels()) {
        const Result r = solve(q, p, {.simd = level});
        for (index_t i = 0; i < n; ++i) CHECK_CLOSE(r.energy[i], one.energy[i], 1e-11);
        for (index_t i = 0; i < n * d; ++i) CHECK(std::abs(r.gradient[i] - one.gradient[i]) < 1e-12 * scale, level);
    }
    double pull[3] = {};
    for (index_t i = 0; i < n; ++i) {
        CHECK(one.energy[i] > 0 && one.second[i * d * d] > 0);
        for (index_t k = 0; k < d; ++k) pull[k] += one.gradient[i * d + k];
    }
    if (q.periodic && !q.density)
        for (index_t k = 0; k < d; ++k) CHECK(std::abs(pull[k]) < 1e-13 * static_cast<double>(n), pull[k]);
}

// The facets of a torus are those of two cells, seen from both, and their first moments are the second derivatives.
void facets_of_the_plane(laguerre::Problem<double> q, double p) {
    const index_t n = q.sites.rows;
    const Result r = solve(q, p, {});
    std::vector<std::int64_t> begin(n + 1);
    for (index_t i = 0; i < n; ++i) begin[i + 1] = begin[i] + r.counts[i];
    const index_t total = begin[n];
    std::vector<double> mass(total), first(2 * total), second(4 * total), offset(2 * total);
    std::vector<std::int64_t> across(total);
    const laguerre::Facets<double> out{{mass.data(), total},
                                       {first.data(), total, 2, 2},
                                       {second.data(), total, 4, 4},
                                       {offset.data(), total, 2, 2},
                                       {across.data(), total}};
    CHECK(powers::facets(q, p, {begin.data(), n + 1}, out) == n);
    std::vector<double> own(n);
    for (index_t i = 0; i < n; ++i)
        for (index_t f = begin[i]; f < begin[i + 1]; ++f)
            own[i] += p * (first[2 * f] * offset[2 * f] + first[2 * f + 1] * offset[2 * f + 1]) /
                      std::hypot(offset[2 * f], offset[2 * f + 1]);
    for (index_t i = 0; i < n; ++i) CHECK_CLOSE(own[i], r.second[4 * i] + r.second[4 * i + 3], 1e-12);
    begin[1] += 1;
    CHECK_THROWS(powers::facets(q, p, {begin.data(), n + 1}, out), InvalidValue, "the counts of the same problem");
}

}  // namespace

int main() {
    const index_t n = sized(500, 150);
    const std::vector<double> sites = uniform<double>(3 * n, 1), values = uniform<double>(13 * 9, 2);
    for (const bool periodic : {false, true}) {
        laguerre::Problem<double> plane{{sites.data(), n, 2, 2}, {}, {0, 0}, {1, 1}, {}, periodic};
        const laguerre3::Problem<double> space{{sites.data(), n, 3, 3}, {}, {0, 0, 0}, {1, 1, 1}, periodic};
        for (const double p : {1.0, 2.5, 4.0}) {
            agree(plane, p);
            agree(space, p);
        }
        if (periodic) facets_of_the_plane(plane, 1.5);
        laguerre3::Problem<double> voxels = space;
        voxels.density = {values.data(), {4, 3, 5}, {15, 5, 1}};
        agree(voxels, 1.5);
        plane.density = {values.data(), 13, 9, 9};
        agree(plane, 3);
        CHECK_THROWS(solve(plane, 0.5, {}), InvalidValue, "p: expected 1 <= p < 1000");
    }
    const std::vector<double> normals{0.3, 0.2, 0.4, 0.02, 0.01, 0.03, 0.7, 0.6, 0.5, 0.2, 0.0, 0.1};
    laguerre::Problem<double> smooth{{sites.data(), n, 2, 2}, {}, {0, 0}, {1, 1}, {}, false};
    smooth.form.gaussians = {normals.data(), 2, 6, 6};
    agree(smooth, 1);
    return report();
}
