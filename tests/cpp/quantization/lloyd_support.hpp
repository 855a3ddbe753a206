// A Lloyd problem that owns its arrays, what came out of one call, and the same by brute force in float64.
#pragma once

#include <limits>
#include <string>

#include "deblai/lloyd.hpp"
#include "support.hpp"

namespace deblai::test {

template <class T>
struct Clusters {
    index_t d;
    std::vector<T> x, sites, w;  // empty weights: all 1

    index_t n() const { return static_cast<index_t>(x.size()) / d; }
    index_t k() const { return static_cast<index_t>(sites.size()) / d; }
    lloyd::Problem<T> problem() const {
        return {{x.data(), n(), d, d, 1},
                {w.empty() ? nullptr : w.data(), static_cast<index_t>(w.size()), 1},
                {sites.data(), k(), d, d, 1}};
    }
};

template <class T>
struct Found {
    std::vector<double> mass, sum;
    std::vector<std::int32_t> labels;
    std::vector<T> cost;
    double energy = 0;
};

// Normal samples; the sites are samples too, or normal points of their own.
template <class T>
Clusters<T> random_clusters(index_t n, index_t k, index_t d, bool weighted, std::uint64_t seed) {
    Clusters<T> c{d, gaussian<T>(n * d, seed), gaussian<T>(k * d, seed + 1), {}};
    if (weighted) c.w = uniform<T>(n, seed + 2);
    return c;
}

template <class T>
Found<T> solve(const Clusters<T>& c, const Control& control = {}) {
    Found<T> f{std::vector<double>(c.k()), std::vector<double>(c.k() * c.d), std::vector<std::int32_t>(c.n()),
               std::vector<T>(c.n())};
    f.energy = lloyd::assign<T>(
        c.problem(), {f.mass.data(), f.sum.data(), {f.labels.data(), c.n(), 1}, {f.cost.data(), c.n(), 1}}, control);
    return f;
}

template <class T>
double squared_distance(const Clusters<T>& c, index_t i, index_t j) {
    double s = 0;
    for (index_t a = 0; a < c.d; ++a) {
        const double r = double(c.x[i * c.d + a]) - double(c.sites[j * c.d + a]);
        s += r * r;
    }
    return s;
}

template <class T>
Found<T> brute(const Clusters<T>& c) {
    Found<T> f{std::vector<double>(c.k()), std::vector<double>(c.k() * c.d), std::vector<std::int32_t>(c.n()),
               std::vector<T>(c.n())};
    for (index_t i = 0; i < c.n(); ++i) {
        index_t best = 0;
        for (index_t j = 1; j < c.k(); ++j)
            if (squared_distance(c, i, j) < squared_distance(c, i, best)) best = j;
        const double w = c.w.empty() ? 1.0 : double(c.w[i]);
        f.labels[i] = static_cast<std::int32_t>(best);
        f.cost[i] = static_cast<T>(squared_distance(c, i, best));
        f.mass[best] += w;
        for (index_t a = 0; a < c.d; ++a) f.sum[best * c.d + a] += w * double(c.x[i * c.d + a]);
        f.energy += w * squared_distance(c, i, best);
    }
    return f;
}

}  // namespace deblai::test
