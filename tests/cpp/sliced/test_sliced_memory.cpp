// workspace_bytes is an upper bound of what one call asks operator new for, and does not grow with L.
#include "check.hpp"
#include "counted_new.hpp"
#include "sliced_support.hpp"

namespace {

using namespace deblai;
using namespace deblai::test;

template <class T>
void bounded(index_t n, index_t m, index_t d, index_t L, bool weighted, bool gradients, int threads) {
    const Case<T> c = random_case<T>(n, m, d, L, weighted, 2, 1);
    std::vector<double> cost(L);
    std::vector<T> gx(n * d), gy(m * d), ga(n), gb(m);
    sliced::Output<T> out{cost.data(), {}, {}, {}, {}};
    if (gradients) out = {cost.data(), matrix(gx, d), matrix(gy, d), vector(ga), vector(gb)};
    const std::size_t promised = sliced::workspace_bytes(c.problem(), out, threads), before = live;
    peak = before;
    sliced::wasserstein(c.problem(), out, {.threads = threads});
    const std::size_t asked = peak - before;
    CHECK(live == before, live.load(), before);
    CHECK(asked <= promised, asked, promised, n, m, d, L, weighted, gradients, threads);
    // Not a wild guess: all of it is used but for threads that small calls do not start, and a few pages.
    if (threads == 1) CHECK(promised <= asked + 4096, asked, promised);
}

template <class T>
void all() {
    for (const bool weighted : {false, true})
        for (const bool gradients : {false, true})
            for (const int threads : {1, 2, 5}) {
                bounded<T>(1, 1, 1, 1, weighted, gradients, threads);
                bounded<T>(1, 1, 1, 5000, weighted, gradients, threads);
                bounded<T>(100, 70, 3, 10, weighted, gradients, threads);
                bounded<T>(3000, 3000, 2, sized(300, 50), weighted, gradients, threads);
                bounded<T>(100, 100, 500, 100, weighted, gradients, threads);
                bounded<T>(sized(200000, 10000), 1000, 4, 9, weighted, gradients, threads);
            }
}

// O((n + m) (chunk + threads)), with chunk at most 32: the same for 32 and for a million directions.
void independent_of_L() {
    const float zero = 0;
    const auto bytes = [&](index_t n, index_t d, index_t L) {
        const Matrix<const float> points{&zero, n, d, 0, 0};
        return sliced::workspace_bytes<float>({points, points, {}, {}, {&zero, L, d, 0, 0}, 2}, {}, 1);
    };
    CHECK(bytes(1000, 10, 1000000) == bytes(1000, 10, 32), bytes(1000, 10, 1000000));
    CHECK(bytes(1000, 10, 1000000) < std::size_t{2} * 1100 * 4 * 34 + 16384, bytes(1000, 10, 1000000));
    CHECK(bytes(1000000, 10, 1000) < std::size_t{2} * 1000100 * 4 * 34, bytes(1000000, 10, 1000));
}

}  // namespace

int main() {
    all<float>();
    all<double>();
    independent_of_L();
    return report();
}
