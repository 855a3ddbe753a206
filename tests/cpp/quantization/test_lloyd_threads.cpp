// Lloyd's step is equal to the bit for any number of threads and any strides, and a stop ends it early.
#include <chrono>
#include <cstring>

#include "check.hpp"
#include "lloyd_support.hpp"

namespace {

using namespace deblai;
using namespace deblai::test;

template <class V>
bool same_bits(const V& a, const V& b) {
    return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(a[0])) == 0;
}

template <class T>
bool same_bits(const Found<T>& a, const Found<T>& b) {
    return same_bits(a.mass, b.mass) && same_bits(a.sum, b.sum) && same_bits(a.labels, b.labels) &&
           same_bits(a.cost, b.cost) && std::memcmp(&a.energy, &b.energy, sizeof a.energy) == 0;
}

// Many pieces of samples and of the grid; far above the serial threshold.
template <class T>
void any_number_of_threads() {
    for (const char* level : sanitized ? std::vector<const char*>{nullptr} : levels())
        for (const auto& [d, k] : {std::pair<index_t, index_t>{1, 100}, {2, 300}, {3, 100}, {3, 20}, {12, 70}})
            for (const bool weighted : {false, true}) {
                const Clusters<T> c = random_clusters<T>(sized(40000, 9000), k, d, weighted, 40);
                const Found<T> one = solve(c, {.threads = 1, .simd = level});
                std::vector<std::int32_t> chosen(9), again(9);
                const std::vector<double> u = uniform<double>(9, 3);
                const lloyd::Problem<T> q = c.problem();
                lloyd::seed<T>(q.x, q.weights, {u.data(), 9, 1}, {chosen.data(), 9, 1}, {.threads = 1, .simd = level});
                for (const int threads : {2, 3, 8}) {
                    CHECK(same_bits(one, solve(c, {.threads = threads, .simd = level})), threads, d, k, weighted);
                    lloyd::seed<T>(q.x, q.weights, {u.data(), 9, 1}, {again.data(), 9, 1},
                                   {.threads = threads, .simd = level});
                    CHECK(chosen == again, threads, d);
                }
            }
}

// Columns first, rows and columns reversed, gaps of NaN that nobody may read.
template <class T>
void any_strides() {
    for (const auto& [d, k] : {std::pair<index_t, index_t>{1, 50}, {2, 50}, {3, 9}, {7, 30}}) {
        const index_t n = 5000;
        const Clusters<T> c = random_clusters<T>(n, k, d, true, 50);
        const Found<T> want = solve(c);
        for (int kind = 0; kind < 3; ++kind) {
            const T nan = std::numeric_limits<T>::quiet_NaN();
            std::vector<T> x(3 * n * d + 3, nan), y(3 * k * d + 3, nan), w(2 * n, nan), cost(3 * n, nan);
            std::vector<std::int32_t> labels(2 * n, -1);
            const auto laid = [&](std::vector<T>& store, const std::vector<T>& from, index_t rows) -> Matrix<const T> {
                Matrix<T> m = kind == 0   ? Matrix<T>{store.data(), rows, d, 1, rows}
                              : kind == 1 ? Matrix<T>{store.data() + rows * d, rows, d, -d, -1}
                                          : Matrix<T>{store.data() + 1, rows, d, 3 * d, 2};
                for (index_t i = 0; i < rows; ++i)
                    for (index_t a = 0; a < d; ++a) m(i, a) = from[i * d + a];
                return {m.data, rows, d, m.row_stride, m.col_stride};
            };
            for (index_t i = 0; i < n; ++i) w[2 * i] = c.w[i];
            Found<T> got{std::vector<double>(k), std::vector<double>(k * d), std::vector<std::int32_t>(n),
                         std::vector<T>(n)};
            got.energy =
                lloyd::assign<T>({laid(x, c.x, n), {w.data(), n, 2}, laid(y, c.sites, k)},
                                 {got.mass.data(), got.sum.data(), {labels.data(), n, 2}, {cost.data(), n, 3}});
            for (index_t i = 0; i < n; ++i) got.labels[i] = labels[2 * i], got.cost[i] = cost[3 * i];
            CHECK(same_bits(want, got), kind, d, k);
            index_t untouched = 0;
            for (const std::int32_t l : labels) untouched += l == -1;
            CHECK(untouched == n, untouched);
        }
    }
}

// poll returns true: NaN, or fewer seeds, within the time of a few polls.
void stop() {
    const index_t k = 2000, d = 8, many = 100000;
    const Clusters<float> c = random_clusters<float>(sized(2000000, 200000), k, d, false, 70);
    const std::vector<double> u = uniform<double>(many, 1);
    std::vector<double> mass(k), sum(k * d);
    std::vector<std::int32_t> chosen(many);
    const lloyd::Problem<float> q = c.problem();
    for (const int threads : {1, 2}) {
        const auto start = std::chrono::steady_clock::now();
        const Control control{.threads = threads, .poll = [](void*) { return true; }};
        CHECK(std::isnan(lloyd::assign<float>(q, {mass.data(), sum.data(), {}, {}}, control)));
        const index_t done = lloyd::seed<float>(q.x, {}, {u.data(), many, 1}, {chosen.data(), many, 1}, control);
        CHECK(done < many, done);
        const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
        CHECK(seconds.count() < sized(2.0, 20.0), seconds.count());
    }
}

}  // namespace

int main() {
    any_number_of_threads<float>();
    any_number_of_threads<double>();
    any_strides<float>();
    any_strides<double>();
    stop();
    return report();
}
