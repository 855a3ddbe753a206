// L-BFGS, Newton's method, and when to go from one to the other.
#pragma once

#include <deque>
#include <optional>

#include "descents-land.hpp"

namespace deblai::descents {
namespace {

// A point along a direction that is lower by Armijo's rule, or flatter where energies are rounding.
template <class L>
std::optional<Point> lowered(L& land, const Point& now, const Array& way, double shortest) {
    for (double length = 1; length > shortest; length /= length > 0.2 ? 2 : 4) {
        Point next = land.at(land.moved(now, length, way));
        double slope = 0;
        for (std::size_t k = 0; k < way.size(); ++k) slope += now.gradient[k] * (next.sites[k] - now.sites[k]);
        if (next.energy <= now.energy + 1e-4 * slope && slope < 0 && next.better(now)) return next;
        if (std::abs(slope) < 1e-9 * now.energy && next.better(now)) return next;
    }
    return {};
}

// Memory 7, preconditioned by the curvatures of fixed cells (Nocedal and Wright, "Numerical optimization", 7.4).
class Lbfgs {
public:
    template <class L>
    std::optional<Point> next(L& land, const Point& now) {
        std::optional<Point> to;
        if (!pairs_.empty()) to = lowered(land, now, direction(now), 1e-3);
        if (!to) {
            pairs_.clear();
            to = lowered(land, now, now.step(), 1e-6);
        }
        if (!to) return to;
        Pair pair{to->sites, to->gradient, 0};
        add(pair.s, -1, now.sites);
        add(pair.y, -1, now.gradient);
        pair.product = dot(pair.s, pair.y);
        if (pair.product > 1e-10 * std::sqrt(dot(pair.s, pair.s) * dot(pair.y, pair.y))) {
            pairs_.push_back(std::move(pair));
            if (pairs_.size() > memory) pairs_.pop_front();
        }
        return to;
    }
    void forget() { pairs_.clear(); }

private:
    static constexpr std::size_t memory = 7;
    struct Pair {
        Array s, y;
        double product;
    };

    // - H^-1 gradient by two loops.
    Array direction(const Point& now) const {
        Array q = now.gradient, share(pairs_.size());
        for (std::size_t k = pairs_.size(); k-- > 0;) {
            share[k] = dot(pairs_[k].s, q) / pairs_[k].product;
            add(q, -share[k], pairs_[k].y);
        }
        const Pair& last = pairs_.back();
        q = scaled(q, now.curvature, last.product / dot(last.y, scaled(last.y, now.curvature)));
        for (std::size_t k = 0; k < pairs_.size(); ++k)
            add(q, share[k] - dot(pairs_[k].y, q) / pairs_[k].product, pairs_[k].s);
        for (double& v : q) v = -v;
        return q;
    }

    std::deque<Pair> pairs_;
};

// Steps that minimise the quadratic model in a ball of the metric of the curvatures.
class Newton {
public:
    template <class L>
    std::optional<Point> next(L& land, const Point& now) {
        if (!std::isfinite(bound_)) {
            double sum = 0;
            for (std::size_t i = 0; i < now.size(); ++i) sum += now.curvature[i] * now.radius[i] * now.radius[i];
            bound_ = 0.5 * std::sqrt(sum);
        }
        const double floor = 1e-9 * bound_;
        const Hessian h = land.hessian(now);
        while (bound_ > floor) {
            const Step step = solve(h, now, land.options().invariant);
            if (!(step.foreseen > 0)) return {};
            Point next = land.at(land.moved(now, 1, step.way));
            const double ratio = gain(now, next) / step.foreseen;
            if (ratio < 0.25)
                bound_ = 0.25 * std::min(bound_, step.size);
            else if (ratio > 0.75 && step.size > 0.9 * bound_)
                bound_ *= 2;
            if (ratio > 1e-3) return next;
            if (step.foreseen < flat * now.energy) {  // no step is seen in the energy
                if (next.better(now)) return next;
                return {};
            }
        }
        return {};
    }
    void forget() { bound_ = std::numeric_limits<double>::infinity(); }

private:
    static constexpr double level = 1e-9;  // curvatures, relative to those of fixed cells, that are rounding
    static constexpr int most = 2000;      // products with the Hessian a step
    struct Step {
        Array way;
        double size, foreseen;
    };

    // By how much the energy falls; from the gradients of both ends where it is lost in rounding.
    static double gain(const Point& now, const Point& next) {
        const double by_energy = now.energy - next.energy;
        if (std::abs(by_energy) > 1e-9 * now.energy) return by_energy;
        double sum = 0;
        for (std::size_t k = 0; k < now.sites.size(); ++k)
            sum -= 0.5 * (next.sites[k] - now.sites[k]) * (now.gradient[k] + next.gradient[k]);
        return sum;
    }

    // Leaves out what moves all sites alike.
    static void free(Array& v, std::size_t d) {
        double mean[3] = {};
        for (std::size_t k = 0; k < v.size(); ++k) mean[k % d] += v[k];
        const double n = static_cast<double>(v.size() / d);
        for (std::size_t k = 0; k < v.size(); ++k) v[k] -= mean[k % d] / n;
    }

    // Conjugate gradients, to the border of the ball where that comes first or the curvature is negative.
    Step solve(const Hessian& h, const Point& now, bool invariant) const {
        Array x(now.sites.size()), r = now.gradient, product(x.size());
        if (invariant) free(r, now.dim());
        Array z = scaled(r, now.curvature), p = scaled(r, now.curvature, -1);
        double rz = dot(r, z), size = 0, pp = rz, xp = 0, whole = 0;
        for (std::size_t i = 0; i < now.size(); ++i) whole += now.curvature[i] * now.radius[i] * now.radius[i];
        const double enough = std::max(std::min(0.1, now.residual) * std::sqrt(rz), 1e-15 * std::sqrt(whole));
        for (int k = 0; k < most; ++k) {
            h.times(p, product);
            if (invariant) free(product, now.dim());
            const double bend = dot(p, product);
            if (std::abs(bend) < level * pp && size > 0) break;  // turns of a round measure, say: nothing to gain
            double length = bend > 0 ? rz / bend : std::numeric_limits<double>::infinity();
            const bool border = !(size * size + 2 * length * xp + length * length * pp < bound_ * bound_);
            if (border) length = (-xp + std::sqrt(xp * xp + pp * (bound_ * bound_ - size * size))) / pp;
            add(x, length, p);
            add(r, length, product);
            if (border) {
                size = bound_;
                break;
            }
            size = std::sqrt(size * size + 2 * length * xp + length * length * pp);
            z = scaled(r, now.curvature);
            const double before = rz;
            rz = dot(r, z);
            if (std::sqrt(rz) <= enough) break;
            const double share = rz / before;
            xp = share * (xp + length * pp), pp = rz + share * share * pp;
            for (std::size_t m = 0; m < p.size(); ++m) p[m] = share * p[m] - z[m];
        }
        return {x, size, -0.5 * (dot(x, now.gradient) + dot(x, r))};
    }

    double bound_ = std::numeric_limits<double>::infinity();  // of the step; set from the first energy
};

// L-BFGS into a basin, Newton's method in it; back to L-BFGS where a step of Newton's does not halve the residual.
class Auto {
public:
    template <class L>
    std::optional<Point> next(L& land, const Point& now) {
        if (newton_ && !stuck_ && now.residual > 0.5 * before_) {
            switch_ = entry_ / 4;
            first_.forget(), second_.forget();
            newton_ = false;
        }
        if (!newton_ && now.residual < switch_)
            newton_ = true, entry_ = now.residual, before_ = std::numeric_limits<double>::infinity();
        if (!newton_) {
            std::optional<Point> to = first_.next(land, now);
            if (to) return to;
            newton_ = stuck_ = true;
        }
        before_ = now.residual;
        return second_.next(land, now);
    }

private:
    Lbfgs first_;
    Newton second_;
    bool newton_ = false, stuck_ = false;
    double switch_ = 2e-3, entry_ = 0, before_ = 0;  // residuals to change at, where Newton's began, of the last step
};

}  // namespace
}  // namespace deblai::descents
