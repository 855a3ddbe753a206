// A sliced problem that owns its arrays, and what came out of one call.
#pragma once

#include <limits>

#include "deblai/sliced.hpp"
#include "support.hpp"

namespace deblai::test {

template <class T>
Matrix<T> matrix(std::vector<T>& v, index_t cols) {
    return {v.data(), static_cast<index_t>(v.size()) / cols, cols, cols, 1};
}
template <class T>
Matrix<const T> matrix(const std::vector<T>& v, index_t cols) {
    return {v.data(), static_cast<index_t>(v.size()) / cols, cols, cols, 1};
}
template <class T>
Vector<T> vector(std::vector<T>& v) {
    return {v.empty() ? nullptr : v.data(), static_cast<index_t>(v.size()), 1};
}
template <class T>
Vector<const T> vector(const std::vector<T>& v) {
    return {v.empty() ? nullptr : v.data(), static_cast<index_t>(v.size()), 1};
}

// Unit vectors, (count, d).
template <class T>
std::vector<T> directions(index_t count, index_t d, std::uint64_t seed) {
    std::vector<T> theta = gaussian<T>(count * d, seed);
    for (index_t l = 0; l < count; ++l) {
        double norm = 0;
        for (index_t k = 0; k < d; ++k) norm += double(theta[l * d + k]) * double(theta[l * d + k]);
        for (index_t k = 0; k < d; ++k) theta[l * d + k] = static_cast<T>(double(theta[l * d + k]) / std::sqrt(norm));
    }
    return theta;
}

template <class T>
struct Case {
    index_t d;
    std::vector<T> x, y, theta, a, b;  // empty weights: equal ones
    double p = 2;

    sliced::Problem<T> problem() const {
        return {matrix(x, d), matrix(y, d), vector(a), vector(b), matrix(theta, d), p};
    }
    index_t n() const { return static_cast<index_t>(x.size()) / d; }
    index_t m() const { return static_cast<index_t>(y.size()) / d; }
    index_t L() const { return static_cast<index_t>(theta.size()) / d; }

    // The weights as a law of the projections on direction l wants them.
    Law law(bool first, index_t l) const {
        const std::vector<T>& points = first ? x : y;
        std::vector<double> projected(points.size() / d);
        for (std::size_t i = 0; i < projected.size(); ++i)
            for (index_t k = 0; k < d; ++k) projected[i] += double(points[i * d + k]) * double(theta[l * d + k]);
        return Law(projected, first ? a : b);
    }
};

// Gaussian clouds, the second one shifted and scaled, random weights where asked.
template <class T>
Case<T> random_case(index_t n, index_t m, index_t d, index_t L, bool weighted, double p, std::uint64_t seed) {
    Case<T> c{d, gaussian<T>(n * d, seed), gaussian<T>(m * d, seed + 1), directions<T>(L, d, seed + 2), {}, {}, p};
    for (T& v : c.y) v = T(0.5) * v + T(0.25);
    if (weighted) c.a = uniform<T>(n, seed + 3), c.b = uniform<T>(m, seed + 4);
    return c;
}

template <class T>
struct Result {
    std::vector<double> cost;
    std::vector<T> grad_x, grad_y, grad_a, grad_b;
    sliced::Estimate estimate{};

    double value() const { return estimate.mean; }
};

enum Wanted { only_cost = 0, points = 1, weights = 2, everything = 3 };

template <class T>
Result<T> solve(const Case<T>& c, Wanted wanted = only_cost, const Control& control = {}) {
    Result<T> r;
    r.cost.assign(c.L(), -1);
    sliced::Output<T> out;
    out.cost = r.cost.data();
    if (wanted & points) {
        r.grad_x.assign(c.x.size(), 0), r.grad_y.assign(c.y.size(), 0);
        out.grad_x = matrix(r.grad_x, c.d), out.grad_y = matrix(r.grad_y, c.d);
    }
    if (wanted & weights) {
        r.grad_a.assign(c.n(), 0), r.grad_b.assign(c.m(), 0);
        out.grad_a = vector(r.grad_a), out.grad_b = vector(r.grad_b);
    }
    r.estimate = sliced::wasserstein(c.problem(), out, control);
    return r;
}

}  // namespace deblai::test
