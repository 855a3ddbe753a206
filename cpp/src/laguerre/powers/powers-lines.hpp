// Segments gathered for one cell, cut until a Gauss rule is exact to rounding on each, and integrated at once.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "levels.hpp"
#include "powers-kernels.hpp"

DEBLAI_DECLARE_LEVELS(powers::Kernels, powers_kernels)

namespace deblai::powers {
namespace {

constexpr const Kernels* powers_table[] = DEBLAI_LEVELS(powers_kernels);

inline Power power_of(double p) {
    Power q{p, {gauss_rule(0.02), gauss_rule(0.1), gauss_rule(0.5), gauss_rule(2), gauss_rule(gauss_most)}, {}, {}, 1,
            0};
    for (int k = 0; k < Power::rules; ++k) {
        const double ellipse = std::exp((37 + 0.7 * p) / (2 * q.rule[k].size));
        q.apart[k] = ellipse + 1 / ellipse;
    }
    // Below this the difference of 1 and (1 - u)^(p/2) would lose digits.
    const double a = 0.5 * p;
    q.series_up_to = 0.25 / std::max(a, 1.0);
    q.series[0] = a;
    double power = 1;
    for (int m = 1; m < Power::terms; ++m) {
        q.series[m] = q.series[m - 1] * (m - a) / (m + 1);
        power *= q.series_up_to;
        if (std::abs(q.series[m]) * power < 1e-18 * a) break;
        q.series_size = m + 1;
    }
    return q;
}

// Sums for each of several owners, which number their segments.
class Lines {
public:
    void clear() { size_ = owners_ = 0; }

    // A segment of a line, in units in which distances are about 1 at most; returns its owner's number.
    int add(const Power& power, double line2, double begin, double end, double foot2 = 0, double height_p = 0) {
        const double radius0 = std::sqrt(line2 + begin * begin), radius1 = std::sqrt(line2 + end * end);
        cut(power, {line2, foot2, height_p}, {begin, radius0}, {end, radius1}, 0);
        return owners_++;
    }

    void integrate(const Power& power, const Kernels& kernel, bool space) {
        const auto row = [&](int k) { return real_.data() + k * capacity_; };
        for (int k = size_; k < size_ + room && size_ > 0; ++k)
            for (int m = 0; m < 5; ++m) row(m)[k] = m == 0 ? 1 : 0;
        const Segments s{row(0), row(1), row(2), row(3), row(4), rule_.data(), {row(5), row(6), row(7), row(8)}, size_};
        (space ? kernel.space : kernel.plane)(power, s);
        sum_.assign(4 * owners_, 0.0);
        for (int k = 0; k < size_; ++k)
            for (int m = 0; m < (space ? 3 : 4); ++m) sum_[4 * owner_[k] + m] += row(5 + m)[k];
    }

    // The four sums of an owner.
    const double* of(int owner) const { return sum_.data() + 4 * owner; }

    struct End {
        double t, radius;
    };

    // With t = c + a z on a segment of half length a, the integrand is analytic inside of the ellipse with foci at the
    // ends through the points where r = 0, whose distances from the ends are the radii there. Its semi-axes e + 1 / e =
    // (radius0 + radius1) / a say how fast the rules converge, as e^(-2 size), but for what the power grows by.
    static int rule(const Power& power, End from, End to) {
        const double half = 0.5 * (to.t - from.t), sum = from.radius + to.radius;
        for (int k = 0; k < Power::rules; ++k)
            if (sum >= power.apart[k] * half) return k;
        constexpr double ellipse = 3.6, growth = 7;  // of the largest rule, and of exponentials that it takes
        const bool steady = power.p * half <= growth * std::min(from.radius, to.radius);
        return sum >= ellipse * half && steady ? Power::rules - 1 : -1;
    }

private:
    struct Line {
        double line2, foot2, height_p;
    };
    void cut(const Power& power, const Line& line, End from, End to, int depth) {
        constexpr int deepest = 60;
        if (!(from.t < to.t)) return;
        int size = rule(power, from, to);
        if (size < 0 && depth < deepest) {
            const double t = 0.5 * (from.t + to.t);
            const End middle{t, std::sqrt(line.line2 + t * t)};
            cut(power, line, from, middle, depth + 1);
            cut(power, line, middle, to, depth + 1);
            return;
        }
        if (size_ + room >= capacity_) grow();
        double* const at = real_.data() + size_;
        at[0] = line.line2, at[capacity_] = from.t, at[2 * capacity_] = to.t;
        at[3 * capacity_] = line.foot2, at[4 * capacity_] = line.height_p;
        rule_[size_] = size < 0 ? Power::rules - 1 : size;
        owner_[size_++] = owners_;
    }

    void grow() {
        const int more = std::max(256, 2 * capacity_);
        std::vector<double> real(static_cast<std::size_t>(rows) * more);
        for (int m = 0; m < rows; ++m)
            std::copy_n(real_.data() + m * static_cast<std::size_t>(capacity_), size_,
                        real.data() + m * static_cast<std::size_t>(more));
        real_.swap(real);
        rule_.resize(more), owner_.resize(more);
        capacity_ = more;
    }

    static constexpr int rows = 9, room = 8;  // arrays of Segments; lanes of the widest vector
    std::vector<double> real_, sum_;
    std::vector<std::int32_t> rule_, owner_;
    int size_ = 0, capacity_ = 0, owners_ = 0;
};

// 2^k, at least the largest of the coordinates.
inline double unit_of(const double* x, const double* y, const double* z, int size) {
    double most = 0;
    for (int k = 0; k < size; ++k) {
        most = std::max({most, std::abs(x[k]), std::abs(y[k])});
        if (z) most = std::max(most, std::abs(z[k]));
    }
    int exponent = 0;
    std::frexp(most, &exponent);
    return std::ldexp(1.0, exponent);
}

}  // namespace
}  // namespace deblai::powers
