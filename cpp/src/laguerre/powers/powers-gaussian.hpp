// Powers of distances over polygons and along segments with a density of Gaussians, by Gauss rules on rays from the
// site: with e the direction of a ray that leaves the cell at the distance r through an edge at the distance h,
//   int f drho = sum over edges of h int 1 / r^2 int_0^r f(s e) rho(s e) s ds dt.
// The powers of s that all share are in the weights of a rule of their own (Gauss and Jacobi) next to the site.
#pragma once

#include "deblai/gaussian.hpp"
#include "powers-lines.hpp"

namespace deblai::powers {
namespace {

// Nodes in (0, 1) and weights for integrals of s^a f(s), exact for polynomials f of degree 2 size - 1; a = p - 1.
class RadialRule {
public:
    static constexpr int most = 16;

    RadialRule(double a, int count) : size(count) {
        // Roots of the orthogonal polynomials lie between those of the one before.
        double root[most + 2] = {-1, 1};
        for (int n = 1; n <= size; ++n) {
            double next[most + 2];
            next[0] = -1;
            next[n + 1] = 1;
            for (int k = 0; k < n; ++k) {
                double low = root[k], high = root[k + 1];
                const bool falls = last(low, n, a) > 0;
                for (int step = 0; step < 200 && low < high; ++step) {
                    const double middle = 0.5 * (low + high);
                    if (middle == low || middle == high) break;
                    ((last(middle, n, a) > 0) == falls ? low : high) = middle;
                }
                next[k + 1] = 0.5 * (low + high);
            }
            std::copy_n(next, n + 2, root);
        }
        for (int k = 0; k < size; ++k) {
            double sum = 0;
            last(root[k + 1], size, a, &sum);
            node[k] = 0.5 * (1 + root[k + 1]);
            weight[k] = 1 / sum;
        }
    }

    int size;
    double node[most], weight[most];

private:
    // The orthonormal polynomial of degree n on (-1, 1) for the weight ((1 + x) / 2)^a / 2, and the squares of those
    // before it.
    static double last(double x, int n, double a, double* squares = nullptr) {
        const auto beta = [&](int k) {
            const double c = 2 * k + a;
            return 2 * k * (k + a) / c / std::sqrt((c + 1) * (c - 1));
        };
        double before = 0, now = std::sqrt(a + 1), sum = 0;
        for (int k = 0; k < n; ++k) {
            const double c = 2 * k + a, alpha = k == 0 ? a / (a + 2) : a * a / (c * (c + 2));
            sum += now * now;
            const double next = ((x - alpha) * now - (k > 0 ? beta(k) * before : 0.0)) / beta(k + 1);
            before = now;
            now = next;
        }
        if (squares) *squares = sum;
        return now;
    }
};

// The integral of r^p over a set, its gradient in the site and its second derivatives.
struct Sums {
    double energy = 0, x = 0, y = 0, xx = 0, xy = 0, yy = 0;
};

class GaussianPowers {
public:
    GaussianPowers(const Gaussians& gaussians, const Power& power)
        : all_(gaussians), power_(power), seen_(9.5 + std::sqrt(power.p + 1)) {
        for (const GaussRule& rule : power.rule) radial_.emplace_back(power.p - 1, rule.size);
    }

    // Of a polygon around the site at (sx, sy).
    Sums over(const double* x, const double* y, int size, double sx, double sy) const {
        Sums sum;
        for (int c = 0; c < all_.count; ++c)
            for (int k = 0; k < size; ++k) {
                const int l = k + 1 < size ? k + 1 : 0;
                Side side(all_.component[c], {x[k], y[k]}, {x[l], y[l]}, sx, sy);
                if (side.length > 0 && side.height != 0) wedge(side, side.begin, side.begin + side.length, 0, sum);
            }
        return sum;
    }

    // The density times r^(p-2) along a segment.
    FacetMoments along(Point a, Point b, double sx, double sy) const {
        FacetMoments sum;
        for (int c = 0; c < all_.count; ++c) {
            Side side(all_.component[c], a, b, sx, sy);
            if (side.length > 0) segment(side, side.begin, side.begin + side.length, 0, sum);
        }
        return sum;
    }

private:
    // A segment with normal (ty, -tx) as a component sees it: z = z0 + L^-1 v.
    struct Side {
        const Gaussian& g;
        double length, tx, ty, begin, height;
        Point z0, along;

        Side(const Gaussian& gaussian, Point a, Point b, double sx, double sy) : g(gaussian) {
            const double dx = b.x - a.x, dy = b.y - a.y;
            length = std::sqrt(dx * dx + dy * dy);
            tx = length > 0 ? dx / length : 0, ty = length > 0 ? dy / length : 0;
            begin = a.x * tx + a.y * ty;
            height = a.x * ty - a.y * tx;
            z0 = g.whitened(sx - g.mx, sy - g.my);
            along = g.whitened(tx, ty);
        }
        Point at(double t) const { return {height * ty + t * tx, -height * tx + t * ty}; }
        Point z(double t) const {
            const Point v = at(t), z = g.whitened(v.x, v.y);
            return {z0.x + z.x, z0.y + z.y};
        }
    };
    static double norm(Point v) { return std::sqrt(v.x * v.x + v.y * v.y); }

    // The rule for a piece on which the exponent varies by twice `half`, -1 for none.
    int rule(const Side& side, double from, double to, double half) const {
        const double h2 = side.height * side.height;
        const int k = Lines::rule(power_, {from, std::sqrt(h2 + from * from)}, {to, std::sqrt(h2 + to * to)});
        if (k < 0 || !(half <= gauss_most)) return -1;
        return std::max(k, rule_of(half));
    }
    int rule_of(double half) const {
        const int size = gauss_rule(half).size;
        int m = 0;
        while (power_.rule[m].size < size) ++m;
        return m;
    }

    void wedge(const Side& side, double from, double to, int depth, Sums& sum) const {
        const Point a = side.at(from), b = side.at(to);
        const double ra = norm(a), rb = norm(b);
        // No further than rays are looked at, the exponent changes from one to the other by no more than this.
        const Point wa = side.g.whitened(a.x / ra, a.y / ra), wb = side.g.whitened(b.x / rb, b.y / rb);
        const double least = std::min(norm(wa), norm(wb)), turn = norm({wb.x - wa.x, wb.y - wa.y});
        const double far = std::min(std::max(ra, rb), (norm(side.z0) + seen_) / least);
        const double half = 0.5 * far * turn * (norm(side.z0) + far * std::max(norm(wa), norm(wb)));
        const int k = ra > 0 && rb > 0 ? rule(side, from, to, half) : -1;
        if (k < 0 && depth < deepest) {
            const double middle = 0.5 * (from + to);
            wedge(side, from, middle, depth + 1, sum);
            wedge(side, middle, to, depth + 1, sum);
            return;
        }
        const GaussRule& nodes = power_.rule[k < 0 ? Power::rules - 1 : k];
        const double p = power_.p;
        for (int j = 0; j < nodes.size; ++j) {
            const double t = from + nodes.node[j] * (to - from), r = std::sqrt(side.height * side.height + t * t);
            if (!(r > 0)) continue;
            const Point v = side.at(t), e{v.x / r, v.y / r};
            double ray[3] = {};
            along_ray(side, e, r, ray);
            const double w = nodes.weight[j] * (to - from) * side.height / (r * r), bend = w * p * ray[0];
            sum.energy += w * ray[2];
            sum.x -= w * p * ray[1] * e.x;
            sum.y -= w * p * ray[1] * e.y;
            sum.xx += bend * (1 + (p - 2) * e.x * e.x);
            sum.xy += bend * (p - 2) * e.x * e.y;
            sum.yy += bend * (1 + (p - 2) * e.y * e.y);
        }
    }

    // int_0^r s^(p-1+k) rho(s e) ds for k = 0, 1, 2.
    void along_ray(const Side& side, Point e, double r, double (&ray)[3]) const {
        const Point v = side.g.whitened(e.x, e.y);
        const double speed2 = v.x * v.x + v.y * v.y, speed = std::sqrt(speed2);
        const double nearest = -(side.z0.x * v.x + side.z0.y * v.y) / speed2, wide = seen_ / speed;
        double low = 0, high = r;
        if (nearest > 0) {
            low = std::max(0.0, nearest - wide);
            high = std::min(r, nearest + wide);
        } else {
            high = std::min(r, nearest + std::sqrt(nearest * nearest + wide * wide));
        }
        if (nearest > r) low = std::max(0.0, nearest - std::sqrt((nearest - r) * (nearest - r) + wide * wide));
        if (!(low < high)) return;
        const auto density = [&](double s) {
            const double zx = side.z0.x + s * v.x, zy = side.z0.y + s * v.y;
            return std::exp(side.g.height - 0.5 * (zx * zx + zy * zy));
        };
        const auto add = [&](double s, double w) {
            const double m = w * density(s);
            ray[0] += m, ray[1] += m * s, ray[2] += m * s * s;
        };
        // Pieces on which the exponent varies by at most 12.
        const auto piece = [&](double s) {
            const double slope = speed2 * std::abs(s - nearest);
            return 12 / (slope + std::sqrt(6 * speed2));
        };
        // The rule that takes the change of the exponent there.
        const auto rule_on = [&](double from, double to) {
            const double far = std::max(std::abs(from - nearest), std::abs(to - nearest));
            return rule_of(0.5 * speed2 * far * (to - from));
        };
        double s = low;
        if (s == 0) {
            const double end = std::min(high, piece(0)), scale = std::pow(end, power_.p);
            const RadialRule& rule = radial_[rule_on(0, end)];
            for (int j = 0; j < rule.size; ++j) add(end * rule.node[j], scale * rule.weight[j]);
            s = end;
        }
        while (s < high) {
            const double end = std::min({high, s + piece(s), s * (1 + std::min(1.0, 8 / power_.p))});
            const GaussRule& nodes = power_.rule[Power::rules - 1];
            for (int j = 0; j < nodes.size; ++j) {
                const double at = s + nodes.node[j] * (end - s);
                add(at, nodes.weight[j] * (end - s) * std::pow(at, power_.p - 1));
            }
            s = end;
        }
    }

    void segment(const Side& side, double from, double to, int depth, FacetMoments& sum) const {
        const double za = norm(side.z(from)), zb = norm(side.z(to)), half = 0.25 * std::abs(za * za - zb * zb);
        const double speed = norm(side.along), bow = 0.25 * (to - from) * (to - from) * speed * speed;
        if (std::min(za, zb) - (to - from) * speed > 39) return;  // nothing in float64
        const int k = rule(side, from, to, half + bow);
        if (k < 0 && depth < deepest) {
            const double middle = 0.5 * (from + to);
            segment(side, from, middle, depth + 1, sum);
            segment(side, middle, to, depth + 1, sum);
            return;
        }
        const GaussRule& nodes = power_.rule[k < 0 ? Power::rules - 1 : k];
        for (int j = 0; j < nodes.size; ++j) {
            const double t = from + nodes.node[j] * (to - from), r2 = side.height * side.height + t * t;
            const double z = norm(side.z(t)), rho = std::exp(side.g.height - 0.5 * z * z);
            const double factor = r2 > 0 ? std::pow(r2, 0.5 * (power_.p - 2)) : 0.0;
            sum.add_point(side.at(t), nodes.weight[j] * (to - from) * rho * factor);
        }
    }

    static constexpr int deepest = 60;
    const Gaussians& all_;
    const Power& power_;
    std::vector<RadialRule> radial_;  // of the sizes of the others
    double seen_;                     // standard deviations along a ray
};

}  // namespace
}  // namespace deblai::powers
