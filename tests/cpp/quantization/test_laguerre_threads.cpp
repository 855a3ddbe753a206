// Any number of threads gives the same bits; a stop leaves NaN where cells were not done; memory is what was promised.
#include <bit>
#include <vector>

#include "check.hpp"
#include "deblai/laguerre.hpp"
#include "support.hpp"

namespace {

using namespace deblai;
using namespace deblai::test;

struct Result {
    std::vector<double> mass, centroid, second;
    std::vector<std::int64_t> count;
    laguerre::Summary summary;
};

struct Input {
    std::vector<double> sites, psi, density;
    bool periodic;

    index_t size() const { return static_cast<index_t>(sites.size() / 2); }
    laguerre::Problem<double> problem() const {
        laguerre::Problem<double> q{{sites.data(), size(), 2, 2, 1}, {}, {0, 0}, {1, 1}, {}, periodic};
        if (!psi.empty()) q.psi = {psi.data(), size(), 1};
        if (!density.empty()) q.density = {density.data(), 64, static_cast<index_t>(density.size()) / 64, 1, 64};
        return q;
    }
};

Result solve(const Input& in, const Control& control) {
    const index_t n = in.size();
    Result r{
        std::vector<double>(n), std::vector<double>(2 * n), std::vector<double>(n), std::vector<std::int64_t>(n), {}};
    const laguerre::Output<double> out{
        {r.mass.data(), n, 1}, {r.centroid.data(), n, 2, 2, 1}, {r.second.data(), n, 1}, {r.count.data(), n, 1}, {}};
    r.summary = laguerre::cells(in.problem(), out, control);
    return r;
}

void any_number_of_threads() {
    const index_t n = sized(20000, 3000);
    std::vector<double> psi = uniform<double>(n, 2);
    for (double& p : psi) p *= 1e-4;
    for (const bool periodic : {false, true})
        for (const bool weighted : {false, true}) {
            const Input in{uniform<double>(2 * n, 1), weighted ? psi : std::vector<double>{},
                           weighted ? uniform<double>(64 * 50, 3) : std::vector<double>{}, periodic};
            const Result one = solve(in, {.threads = 1});
            CHECK(one.summary.done == n);
            for (const int threads : {2, 3, 8}) {
                const Result r = solve(in, {.threads = threads});
                CHECK(r.mass == one.mass && r.centroid == one.centroid && r.second == one.second, threads);
                CHECK(r.count == one.count, threads);
                CHECK(r.summary.energy == one.summary.energy && r.summary.value == one.summary.value, threads);
            }
        }
}

// The calling thread stops after its first polls; what is there is right.
void stops() {
    const index_t n = sized(400000, 150000);
    const Input in{uniform<double>(2 * n, 4), {}, {}, false};
    const Result all = solve(in, {.threads = 2});
    int polls = 0;
    const Control control{
        .threads = 2, .poll = [](void* count) { return ++*static_cast<int*>(count) >= 3; }, .context = &polls};
    const Result some = solve(in, control);
    if (some.summary.done == n) return;  // a machine that did all of it in 100 ms
    index_t done = 0;
    for (index_t i = 0; i < n; ++i) {
        if (std::isnan(some.mass[i])) {
            CHECK(some.count[i] == 0 && std::isnan(some.second[i]) && std::isnan(some.centroid[2 * i]));
        } else {
            ++done;
            CHECK(some.mass[i] == all.mass[i] && some.count[i] == all.count[i]);
        }
    }
    CHECK(done == some.summary.done, done, some.summary.done);
    CHECK(std::isnan(some.summary.energy) && std::isnan(some.summary.value));
    const Result none = solve(in, {.threads = 1, .poll = [](void*) { return true; }});
    CHECK(none.summary.done < n);
}

void promised_memory() {
    const double zero = 0;
    const auto bytes = [&](index_t n, index_t pixels, int threads) {
        laguerre::Problem<double> q{{&zero, n, 2, 0, 0}, {}, {0, 0}, {1, 1}, {}, false};
        if (pixels) q.density = {&zero, pixels, 1, 0, 0};
        return static_cast<double>(laguerre::workspace_bytes(q, threads));
    };
    CHECK(bytes(1000000, 0, 1) < 55e6, bytes(1000000, 0, 1));
    CHECK(bytes(1000000, 0, 1) > 45e6, bytes(1000000, 0, 1));
    CHECK(bytes(1000, 1000000, 1) - bytes(1000, 0, 1) == 8e6);
    CHECK(bytes(1000, 0, 9) - bytes(1000, 0, 1) < 8 * 52e3, bytes(1000, 0, 9) - bytes(1000, 0, 1));
}

}  // namespace

int main() {
    any_number_of_threads();
    stops();
    promised_memory();
    return report();
}
