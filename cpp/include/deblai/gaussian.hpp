// Integrals of a mixture of Gaussians over convex polygons and along segments, to rounding. With x = mean + L z and phi
// the standard normal density of z:
//   where the density varies little over the polygon, Gauss rules on a fan of triangles: every term is positive, so
//   that small and far cells keep their relative precision; elsewhere the divergence theorem, with X the way from the
//   mean to the polygon and Q the upper tail,
//     int phi = -oint Q(X) phi(Y) dY,  int z phi = -oint phi n ds,  int z z^T phi = I int phi - oint z n^T phi ds,
//   by Gauss rules along the edges, whose terms decay as the density does.
#pragma once

#include "deblai/facet.hpp"
#include "deblai/quadrature.hpp"

namespace deblai {

struct Gaussian {
    double mass;        // of the whole plane
    double mx, my;      // mean
    double xx, yx, yy;  // L: x = mx + xx zx, y = my + yx zx + yy zy
    double height;      // log of the density at the mean

    DEBLAI_HD double scale() const { return mass / (2 * M_PI * xx * yy); }
    DEBLAI_HD Point whitened(double dx, double dy) const {
        const double zx = dx / xx;
        return {zx, (dy - yx * zx) / yy};
    }
};

struct Gaussians {
    const Gaussian* component = nullptr;
    int count = 0;
};

namespace detail {

// Of the logarithm of a density over a set.
struct Bounds {
    double low, high;
};

// Over the convex hull of points, relative to (-ox, -oy) of a component's mean.
DEBLAI_HD Bounds log_density(const Gaussian& g, const double* x, const double* y, int size, double ox, double oy) {
    const Point first = g.whitened(x[0] + ox, y[0] + oy);
    double reach2 = 0;
    for (int k = 1; k < size; ++k) {
        const Point p = g.whitened(x[k] - x[0], y[k] - y[0]);
        reach2 = fmax(reach2, p.x * p.x + p.y * p.y);
    }
    const double at = sqrt(first.x * first.x + first.y * first.y), reach = sqrt(reach2);
    const double near = at > reach ? at - reach : 0.0, far = at + reach;
    return {g.height - 0.5 * far * far, g.height - 0.5 * near * near};
}

// What a component must reach in a set to count beside the others there: 3e-20 of what one of them has everywhere.
DEBLAI_HD double log_floor(const Gaussians& g, const double* x, const double* y, int size, double sx, double sy) {
    double floor = -HUGE_VAL;
    for (int c = 0; g.count > 1 && c < g.count; ++c)
        floor =
            fmax(floor, log_density(g.component[c], x, y, size, sx - g.component[c].mx, sy - g.component[c].my).low);
    return floor - 45;
}

inline constexpr double never_seen = 84;    // in |z|^2 beyond the nearest point: a factor of 6e-19
inline constexpr double no_tail = 9.2;      // Q is below 2e-20
inline constexpr double close_by = 1e-3;    // of a mean to a polygon
inline constexpr double even_enough = 2;    // half variations of the exponent over a polygon that a fan takes
inline constexpr double longest_piece = 2;  // of an edge

struct Span {
    double begin, end;
};

// Where a line at |z|^2 = h2 + (t - foot)^2 has |z|^2 <= most2, within (0, length).
DEBLAI_HD Span seen(double foot, double h2, double most2, double length) {
    if (!(h2 < most2)) return {0, 0};
    const double w = sqrt(most2 - h2), from = foot - w, to = foot + w;
    return {from > 0 ? from : 0.0, to < length ? to : length};
}

// Calls use(t, weight) at the nodes of Gauss rules on pieces of a span along which the exponent has slopes up to
// `slope`.
template <class Use>
DEBLAI_HD void along_span(Span s, double slope, const Use& use) {
    const double length = s.end - s.begin;
    if (!(length > 0)) return;
    const double most = slope * longest_piece > 2 * gauss_most ? 2 * gauss_most / slope : longest_piece;
    const double pieces = ceil(length / most), step = length / pieces;
    const GaussRule rule = gauss_rule(0.5 * slope * step);
    for (int piece = 0; piece < static_cast<int>(pieces); ++piece)
        for (int k = 0; k < rule.size; ++k) use(s.begin + step * (piece + rule.node[k]), step * rule.weight[k]);
}

// Moments of the standard normal density.
struct NormalMoments {
    double mass = 0, x = 0, y = 0, xx = 0, xy = 0, yy = 0;
};

struct Nearest {
    double distance2, x, y;
};

// The point of a counter-clockwise polygon that is nearest to the origin; the origin itself where it is inside.
DEBLAI_HD Nearest nearest(const Ring& p) {
    Nearest best{HUGE_VAL, 0, 0};
    bool inside = true;
    for (int k = 0; k < p.size; ++k) {
        const int l = k + 1 < p.size ? k + 1 : 0;
        const double ex = p.x[l] - p.x[k], ey = p.y[l] - p.y[k], length2 = ex * ex + ey * ey;
        inside = inside && p.x[k] * p.y[l] - p.y[k] * p.x[l] >= 0;
        double t = length2 > 0 ? -(p.x[k] * ex + p.y[k] * ey) / length2 : 0;
        t = t < 0 ? 0 : t > 1 ? 1 : t;
        const double x = p.x[k] + t * ex, y = p.y[k] + t * ey, d2 = x * x + y * y;
        if (d2 < best.distance2) best = {d2, x, y};
    }
    return inside ? Nearest{0, 0, 0} : best;
}

// Over a polygon, by integrals along its edges.
DEBLAI_HD NormalMoments around(const Ring& p) {
    NormalMoments m;
    const Nearest near = nearest(p);
    const double d = sqrt(near.distance2);
    const bool apart = d > close_by;
    const double ux = apart ? near.x / d : 1.0, uy = apart ? near.y / d : 0.0;
    for (int k = 0; k < p.size; ++k) {
        const int l = k + 1 < p.size ? k + 1 : 0;
        const double ax = ux * p.x[k] + uy * p.y[k], ay = ux * p.y[k] - uy * p.x[k];
        const double bx = ux * p.x[l] + uy * p.y[l], by = ux * p.y[l] - uy * p.x[l];
        const double length = sqrt((bx - ax) * (bx - ax) + (by - ay) * (by - ay));
        if (!(length > 0)) continue;
        const double tx = (bx - ax) / length, ty = (by - ay) / length, foot = -(ax * tx + ay * ty);
        const double cross = ax * ty - ay * tx;
        Span span;
        double slope;
        if (apart) {
            const double most2 = near.distance2 + never_seen;
            span = seen(foot, cross * cross, most2, length);
            slope = sqrt(most2);
        } else {  // the tail is 1 far to the left
            span = ty != 0 ? seen(-ay / ty, 0, no_tail * no_tail / (ty * ty), length)
                           : Span{0, fabs(ay) < no_tail ? length : 0.0};
            const Span left = tx != 0 ? Span{(no_tail - ax) / tx, 0} : Span{HUGE_VAL, 0};
            if (tx > 0 && left.begin < span.end) span.end = left.begin;
            if (tx < 0 && left.begin > span.begin) span.begin = left.begin;
            if (tx == 0 && ax > no_tail) span.end = span.begin;
            slope = no_tail;
        }
        const double farthest = fmax(fabs(ax), fabs(bx)) + fmax(fabs(ay), fabs(by));
        along_span(span, farthest < slope ? farthest : slope, [&](double t, double weight) {
            const double x = ax + t * tx, y = ay + t * ty;
            const double phi_y = M_SQRT1_2 * M_2_SQRTPI / 2 * exp(-0.5 * y * y);
            const double density = weight * phi_y * M_SQRT1_2 * M_2_SQRTPI / 2 * exp(-0.5 * x * x);
            m.mass -= weight * ty * 0.5 * erfc(M_SQRT1_2 * x) * phi_y;
            m.x -= ty * density;
            m.y += tx * density;
            m.xx -= ty * x * density;
            m.xy += tx * x * density;
            m.yy += tx * y * density;
        });
    }
    m.xx += m.mass;
    m.yy += m.mass;
    return {m.mass,
            ux * m.x - uy * m.y,
            uy * m.x + ux * m.y,
            ux * ux * m.xx - 2 * ux * uy * m.xy + uy * uy * m.yy,
            ux * uy * (m.xx - m.yy) + (ux * ux - uy * uy) * m.xy,
            uy * uy * m.xx + 2 * ux * uy * m.xy + ux * ux * m.yy};
}

}  // namespace detail

// Moments over the polygon, around the site at (sx, sy), to which the vertices are relative. `ring` has room for them.
class GaussianIntegral {
public:
    DEBLAI_HD GaussianIntegral(const Gaussians& g, double sx, double sy, const Ring& ring)
        : g_(g), sx_(sx), sy_(sy), ring_(ring) {}

    DEBLAI_HD Moments over(const double* x, const double* y, int size) const {
        Moments sum;
        if (size < 3) return sum;
        const double floor = detail::log_floor(g_, x, y, size, sx_, sy_);
        for (int c = 0; c < g_.count; ++c) {
            const Gaussian& g = g_.component[c];
            if (g_.count == 1 || detail::log_density(g, x, y, size, sx_ - g.mx, sy_ - g.my).high > floor)
                add(g, x, y, size, sum);
        }
        return sum;
    }

private:
    DEBLAI_HD void add(const Gaussian& g, const double* x, const double* y, int size, Moments& sum) const {
        Ring z = ring_;
        z.size = 0;
        const double ox = sx_ - g.mx, oy = sy_ - g.my;
        double most2 = 0, reach2 = 0;
        for (int k = 0; k < size; ++k) {
            const Point p = g.whitened(x[k] + ox, y[k] + oy);
            z.push(p.x, p.y);
            const int before = k > 0 ? k - 1 : 0;
            const double ex = p.x - z.x[0], ey = p.y - z.y[0], fx = p.x - z.x[before], fy = p.y - z.y[before];
            most2 = fmax(most2, p.x * p.x + p.y * p.y);
            reach2 = fmax(reach2, fmax(ex * ex + ey * ey, fx * fx + fy * fy));
        }
        const double half_variation = 0.5 * sqrt(most2 * reach2);
        if (half_variation <= detail::even_enough)
            fan(g, x, y, z, gauss_rule(half_variation), sum);
        else
            edges(g, detail::around(z), ox, oy, sum);
    }

    DEBLAI_HD void fan(const Gaussian& g, const double* x, const double* y, const Ring& z, const GaussRule& rule,
                       Moments& sum) const {
        Moments all;  // around the first vertex
        for (int k = 1; k + 1 < z.size; ++k) {
            const double px = x[k] - x[0], py = y[k] - y[0], qx = x[k + 1] - x[0], qy = y[k + 1] - y[0];
            const double zpx = z.x[k] - z.x[0], zpy = z.y[k] - z.y[0];
            const double zqx = z.x[k + 1] - z.x[0], zqy = z.y[k + 1] - z.y[0];
            const double twice = px * qy - py * qx;
            for (int j = 0; j < rule.size; ++j) {
                const double t = rule.node[j];
                const double vx = px + t * (qx - px), vy = py + t * (qy - py);
                const double wx = zpx + t * (zqx - zpx), wy = zpy + t * (zqy - zpy);
                const double b = z.x[0] * wx + z.y[0] * wy, c = 0.5 * (wx * wx + wy * wy);
                double m0 = 0, m1 = 0, m2 = 0;
                for (int i = 0; i < rule.size; ++i) {
                    const double s = rule.node[i], f = rule.weight[i] * s * exp(-s * (b + s * c));
                    m0 += f;
                    m1 += f * s;
                    m2 += f * s * s;
                }
                all.add({m0, m1 * vx, m1 * vy, m2 * (vx * vx + vy * vy)}, twice * rule.weight[j]);
            }
        }
        const double peak = g.scale() * exp(-0.5 * (z.x[0] * z.x[0] + z.y[0] * z.y[0]));
        sum.add(all.shifted(x[0], y[0]), peak);
    }

    DEBLAI_HD void edges(const Gaussian& g, const detail::NormalMoments& m, double ox, double oy, Moments& sum) const {
        // x - site = L z - o
        const double lx = g.xx * m.x, ly = g.yx * m.x + g.yy * m.y;
        const double second = (g.xx * g.xx + g.yx * g.yx) * m.xx + 2 * g.yx * g.yy * m.xy + g.yy * g.yy * m.yy;
        sum.add(Moments{m.mass, lx, ly, second}.shifted(-ox, -oy), g.mass);
    }

    const Gaussians& g_;
    double sx_, sy_;
    Ring ring_;
};

class GaussianFacet {
public:
    DEBLAI_HD GaussianFacet(const Gaussians& g, double sx, double sy) : g_(g), sx_(sx), sy_(sy) {}

    DEBLAI_HD FacetMoments along(Point a, Point b) const {
        FacetMoments sum;
        const double dx = b.x - a.x, dy = b.y - a.y, length = sqrt(dx * dx + dy * dy);
        if (!(length > 0)) return sum;
        const double ends_x[2] = {a.x, b.x}, ends_y[2] = {a.y, b.y};
        const double floor = detail::log_floor(g_, ends_x, ends_y, 2, sx_, sy_);
        for (int c = 0; c < g_.count; ++c) {
            const Gaussian& g = g_.component[c];
            if (g_.count > 1 && !(detail::log_density(g, ends_x, ends_y, 2, sx_ - g.mx, sy_ - g.my).high > floor))
                continue;
            const Point p = g.whitened(a.x + sx_ - g.mx, a.y + sy_ - g.my);
            const Point q = g.whitened(b.x + sx_ - g.mx, b.y + sy_ - g.my);
            const double ex = q.x - p.x, ey = q.y - p.y, e = sqrt(ex * ex + ey * ey);
            const double foot = -(p.x * ex + p.y * ey) / e, cross = (p.x * ey - p.y * ex) / e;
            const double from = foot < 0 ? foot : foot > e ? foot - e : 0.0;  // to the nearest point
            const double h2 = cross * cross, most2 = h2 + from * from + detail::never_seen;
            const double farthest = sqrt(fmax(p.x * p.x + p.y * p.y, q.x * q.x + q.y * q.y)), seen = sqrt(most2);
            const double density = g.scale() * length / e;
            detail::along_span(detail::seen(foot, h2, most2, e), fmin(farthest, seen), [&](double t, double weight) {
                const double s = t / e, zx = p.x + s * ex, zy = p.y + s * ey;
                sum.add_point({a.x + s * dx, a.y + s * dy}, density * weight * exp(-0.5 * (zx * zx + zy * zy)));
            });
        }
        return sum;
    }

private:
    const Gaussians& g_;
    double sx_, sy_;
};

}  // namespace deblai
