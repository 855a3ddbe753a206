// Integrals of a continuous density that is linear on the triangles of a mesh, over convex polygons and along segments:
// the polygon is cut by every triangle that it meets, found in a tree of boxes, and the moments of the pieces are
// exact,
//   int l_i l_j l_k = A / 60 (1 + [i = j] + [j = k] + [k = i] + 2 [i = j = k]) for barycentric coordinates l.
#pragma once

#include <cstdint>

#include "deblai/facet.hpp"

namespace deblai {

// Counter-clockwise, with the density at its corners.
struct MeshTriangle {
    double x[3], y[3], value[3];
};

struct MeshBox {
    double low_x, high_x, low_y, high_y;
};

// Level 0 has the boxes of the triangles, in an order along a curve; box b of the next one holds boxes 4 b .. 4 b + 3.
struct Mesh {
    static constexpr int fan = 4, max_levels = 17;

    const MeshTriangle* triangle = nullptr;
    const MeshBox* box = nullptr;
    index_t level[max_levels + 1] = {};  // first box of each, and the end
    int levels = 0;
};

namespace detail {

// Is a convex set, polygon or segment, apart from a box, as far as their axes and the polygon's edges tell?
struct MeshQuery {
    const double *x, *y;
    int size;
    MeshBox own;
    double slack;  // of rounded coordinates

    DEBLAI_HD bool apart(const MeshBox& b) const {
        if (b.low_x > own.high_x || b.high_x < own.low_x || b.low_y > own.high_y || b.high_y < own.low_y) return true;
        for (int k = 0; k < size; ++k) {
            const int l = k + 1 < size ? k + 1 : 0;
            const double nx = y[l] - y[k], ny = x[k] - x[l];  // outward
            const double px = nx > 0 ? b.low_x : b.high_x, py = ny > 0 ? b.low_y : b.high_y;
            if (nx * (px - x[k]) + ny * (py - y[k]) > slack * (fabs(nx) + fabs(ny))) return true;
        }
        return false;
    }
};

// Calls use(triangle) for those whose boxes a polygon or segment meets. Coordinates are relative to (sx, sy).
template <class Use>
DEBLAI_HD void each_triangle(const Mesh& mesh, const double* x, const double* y, int size, double sx, double sy,
                             const Use& use) {
    const Interval ex = extent(x, size), ey = extent(y, size);
    const double slack = 1e-13 * (fabs(sx) + fabs(sy) + (ex.high - ex.low) + (ey.high - ey.low));
    const MeshQuery query{x, y, size, {ex.low - slack, ex.high + slack, ey.low - slack, ey.high + slack}, slack};
    struct Visit {
        index_t at;
        int level;
    } stack[Mesh::max_levels * (Mesh::fan - 1) + Mesh::fan];
    int depth = 0;
    stack[depth++] = {0, mesh.levels - 1};
    while (depth > 0) {
        const Visit v = stack[--depth];
        const MeshBox& b = mesh.box[mesh.level[v.level] + v.at];
        if (query.apart({b.low_x - sx, b.high_x - sx, b.low_y - sy, b.high_y - sy})) continue;
        if (v.level == 0) {
            use(mesh.triangle[v.at]);
            continue;
        }
        const index_t below = mesh.level[v.level] - mesh.level[v.level - 1];
        for (int k = Mesh::fan - 1; k >= 0; --k)
            if (Mesh::fan * v.at + k < below) stack[depth++] = {Mesh::fan * v.at + k, v.level - 1};
    }
}

// The part of a polygon on the left of the line from a to b; `from` itself where it is all there.
DEBLAI_HD const Ring& left_of(const Ring& from, Point a, Point b, Ring& to) {
    const double nx = b.y - a.y, ny = a.x - b.x;
    const auto beyond = [&](int k) { return nx * (from.x[k] - a.x) + ny * (from.y[k] - a.y); };
    bool all = true;
    for (int k = 0; k < from.size; ++k) all = all && beyond(k) <= 0;
    if (all) return from;
    to.size = 0;
    for (int k = 0; k < from.size; ++k) {
        const int l = k + 1 < from.size ? k + 1 : 0;
        const double s = beyond(k), t = beyond(l);
        if (s <= 0) to.push(from.x[k], from.y[k]);
        if ((s < 0 && t > 0) || (s > 0 && t < 0)) {
            const double u = s / (s - t);
            to.push(from.x[k] + u * (from.x[l] - from.x[k]), from.y[k] + u * (from.y[l] - from.y[k]));
        }
    }
    return to;
}

// The density of a triangle as a function of v.
struct Plane {
    double x, y, value, slope_x, slope_y;

    DEBLAI_HD Plane(const MeshTriangle& t, double sx, double sy) : x(t.x[0] - sx), y(t.y[0] - sy), value(t.value[0]) {
        const double px = t.x[1] - t.x[0], py = t.y[1] - t.y[0], qx = t.x[2] - t.x[0], qy = t.y[2] - t.y[0];
        const double p = t.value[1] - value, q = t.value[2] - value, det = px * qy - py * qx;
        slope_x = (p * qy - q * py) / det;
        slope_y = (q * px - p * qx) / det;
    }
    DEBLAI_HD double at(double vx, double vy) const {
        const double r = value + slope_x * (vx - x) + slope_y * (vy - y);
        return r > 0 ? r : 0.0;
    }
};

// Adds a fan from the first vertex, in coordinates relative to it.
DEBLAI_HD void add_linear(const Ring& p, const Plane& density, Moments& sum) {
    if (p.size < 3) return;
    Moments all;
    const double r0 = density.at(p.x[0], p.y[0]);
    double px = p.x[1] - p.x[0], py = p.y[1] - p.y[0], r1 = density.at(p.x[1], p.y[1]);
    for (int k = 2; k < p.size; ++k) {
        const double qx = p.x[k] - p.x[0], qy = p.y[k] - p.y[0], r2 = density.at(p.x[k], p.y[k]);
        const double area = 0.5 * (px * qy - py * qx), r = r0 + r1 + r2, x = px + qx, y = py + qy;
        const double p2 = px * px + py * py, q2 = qx * qx + qy * qy, s2 = x * x + y * y;
        const double second = r * (s2 + p2 + q2) + 2 * r1 * (px * x + py * y + p2) + 2 * r2 * (qx * x + qy * y + q2);
        all.add({r / 3, (r * x + r1 * px + r2 * qx) / 12, (r * y + r1 * py + r2 * qy) / 12, second / 60}, area);
        px = qx, py = qy, r1 = r2;
    }
    sum.add(all.shifted(p.x[0], p.y[0]));
}

}  // namespace detail

// Moments over the polygon, around the site at (sx, sy), to which the vertices are relative.
class MeshIntegral {
public:
    DEBLAI_HD MeshIntegral(const Mesh& mesh, double sx, double sy, const PixelScratch& scratch)
        : mesh_(mesh), sx_(sx), sy_(sy), scratch_(scratch) {}

    DEBLAI_HD Moments over(const double* x, const double* y, int size) const {
        Moments sum;
        parts(x, y, size,
              [&](const Ring& part, const detail::Plane& density) { detail::add_linear(part, density, sum); });
        return sum;
    }

    // Calls use(part, density) for the part of the polygon in each triangle.
    template <class Use>
    DEBLAI_HD void parts(const double* x, const double* y, int size, const Use& use) const {
        if (size < 3) return;
        Ring whole = scratch_.ring(0), one = scratch_.ring(1), other = scratch_.ring(2);
        for (int k = 0; k < size; ++k) whole.push(x[k], y[k]);
        detail::each_triangle(mesh_, x, y, size, sx_, sy_, [&](const MeshTriangle& t) {
            const Ring* part = &whole;
            for (int k = 0; k < 3 && part->size > 0; ++k) {
                const int l = k < 2 ? k + 1 : 0;
                Ring& to = part == &one ? other : one;
                part = &detail::left_of(*part, {t.x[k] - sx_, t.y[k] - sy_}, {t.x[l] - sx_, t.y[l] - sy_}, to);
            }
            if (part->size > 2) use(*part, detail::Plane(t, sx_, sy_));
        });
    }

private:
    const Mesh& mesh_;
    double sx_, sy_;
    PixelScratch scratch_;
};

// A segment along an edge of a triangle counts half for it: the mean of both sides.
class MeshFacet {
public:
    DEBLAI_HD MeshFacet(const Mesh& mesh, double sx, double sy) : mesh_(mesh), sx_(sx), sy_(sy) {}

    DEBLAI_HD FacetMoments along(Point a, Point b) const {
        FacetMoments sum;
        const double dx = b.x - a.x, dy = b.y - a.y, length = sqrt(dx * dx + dy * dy);
        constexpr double off = 0.28867513459481288;  // of Gauss's two points from the middle: exact to degree 3
        shares(a, b, [&](double from, double to, double share, const detail::Plane& density) {
            for (int side = -1; side <= 1; side += 2) {
                const double s = 0.5 * (from + to) + side * off * (to - from);
                const Point v{a.x + s * dx, a.y + s * dy};
                sum.add_point(v, share * 0.5 * (to - from) * length * density.at(v.x, v.y));
            }
        });
        return sum;
    }

    // Calls use(from, to, share, density) for the piece in each triangle.
    template <class Use>
    DEBLAI_HD void pieces(Point a, Point b, const Use& use) const {
        const auto at = [&](double s) { return Point{a.x + s * (b.x - a.x), a.y + s * (b.y - a.y)}; };
        shares(a, b, [&](double from, double to, double share, const detail::Plane& density) {
            use(at(from), at(to), share, density);
        });
    }

private:
    // The same, with the ends of the pieces as shares of the segment.
    template <class Use>
    DEBLAI_HD void shares(Point a, Point b, const Use& use) const {
        const double dx = b.x - a.x, dy = b.y - a.y, length = sqrt(dx * dx + dy * dy);
        if (!(length > 0)) return;
        const double x[2] = {a.x, b.x}, y[2] = {a.y, b.y};
        const double slack = 1e-13 * (fabs(sx_) + fabs(sy_) + fabs(a.x) + fabs(a.y) + length);
        detail::each_triangle(mesh_, x, y, 2, sx_, sy_, [&](const MeshTriangle& t) {
            double from = 0, to = 1, share = 1;
            for (int k = 0; k < 3; ++k) {
                const int l = k < 2 ? k + 1 : 0;
                const double ex = t.x[l] - t.x[k], ey = t.y[l] - t.y[k], e = sqrt(ex * ex + ey * ey);
                const double px = t.x[k] - sx_, py = t.y[k] - sy_;
                const double s = (ey * (a.x - px) - ex * (a.y - py)) / e, u = (ey * (b.x - px) - ex * (b.y - py)) / e;
                if (fabs(s) <= slack && fabs(u) <= slack)
                    share = 0.5;
                else if (s > 0 && u > 0)
                    return;
                else if (s > 0)
                    from = fmax(from, s / (s - u));
                else if (u > 0)
                    to = fmin(to, s / (s - u));
            }
            if (from < to) use(from, to, share, detail::Plane(t, sx_, sy_));
        });
    }

    const Mesh& mesh_;
    double sx_, sy_;
};

}  // namespace deblai
