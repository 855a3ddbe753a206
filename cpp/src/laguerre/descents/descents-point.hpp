// Sites, what their cells hold, the energy's derivatives there, and arrays (n d,) of a block for each site.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "deblai/descents.hpp"

namespace deblai::descents {
namespace {

using Array = std::vector<double>;

constexpr double ulp = std::numeric_limits<double>::epsilon();
constexpr double flat = 1e-13;  // relative changes of an energy that may be rounding

struct Stopped {};  // thrown where a kernel was

inline double dot(const Array& a, const Array& b) {
    double sum = 0;
    for (std::size_t k = 0; k < a.size(); ++k) sum += a[k] * b[k];
    return sum;
}

inline void add(Array& to, double t, const Array& v) {
    for (std::size_t k = 0; k < to.size(); ++k) to[k] += t * v[k];
}

// factor v / curvature site by site, 0 where that is 0.
inline Array scaled(const Array& v, const Array& curvature, double factor = 1) {
    const std::size_t n = curvature.size(), d = v.size() / n;
    Array out(v.size());
    for (std::size_t i = 0; i < n; ++i) {
        const double share = curvature[i] > 0 ? factor / curvature[i] : 0.0;
        for (std::size_t k = 0; k < d; ++k) out[i * d + k] = share * v[i * d + k];
    }
    return out;
}

struct Point {
    Array sites, mass, each, gradient;
    Array curvature;  // of fixed cells
    Array own;        // (n, d d): second derivatives of fixed cells; empty for the curvature alone
    std::vector<std::int64_t> counts;
    Array radius, imbalance;  // mean distance of degree p to the site; of a cell's pulls, relative
    double energy = 0, residual = 0;
    bool empty = false;

    std::size_t size() const { return mass.size(); }
    std::size_t dim() const { return sites.size() / mass.size(); }

    void finish(double p) {
        const std::size_t n = size(), d = dim();
        radius.resize(n), imbalance.resize(n);
        energy = residual = 0;
        empty = false;
        for (std::size_t i = 0; i < n; ++i) {
            energy += each[i];
            empty = empty || !(mass[i] > 0);
            const double whole = mass[i] > 0 ? mass[i] : 1.0, mean = std::max(each[i], 0.0) / whole;
            radius[i] = p == 2 ? std::sqrt(mean) : std::pow(mean, 1 / p);
            const double pull = p * whole * (p == 2 ? radius[i] : std::pow(radius[i], p - 1));
            double force = 0;
            for (std::size_t k = 0; k < d; ++k) force += gradient[i * d + k] * gradient[i * d + k];
            imbalance[i] = mass[i] > 0 && pull > 0 ? std::sqrt(force) / pull : 0.0;
            residual = std::max(residual, imbalance[i]);
        }
    }

    Array step() const { return scaled(gradient, curvature, -1); }
    // The norm of the gradient in the metric of the curvatures.
    double slope() const { return std::sqrt(dot(gradient, scaled(gradient, curvature))); }

    // Whether each cell pulls its site as much from all sides, as far as floats can say.
    bool settled(double tol, double loose = 1) const {
        if (residual <= tol) return true;
        for (std::size_t i = 0; i < size(); ++i) {
            double reach = 0;
            for (std::size_t k = 0; k < dim(); ++k) reach = std::max(reach, std::abs(sites[i * dim() + k]));
            const double rounding = radius[i] > 0 ? 8 * ulp * (1 + reach / radius[i]) : 8 * ulp;
            if (imbalance[i] > std::max(tol, loose * rounding)) return false;
        }
        return true;
    }
    // Whether this is lower; where energies are equal up to rounding, whether it is flatter.
    bool better(const Point& than) const {
        if (energy < than.energy * (1 - flat)) return true;
        return energy <= than.energy * (1 + flat) && slope() < than.slope();
    }
};

}  // namespace
}  // namespace deblai::descents
