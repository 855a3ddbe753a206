// One step of Lloyd's algorithm against brute force in float64: every engine, instruction set and type; exact ties;
// samples far from the origin; wide ranges; k-means++ by its definition; what is refused.
#include <array>

#include "check.hpp"
#include "deblai/error.hpp"
#include "lloyd_support.hpp"

namespace {

using namespace deblai;
using namespace deblai::test;

template <class T>
constexpr double rounding = sizeof(T) == 4 ? 1.2e-7 : 2.3e-16;

// Labels are those of brute force in float64, also where distances in T are equal; masses, sums and energy are theirs.
template <class T>
void against_brute_force(const Clusters<T>& c, const char* level) {
    const Found<T> got = solve(c, {.simd = level}), want = brute(c);
    std::vector<double> mass(c.k()), sum(c.k() * c.d);
    double energy = 0;
    const double tolerance = (static_cast<double>(c.d) + 4) * rounding<T>;
    index_t different = 0;
    for (index_t i = 0; i < c.n(); ++i) {
        const index_t j = got.labels[i];
        if (!CHECK(j >= 0 && j < c.k(), i, j)) return;
        const double w = c.w.empty() ? 1.0 : double(c.w[i]), here = squared_distance(c, i, j);
        different += j != want.labels[i];
        mass[j] += w;
        energy += w * here;
        for (index_t a = 0; a < c.d; ++a) sum[j * c.d + a] += w * double(c.x[i * c.d + a]);
        CHECK_CLOSE(got.cost[i], here, tolerance);
    }
    CHECK(different == 0, different, c.n(), c.k(), c.d, level);
    CHECK_CLOSE(got.energy, energy, 1e-12);
    for (index_t j = 0; j < c.k(); ++j) {
        CHECK(std::abs(got.mass[j] - mass[j]) <= 1e-12 * (1 + mass[j]), j, got.mass[j], mass[j]);
        for (index_t a = 0; a < c.d; ++a)
            CHECK(std::abs(got.sum[j * c.d + a] - sum[j * c.d + a]) <= 1e-10 * (1 + std::abs(sum[j * c.d + a])), j, a);
    }
}

// Tiles of direct differences (d <= 4), of scores (d > 4), grids (d <= 3, many sites); panels of 8, blocks of 64 and
// 256.
template <class T>
void every_engine() {
    for (const char* level : levels()) {
        for (const auto& [n, k, d] : {std::array<index_t, 3>{1, 1, 1},
                                      {5, 3, 2},
                                      {65, 9, 3},
                                      {300, 31, 4},
                                      {200, 17, 5},
                                      {257, 40, 16},
                                      {130, 100, 33},
                                      {64, 8, 100}})
            for (const bool weighted : {false, true})
                against_brute_force(random_clusters<T>(n, k, d, weighted, 7 * n + d), level);
        for (const index_t d : {1, 2, 3})
            for (const index_t k : {32, 250}) {
                against_brute_force(random_clusters<T>(sized(9001, 4100), k, d, d == 2, 3 * k + d), level);
            }
    }
}

// Other powers of distances: energies, pulls and sums by their definition.
template <class T>
void powers() {
    for (const char* level : levels())
        for (const auto& [n, k, d] : {std::array<index_t, 3>{65, 9, 3}, {300, 31, 4}, {130, 40, 19}, {4500, 40, 2}})
            for (const bool weighted : {false, true})
                for (const double p : {1.0, 1.5, 3.0, 8.0}) {
                    Clusters<T> c = random_clusters<T>(n, k, d, weighted, 5 * n + d);
                    std::copy_n(c.x.begin(), 3 * d, c.sites.begin());  // distances 0
                    const double near = p < 2 ? 0.1 : 0;
                    std::vector<double> mass(k), sum(k * d), pull(2 * k), masses(k), sums(k * d), pulls(2 * k);
                    std::vector<std::int32_t> labels(n);
                    lloyd::Problem<T> q = c.problem();
                    q.p = p, q.near = near;
                    const double got = lloyd::assign<T>(
                        q, {mass.data(), sum.data(), {labels.data(), n, 1}, {}, pull.data()}, {.simd = level});
                    double energy = 0;
                    for (index_t i = 0; i < n; ++i) {
                        const index_t j = labels[i];
                        const double w = c.w.empty() ? 1.0 : double(c.w[i]), s = squared_distance(c, i, j);
                        const double g = s > near * near ? w * std::pow(s, p / 2 - 1) : 0;
                        energy += w * std::pow(s, p / 2);
                        masses[j] += w;
                        pulls[2 * j] += g;
                        pulls[2 * j + 1] += s > near * near ? 0 : w;
                        for (index_t a = 0; a < d; ++a) sums[j * d + a] += g * double(c.x[i * d + a]);
                    }
                    CHECK(labels == brute(c).labels, n, k, d, level);
                    CHECK_CLOSE(got, energy, 1e-12);
                    for (index_t j = 0; j < k; ++j) {
                        CHECK_CLOSE(mass[j], masses[j], 1e-12);
                        CHECK_CLOSE(pull[2 * j], pulls[2 * j], 1e-12);
                        CHECK(std::abs(pull[2 * j + 1] - pulls[2 * j + 1]) <= 1e-12 * mass[j], j, p);
                        for (index_t a = 0; a < d; ++a)
                            CHECK(std::abs(sum[j * d + a] - sums[j * d + a]) <= 1e-12 * (1 + 10 * pulls[2 * j]), j, a,
                                  p);
                    }
                }
}

// Integer lattices: every distance is exact, a sample between several sites belongs to the first of them.
template <class T>
void ties() {
    for (const char* level : levels())
        for (const index_t d : {1, 2, 3, 6})
            for (const index_t side : d == 1 ? std::vector<index_t>{2, 50} : std::vector<index_t>{2, 7}) {
                Clusters<T> c{d, {}, {}, {}};
                const index_t copies = d <= 3 ? 5000 : 300;
                const auto u = uniform<double>(copies * d, 11 * side + d);
                for (const double v : u) c.x.push_back(static_cast<T>(std::floor(v * (2 * double(side) - 1))));
                index_t count = 1;
                for (index_t a = 0; a < std::min<index_t>(d, 3); ++a) count *= side;
                for (index_t j = 0; j < count; ++j)
                    for (index_t a = 0, rest = (j * 37) % count; a < d; ++a, rest /= side)
                        c.sites.push_back(static_cast<T>(a < 3 ? 2 * (rest % side) : 1));
                against_brute_force(c, level);
                for (int twice = 0; twice < 2; ++twice)  // equal sites: the first of them has all
                    c.sites.insert(c.sites.end(), c.sites.begin(), c.sites.begin() + count * d);
                against_brute_force(c, level);
            }
}

// Samples far from the origin keep their labels: differences are taken before squares, or scores on centred data.
template <class T>
void far_away() {
    for (const char* level : levels())
        for (const index_t d : {1, 2, 3, 4, 8, 64})
            for (const double offset : {1e4, -3e6}) {
                if (sizeof(T) == 4 && offset < -1e6 && d < 3) continue;  // too few distinct numbers
                Clusters<T> c = random_clusters<T>(sized(5000, 4100), d <= 3 ? 60 : 30, d, false, d);
                for (T& v : c.x) v = static_cast<T>(v + offset);
                for (T& v : c.sites) v = static_cast<T>(v + offset);
                against_brute_force(c, level);
            }
}

// Sites on a sphere about all samples: which one is nearest is below the rounding of T, and of fused multiply-adds.
template <class T>
void nearly_equal() {
    for (const char* level : levels())
        for (const index_t d : {1, 2, 3, 4, 6, 40})
            for (const double spread : {1e-3, double(rounding<T>)}) {
                Clusters<T> c = random_clusters<T>(sized(9000, 4200), d == 1 ? 34 : 200, d, false, 13 + d);
                for (T& v : c.x) v = static_cast<T>(0.7 + spread * double(v));
                for (index_t j = 0; j < c.k(); ++j) {
                    double norm = 0;
                    for (index_t a = 0; a < d; ++a) norm += double(c.sites[j * d + a]) * double(c.sites[j * d + a]);
                    for (index_t a = 0; a < d; ++a) {
                        T& v = c.sites[j * d + a];
                        v = static_cast<T>(0.7 + double(v) / std::sqrt(norm));
                    }
                }
                against_brute_force(c, level);
            }
}

// Squares that would overflow or vanish, a coordinate that never changes, one far sample, sites that crowd.
template <class T>
void awkward() {
    for (const char* level : levels())
        for (const index_t d : {1, 2, 3, 5}) {
            const Clusters<T> plain = random_clusters<T>(4500, 64, d, false, 5);
            for (const double scale : {1e-25, 1e25}) {
                Clusters<T> c = plain;
                for (T& v : c.x) v = static_cast<T>(v * scale);
                for (T& v : c.sites) v = static_cast<T>(v * scale);
                if (sizeof(T) == 8) against_brute_force(c, level);
                CHECK(solve(c, {.simd = level}).labels == solve(plain, {.simd = level}).labels, scale, d, level);
            }
            Clusters<T> c = plain;
            for (std::size_t e = 0; e < c.x.size(); e += d) c.x[e] = T(0.5);
            against_brute_force(c, level);
            c = plain;
            c.x[7] = T(1e6);
            against_brute_force(c, level);
            for (std::size_t e = 0; e < c.sites.size(); ++e) c.sites[e] *= T(1e-3);
            against_brute_force(c, level);
            for (T& v : c.sites) v = T(0.25);
            against_brute_force(c, level);
            for (T& v : c.x) v = T(0.25);
            against_brute_force(c, level);
        }
}

// Seeds invert the cumulative sums at the given uniforms, by weight times squared distance; by weight among copies.
template <class T>
void seeds() {
    for (const char* level : levels())
        for (const index_t d : {1, 2, 3, 20})
            for (const bool weighted : {false, true}) {
                const Clusters<T> c = random_clusters<T>(2500, 1, d, weighted, 9);
                const std::vector<double> u = uniform<double>(12, 4);
                std::vector<std::int32_t> chosen(12);
                const lloyd::Problem<T> q = c.problem();
                CHECK(lloyd::seed<T>(q.x, q.weights, {u.data(), 12, 1}, {chosen.data(), 12, 1}, {.simd = level}) == 12);
                std::vector<double> odds(2500, 1.0), least(2500, std::numeric_limits<double>::infinity());
                for (index_t i = 0; i < 2500 && weighted; ++i) odds[i] = double(c.w[i]);
                const std::vector<double> weight = odds;
                for (index_t j = 0; j < 12; ++j) {
                    double total = 0, before = 0;
                    for (const double v : odds) total += v;
                    for (index_t i = 0; i < chosen[j]; ++i) before += odds[i];
                    const double slack = 1e-5 * total;
                    CHECK(before <= u[j] * total + slack && before + odds[chosen[j]] >= u[j] * total - slack, j, d);
                    Clusters<T> at{d, c.x, {c.x.begin() + chosen[j] * d, c.x.begin() + (chosen[j] + 1) * d}, {}};
                    for (index_t i = 0; i < 2500; ++i) {
                        least[i] = std::min(least[i], squared_distance(at, i, 0));
                        odds[i] = weight[i] * least[i];
                    }
                }
            }
    const std::vector<T> same(100, T(3));
    const std::vector<double> u = {0.0, 0.5, 0.999};
    std::vector<std::int32_t> chosen(3);
    lloyd::seed<T>({same.data(), 100, 1, 1, 1}, {}, {u.data(), 3, 1}, {chosen.data(), 3, 1});
    CHECK((chosen == std::vector<std::int32_t>{0, 50, 99}), chosen[0], chosen[1], chosen[2]);
}

template <class T>
void refused() {
    constexpr T nan = std::numeric_limits<T>::quiet_NaN(), inf = std::numeric_limits<T>::infinity();
    for (const index_t n : {20, 5000})
        for (const index_t d : {2, 6}) {
            const Clusters<T> good = random_clusters<T>(n, 40, d, true, 1);
            const auto refuse = [&](const char* message, auto&& change) {
                Clusters<T> c = good;
                change(c);
                CHECK_THROWS(solve(c, {.threads = 2}), InvalidValue, message);
            };
            refuse("[quantization.lloyd] x: expected finite values, got nan at [3, 1]",
                   [&](auto& c) { c.x[3 * d + 1] = nan; });
            refuse("[quantization.lloyd] x: expected finite values, got -inf", [&](auto& c) { c.x.back() = -inf; });
            refuse("[quantization.lloyd] sites: expected finite values, got inf at [0, 0]",
                   [&](auto& c) { c.sites[0] = inf; });
            refuse("[quantization.lloyd] weights: expected finite nonnegative weights, got -1 at [5]",
                   [&](auto& c) { c.w[5] = -1; });
            refuse("[quantization.lloyd] weights: expected finite nonnegative weights, got nan at [0]",
                   [&](auto& c) { c.w[0] = nan; });
            refuse("[quantization.lloyd] weights: expected a positive finite total mass, got 0",
                   [&](auto& c) { c.w.assign(n, 0); });
            refuse("[quantization.lloyd] weights: expected one weight per sample", [&](auto& c) { c.w.pop_back(); });
            refuse("[quantization.lloyd] sites: expected shape (k, d), k >= 1", [&](auto& c) { c.sites.clear(); });
            refuse("[quantization.lloyd] x: expected at least one sample", [&](auto& c) { c.x.clear(); });
        }
}

}  // namespace

int main() {
    every_engine<float>();
    every_engine<double>();
    powers<float>();
    powers<double>();
    ties<float>();
    ties<double>();
    far_away<float>();
    far_away<double>();
    nearly_equal<float>();
    nearly_equal<double>();
    awkward<float>();
    awkward<double>();
    seeds<float>();
    seeds<double>();
    refused<float>();
    refused<double>();
    return report();
}
