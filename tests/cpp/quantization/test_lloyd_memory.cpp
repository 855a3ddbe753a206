// workspace_bytes is an upper bound of what one call of assign asks operator new for: far less than an n x k array.
#include <array>

#include "check.hpp"
#include "counted_new.hpp"
#include "lloyd_support.hpp"

namespace {

using namespace deblai;
using namespace deblai::test;

template <class T>
void bounded(const Clusters<T>& c, int threads, bool grid) {
    std::vector<double> mass(c.k()), sum(c.k() * c.d);
    const std::size_t promised = lloyd::workspace_bytes<T>(c.problem(), threads), before = live;
    peak = before;
    lloyd::assign<T>(c.problem(), {mass.data(), sum.data(), {}, {}}, {.threads = threads});
    const std::size_t asked = peak - before;
    CHECK(live == before, live.load(), before);
    CHECK(asked <= promised, asked, promised, c.n(), c.k(), c.d, threads);
    if (threads == 1 && !grid) CHECK(promised <= asked + asked / 50 + 8192, asked, promised, c.n(), c.k(), c.d);
    if (c.n() * c.k() >= 10000000) CHECK(promised < sizeof(T) * c.n() * c.k() / 2, promised, c.n(), c.k());
}

template <class T>
void all() {
    for (const int threads : {1, 2, 5}) {
        for (const auto& [n, k, d] : {std::array<index_t, 3>{1, 1, 1},
                                      {100, 7, 3},
                                      {20000, 20, 2},
                                      {3000, 500, 10},
                                      {50000, 300, 20},
                                      {100, 100, 500}})
            bounded(random_clusters<T>(n, k, d, true, 1), threads, false);
        for (const index_t d : {1, 2, 3}) {
            Clusters<T> c = random_clusters<T>(sized(100000, 20000), 600, d, false, 2);
            bounded(c, threads, true);
            c.x[0] = T(1000);  // sites crowd in one cell
            bounded(c, threads, true);
            for (T& v : c.sites) v = T(0.5);  // every list is as long as can be
            bounded(c, threads, true);
        }
    }
    // The pieces' sums stay within 64 MiB, or are four.
    const Clusters<T> wide = random_clusters<T>(20000, 4000, 300, false, 3);
    CHECK(lloyd::workspace_bytes<T>(wide.problem(), 1) < (std::size_t{150} << 20));
}

}  // namespace

int main() {
    all<float>();
    all<double>();
    return report();
}
