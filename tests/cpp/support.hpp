// What several C++ tests share: random arrays, the instruction sets at hand, and the cost of a
// one-dimensional coupling computed naively from the merged breakpoints of both distribution functions.
#pragma once

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>
#include <vector>

#include "deblai/rng.hpp"
#include "deblai/simd.hpp"

namespace deblai::test {

// All, but the best one alone under ThreadSanitizer: what threads share does not depend on the instruction set.
inline std::vector<const char*> levels() {
#if defined(__SANITIZE_THREAD__)
    return {name(best_simd())};
#endif
    std::vector<const char*> out;
    for (int level = 0; level <= static_cast<int>(best_simd()); ++level) out.push_back(name(static_cast<Simd>(level)));
    return out;
}

template <class T>
std::vector<T> uniform(index_t count, std::uint64_t seed) {
    const Philox philox(seed);
    std::vector<T> out(count);
    for (index_t i = 0; i < count; ++i) {
        const auto b = philox(i);
        out[i] = static_cast<T>(uniform_open(b.word[0], b.word[1]));
    }
    return out;
}

template <class T>
std::vector<T> gaussian(index_t count, std::uint64_t seed) {
    const Philox philox(seed);
    std::vector<T> out(count);
    for (index_t i = 0; i < count; ++i) {
        const auto b = philox(i);
        const double angle = 2 * std::numbers::pi * uniform_open(b.word[2], b.word[3]);
        out[i] = static_cast<T>(std::sqrt(-2 * std::log(uniform_open(b.word[0], b.word[1]))) * std::cos(angle));
    }
    return out;
}

// Sorted atoms with their distribution function; empty weights are equal ones.
struct Law {
    std::vector<double> value, cdf;

    template <class T, class W>
    Law(const std::vector<T>& x, const std::vector<W>& w) : value(x.size()), cdf(x.size()) {
        std::vector<index_t> order(x.size());
        std::iota(order.begin(), order.end(), 0);
        std::stable_sort(order.begin(), order.end(), [&](index_t i, index_t j) { return x[i] < x[j]; });
        double total = 0;
        for (std::size_t i = 0; i < x.size(); ++i) {
            value[i] = x[order[i]];
            cdf[i] = total += w.empty() ? 1.0 : static_cast<double>(w[order[i]]);
        }
        for (double& c : cdf) c /= total;
    }

    double quantile(double t) const {
        const std::size_t i = std::upper_bound(cdf.begin(), cdf.end(), t) - cdf.begin();
        return value[std::min(i, value.size() - 1)];
    }
};

// int_0^1 |F^-1(t) - G^-1(t)|^p dt: both quantile functions are constant between merged breakpoints.
inline double naive_cost(const Law& f, const Law& g, double p) {
    std::vector<double> at{0.0};
    at.insert(at.end(), f.cdf.begin(), f.cdf.end());
    at.insert(at.end(), g.cdf.begin(), g.cdf.end());
    std::sort(at.begin(), at.end());
    double cost = 0;
    for (std::size_t k = 0; k + 1 < at.size(); ++k) {
        const double middle = 0.5 * (at[k] + at[k + 1]);
        cost += (at[k + 1] - at[k]) * std::pow(std::abs(f.quantile(middle) - g.quantile(middle)), p);
    }
    return cost;
}

}  // namespace deblai::test
