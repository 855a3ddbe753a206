// The staircase cut along diagonals: walks from corner() to corner() visit the serial walk's cells, each once, in
// order, with the same masses and steps. Returns non-zero on failure.
#include <cstdint>
#include <cstdio>
#include <utility>
#include <vector>

#include "deblai/quantile.hpp"
#include "deblai/rng.hpp"

namespace {

using deblai::index_t;

int failures = 0;
long long walks = 0;

template <class M>
bool same(const deblai::Cell<M>& a, const deblai::Cell<M>& b) {
    return a.i == b.i && a.j == b.j && a.mass == b.mass && a.step_i == b.step_i && a.step_j == b.step_j &&
           a.end == b.end;
}

template <class Cdf>
void compare(const char* name, index_t n, index_t m, Cdf A, Cdf B, typename Cdf::mass_t total) {
    using M = typename Cdf::mass_t;
    std::vector<deblai::Cell<M>> serial, cut;
    deblai::staircase(n, m, A, B, total, 0, 0, M{0}, n + m, [&](const auto& cell) { serial.push_back(cell); });
    for (const index_t step : {index_t{2}, index_t{3}, index_t{8}, n + m}) {
        cut.clear();
        bool ok = true;
        for (index_t begin = 0; begin <= n + m - 2; begin += step) {
            const auto from = deblai::corner(n, m, A, B, begin);
            // The walk of the stretch before ends where this one begins.
            if (!cut.empty()) {
                const auto& last = cut.back();
                ok &= from.i == last.i + last.step_i && from.j == last.j + last.step_j && from.done == last.end;
            } else {
                ok &= from.i == 0 && from.j == 0 && from.done == M{0};
            }
            deblai::stretch(n, m, A, B, total, from, begin + step, [&](const auto& cell) { cut.push_back(cell); });
        }
        ok &= cut.size() == serial.size();
        for (std::size_t k = 0; ok && k < cut.size(); ++k) ok = same(cut[k], serial[k]);
        ++walks;
        if (ok) continue;
        ++failures;
        std::printf("%s: n=%lld m=%lld step=%lld differs from the serial walk\n", name, static_cast<long long>(n),
                    static_cast<long long>(m), static_cast<long long>(step));
    }
}

struct Dice {
    deblai::Philox philox;
    std::uint64_t position = 0;
    std::uint64_t operator()(std::uint64_t sides) { return philox(position++).word[0] % sides; }
};

// Small integers tie often; every kind may hold zeros, at the ends too.
std::vector<double> cumulative(index_t n, int kind, Dice& dice) {
    std::vector<double> out(n);
    double total = 0;
    for (index_t i = 0; i < n; ++i) {
        double w = 1;
        if (kind == 1) w = static_cast<double>(dice(3));
        if (kind == 2) w = static_cast<double>(dice(1u << 30));
        if (kind == 3) w = dice(4) ? 0.0 : 1.0;
        if (kind == 4) w = i == n / 2 ? 1e6 : static_cast<double>(dice(2));
        if (kind == 5) w = 0.1;
        out[i] = total += w;
    }
    if (!(total > 0)) {
        for (index_t i = n / 2; i < n; ++i) out[i] = 1;
        total = 1;
    }
    for (double& c : out) c /= total;
    return out;
}

}  // namespace

int main() {
    Dice dice{deblai::Philox(7)};
    for (index_t n = 1; n <= 24; ++n)
        for (index_t m = 1; m <= 24; ++m) compare("uniform", n, m, deblai::UniformCdf{m}, deblai::UniformCdf{n}, n * m);
    for (const auto& [n, m] : {std::pair<index_t, index_t>{1, 5000}, {5000, 1}, {2, 777}, {999, 1000}, {4096, 4096}})
        compare("uniform", n, m, deblai::UniformCdf{m}, deblai::UniformCdf{n}, n * m);
    for (int round = 0; round < 4000; ++round) {
        const index_t most = round % 10 ? 12 : 400;
        const index_t n = 1 + static_cast<index_t>(dice(most)), m = 1 + static_cast<index_t>(dice(most));
        const std::vector<double> a = cumulative(n, static_cast<int>(dice(6)), dice);
        const std::vector<double> b = round % 7 ? cumulative(m, static_cast<int>(dice(6)), dice) : a;
        compare("weighted", n, static_cast<index_t>(b.size()), deblai::WeightedCdf{a.data()},
                deblai::WeightedCdf{b.data()}, 1.0);
    }
    std::printf("%lld walks, %d failed\n", walks, failures);
    return failures == 0 ? 0 : 1;
}
