// Convex polygons of the plane, for the host, each instruction set and the GPU: cutting by a bisector, moments, and
// integrals of a density that is constant on pixels. Coordinates are relative to a site, vertices counter-clockwise.
//   the side of j beyond the bisector of sites i and j = i + D:  v.D > h,  h = (|D|^2 + psi_i - psi_j) / 2
#pragma once

#include <cmath>

#include "deblai/hd.hpp"

namespace deblai {

struct Bisector {
    double dx, dy, h;

    DEBLAI_HD static Bisector of(double dx, double dy, double psi_i, double psi_j) {
        return {dx, dy, 0.5 * (dx * dx + dy * dy + (psi_i - psi_j))};
    }
    // Rounding of v.D - h for |v| <= radius. What is beyond by less is not, so that lattices get no slivers.
    DEBLAI_HD double tolerance(double radius) const { return 2e-15 * (radius * (fabs(dx) + fabs(dy)) + fabs(h)); }
};

// label(k) says what lies across the edge from vertex k to vertex k + 1.
template <class Label>
struct Polygon {
    double *x, *y;
    Label* label;
    int size, capacity;

    DEBLAI_HD int next(int k) const { return k + 1 < size ? k + 1 : 0; }
    DEBLAI_HD int previous(int k) const { return k > 0 ? k - 1 : size - 1; }
    DEBLAI_HD void move(int to, int from) const {
        x[to] = x[from];
        y[to] = y[from];
        label[to] = label[from];
    }
};

struct Point {
    double x, y;
};

// Where the segment from a vertex with s = inside <= tolerance to one with s = outside > tolerance has s = 0.
DEBLAI_HD Point crossing(double xi, double yi, double inside, double xo, double yo, double outside) {
    const double s = inside < 0 ? inside : 0.0, t = s / (s - outside);
    return {xi + t * (xo - xi), yi + t * (yo - yi)};
}

// The run of vertices to cut off: those from `first` on, `count` of them.
struct Run {
    int first, count;
};

// Around the vertex that is farthest beyond; rounding alone can leave others, they stay.
template <class Label>
DEBLAI_HD Run run_beyond(const Polygon<Label>& p, const double* s, double tolerance) {
    int worst = 0;
    for (int k = 1; k < p.size; ++k)
        if (s[k] > s[worst]) worst = k;
    if (!(s[worst] > tolerance)) return {0, 0};
    Run run{worst, 1};
    for (int k = p.next(worst); k != worst && s[k] > tolerance; k = p.next(k)) ++run.count;
    for (int k = p.previous(worst); run.count < p.size && s[k] > tolerance; k = p.previous(k))
        run.first = k, ++run.count;
    return run;
}

// Cuts off what has s = v.D - h > tolerance; s(k) at the vertices. False, and nothing done, where capacity is short.
// Vertices on the line are kept once. A polygon without inner points ends with size 0.
template <class Label>
DEBLAI_HD bool cut(Polygon<Label>& p, const double* s, double tolerance, Label label) {
    const Run run = run_beyond(p, s, tolerance);
    const int m = p.size, kept = m - run.count;
    if (run.count == 0) return true;
    if (kept == 0) return p.size = 0, true;
    const int a = run.first, before = p.previous(a), last = (a + run.count - 1) % m, after = p.next(last);
    const bool on_before = s[before] >= -tolerance, on_after = s[after] >= -tolerance;
    const int size = kept + !on_before + !on_after;
    if (size < 3) return p.size = 0, true;
    if (size > p.capacity) return false;
    const Point in = crossing(p.x[before], p.y[before], s[before], p.x[a], p.y[a], s[a]);
    const Point out = crossing(p.x[after], p.y[after], s[after], p.x[last], p.y[last], s[last]);
    const Label beyond = p.label[last];
    int at;                // of the new edge's first vertex
    if (after > before) {  // the new edge comes between two kept pieces
        at = before + !on_before;
        const int shift = size - m;
        if (shift > 0)
            for (int k = m - 1; k >= after; --k) p.move(k + shift, k);
        if (shift < 0)
            for (int k = after; k < m; ++k) p.move(k + shift, k);
    } else {
        at = kept - 1 + !on_before;
        if (after > 0)
            for (int k = after; k <= before; ++k) p.move(k - after, k);
    }
    if (!on_before) {
        p.x[at] = in.x;
        p.y[at] = in.y;
    }
    p.label[at] = label;
    if (!on_after) {
        p.x[at + 1] = out.x;
        p.y[at + 1] = out.y;
        p.label[at + 1] = beyond;
    }
    p.size = size;
    return true;
}

// int 1, int v and int |v|^2 over a set; moments add up, and move to another origin.
struct Moments {
    double mass = 0, x = 0, y = 0, second = 0;

    DEBLAI_HD void add(const Moments& m, double density = 1.0) {
        mass += density * m.mass;
        x += density * m.x;
        y += density * m.y;
        second += density * m.second;
    }
    // As seen from `-origin`: every v becomes v + origin.
    DEBLAI_HD Moments shifted(double ox, double oy) const {
        return {mass, x + mass * ox, y + mass * oy, second + 2 * (x * ox + y * oy) + mass * (ox * ox + oy * oy)};
    }
};

// A fan from the first vertex: triangles 0, p, q with area a = p x q / 2 have the moments
// a, a (p + q) / 3, a (|p|^2 + |q|^2 + p.q) / 6.
DEBLAI_HD Moments moments(const double* x, const double* y, int size) {
    Moments sum;
    for (int k = 1; k + 1 < size; ++k) {
        const double px = x[k] - x[0], py = y[k] - y[0], qx = x[k + 1] - x[0], qy = y[k + 1] - y[0];
        const double a = 0.5 * (px * qy - py * qx);
        sum.add({1, (px + qx) / 3, (py + qy) / 3, (px * (px + qx) + py * (py + qy) + qx * qx + qy * qy) / 6}, a);
    }
    return size < 3 ? Moments{} : sum.shifted(x[0], y[0]);
}

// The parts of a polygon on both sides of the line where coordinate `axis` is c; either may have no inner points.
struct Ring {
    double *x, *y;
    int size = 0;

    DEBLAI_HD void push(double px, double py) {
        x[size] = px;
        y[size++] = py;
    }
    DEBLAI_HD const double* coordinate(int axis) const { return axis == 0 ? x : y; }
};

DEBLAI_HD void split(const Ring& from, int axis, double c, Ring& below, Ring& above) {
    below.size = above.size = 0;
    const double* const at = from.coordinate(axis);
    for (int k = 0; k < from.size; ++k) {
        const int l = k + 1 < from.size ? k + 1 : 0;
        const double s = at[k] - c, t = at[l] - c;
        if (s <= 0) below.push(from.x[k], from.y[k]);
        if (s >= 0) above.push(from.x[k], from.y[k]);
        if ((s < 0 && t > 0) || (s > 0 && t < 0)) {
            const double u = s / (s - t);
            const double px = axis == 0 ? c : from.x[k] + u * (from.x[l] - from.x[k]);
            const double py = axis == 1 ? c : from.y[k] + u * (from.y[l] - from.y[k]);
            below.push(px, py);
            above.push(px, py);
        }
    }
}

struct Interval {
    double low, high;
};

DEBLAI_HD Interval extent(const double* v, int size) {
    Interval e{v[0], v[0]};
    for (int k = 1; k < size; ++k) {
        e.low = v[k] < e.low ? v[k] : e.low;
        e.high = v[k] > e.high ? v[k] : e.high;
    }
    return e;
}
}  // namespace deblai
