// Descents arrive at stationary sites, the same to the bit for any number of threads; a stop leaves what was reached.
#include <cmath>
#include <vector>

#include "check.hpp"
#include "deblai/descents.hpp"
#include "support.hpp"

namespace {

using namespace deblai;
using namespace deblai::test;
using descents::End;

struct Result {
    std::vector<double> sites, history;
    std::vector<std::int64_t> n_iter, end;
    bool done;
};

template <class Problem>
Result solve(Problem q, const std::vector<double>& starts, index_t runs, const descents::Options& options,
             const Control& control) {
    const index_t size = static_cast<index_t>(starts.size()) / runs, d = q.sites.cols, steps = options.max_iter + 1;
    q.sites = {starts.data(), size / d, d, d};
    Result r{starts, std::vector<double>(runs * steps), std::vector<std::int64_t>(runs),
             std::vector<std::int64_t>(runs), false};
    r.done = descents::descend(q, options,
                               {{r.sites.data(), runs, size, size},
                                {r.history.data(), runs, steps, steps},
                                {r.n_iter.data(), runs},
                                {r.end.data(), runs}},
                               control);
    return r;
}

template <class Problem>
void arrive(const Problem& q, double p) {
    const index_t n = sized(30, 8), runs = 4, d = q.sites.cols;
    const std::vector<double> starts = uniform<double>(runs * n * d, 3);
    const descents::Options options{.p = p, .invariant = q.periodic};
    const Result one = solve(q, starts, runs, options, {.threads = 1});
    CHECK(one.done);
    for (index_t r = 0; r < runs; ++r) {
        CHECK(one.end[r] == static_cast<std::int64_t>(End::converged), one.end[r]);
        const double* const energy = &one.history[r * (options.max_iter + 1)];
        CHECK(one.n_iter[r] > 3);
        for (index_t k = 0; k < one.n_iter[r]; ++k) CHECK(energy[k + 1] <= energy[k] * (1 + 1e-13));
    }
    const Result many = solve(q, starts, runs, options, {.threads = 3});
    CHECK(many.sites == one.sites && many.n_iter == one.n_iter && many.end == one.end);
    const Result few = solve(q, starts, runs, {.p = p, .max_iter = 2, .invariant = q.periodic}, {});
    for (index_t r = 0; r < runs; ++r) CHECK(few.n_iter[r] == 2 && few.end[r] == static_cast<std::int64_t>(End::steps));
}

void stops() {
    const index_t n = 300, runs = 400;
    const laguerre::Problem<double> q{{nullptr, 1, 2, 2}, {}, {0, 0}, {1, 1}, {}, false};
    const std::vector<double> starts = uniform<double>(2 * n * runs, 5);
    const Result r = solve(q, starts, runs, {}, {.threads = 2, .poll = [](void*) { return true; }});
    CHECK(!r.done);
    index_t begun = 0;
    for (index_t k = 0; k < runs; ++k) begun += r.n_iter[k] >= 0;
    CHECK(begun < runs, begun);
    CHECK(r.end.back() == static_cast<std::int64_t>(End::stopped));
}

}  // namespace

int main() {
    const std::vector<double> values = uniform<double>(35, 2);
    for (const bool periodic : {false, true}) {
        laguerre::Problem<double> plane{{nullptr, 1, 2, 2}, {}, {0, 0}, {1, 1}, {}, periodic};
        arrive(plane, 2);
        arrive(plane, 3);
        arrive(laguerre3::Problem<double>{{nullptr, 1, 3, 3}, {}, {0, 0, 0}, {1, 1, 1}, periodic}, 2);
    }
    laguerre::Problem<double> pixels{{nullptr, 1, 2, 2}, {}, {0, 0}, {1, 1}, {values.data(), 7, 5, 5}};
    arrive(pixels, 1.5);
    stops();
    return report();
}
