// Integrals along a segment of a density that is constant on the pixels of a grid, pixel by pixel, for the host and the
// GPU: int drho ds, int v drho ds and int v v^T drho ds with v relative to a site. Work: the pixels crossed.
#pragma once

#include "deblai/pixels.hpp"

namespace deblai {

struct FacetMoments {
    double mass = 0, x = 0, y = 0, xx = 0, xy = 0, yy = 0;

    // A piece from a to b of constant density: exact for polynomials of degree two.
    DEBLAI_HD void add(Point a, Point b, double length, double density) {
        const double m = density * length, x0 = a.x, x1 = b.x, y0 = a.y, y1 = b.y;
        mass += m;
        x += 0.5 * m * (x0 + x1);
        y += 0.5 * m * (y0 + y1);
        xx += m * (x0 * x0 + x0 * x1 + x1 * x1) / 3;
        yy += m * (y0 * y0 + y0 * y1 + y1 * y1) / 3;
        xy += m * (2 * (x0 * y0 + x1 * y1) + x0 * y1 + x1 * y0) / 6;
    }
    // A point mass.
    DEBLAI_HD void add_point(Point v, double m) {
        mass += m;
        x += m * v.x;
        y += m * v.y;
        xx += m * v.x * v.x;
        xy += m * v.x * v.y;
        yy += m * v.y * v.y;
    }
};

class PixelFacet {
public:
    DEBLAI_HD PixelFacet(const Pixels& pixels, double sx, double sy)
        : p_(pixels), ox_(pixels.lower_x - sx), oy_(pixels.lower_y - sy) {}

    DEBLAI_HD FacetMoments along(Point a, Point b) const {
        FacetMoments sum;
        pieces(a, b, [&](Point from, Point to, double length, double density) { sum.add(from, to, length, density); });
        return sum;
    }

    // Calls use(from, to, length, density) for each piece of constant density.
    template <class Use>
    DEBLAI_HD void pieces(Point a, Point b, const Use& use) const {
        const double dx = b.x - a.x, dy = b.y - a.y, length = sqrt(dx * dx + dy * dy);
        if (!(length > 0)) return;
        if (!p_.density) return use(a, b, length, p_.uniform);
        Crossings columns(a.x - ox_, dx, p_.width), rows(a.y - oy_, dy, p_.height);
        double t = 0;
        Point from = a;
        while (t < 1) {
            const double u = columns.next(), v = rows.next(), to = fmin(fmin(u, v), 1.0);
            if (to > t) {
                const Point end = to < 1 ? Point{a.x + to * dx, a.y + to * dy} : b;
                use(from, end, (to - t) * length, density(0.5 * (from.x + end.x), 0.5 * (from.y + end.y)));
                from = end;
                t = to;
            }
            if (u <= to) columns.step();
            if (v <= to) rows.step();
        }
    }

private:
    // Where a segment that starts at `at` meets the lines of a grid of one coordinate, as a share of the segment.
    class Crossings {
    public:
        DEBLAI_HD Crossings(double at, double way, double step)
            : at_(at), way_(way), step_(step), line_(way > 0 ? floor(at / step) + 1 : ceil(at / step) - 1) {}
        DEBLAI_HD double next() const { return way_ == 0 ? HUGE_VAL : (line_ * step_ - at_) / way_; }
        DEBLAI_HD void step() { line_ += way_ > 0 ? 1 : -1; }

    private:
        double at_, way_, step_, line_;
    };

    // One pixel, or two equal halves of a point on the line between them.
    struct Place {
        index_t low, high;
    };
    DEBLAI_HD Place place(double at, double step, index_t count) const {
        constexpr double on_line = 1e-12;
        const double u = at / step, line = floor(u + 0.5), slack = on_line * (1 + fabs(u));
        const double low = fabs(u - line) <= slack ? line - 1 : floor(u), high = fabs(u - line) <= slack ? line : low;
        const index_t i = static_cast<index_t>(low), j = static_cast<index_t>(high), most = count - 1;
        if (p_.periodic) return {detail::wrapped(i, count), detail::wrapped(j, count)};
        return {i < 0 ? 0 : i > most ? most : i, j < 0 ? 0 : j > most ? most : j};
    }
    DEBLAI_HD double density(double x, double y) const {
        const Place i = place(x - ox_, p_.width, p_.nx), j = place(y - oy_, p_.height, p_.ny);
        const double* const low = p_.density + j.low * p_.nx;
        const double* const high = p_.density + j.high * p_.nx;
        return 0.25 * (low[i.low] + low[i.high] + high[i.low] + high[i.high]);
    }

    const Pixels& p_;
    double ox_, oy_;
};

}  // namespace deblai
