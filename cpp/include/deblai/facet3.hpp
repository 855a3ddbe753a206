// Integrals over a convex polygon in space, coordinates relative to a site: int drho dA, int v drho dA and
// int v v^T drho dA. Those over a polyhedron: Moments3. For the host and the GPU.
#pragma once

#include <cmath>

#include "deblai/hd.hpp"

namespace deblai {

struct Point3 {
    double x, y, z;

    DEBLAI_HD friend Point3 operator+(Point3 a, Point3 b) { return {a.x + b.x, a.y + b.y, a.z + b.z}; }
    DEBLAI_HD friend Point3 operator-(Point3 a, Point3 b) { return {a.x - b.x, a.y - b.y, a.z - b.z}; }
    DEBLAI_HD friend Point3 operator*(double t, Point3 a) { return {t * a.x, t * a.y, t * a.z}; }
};

DEBLAI_HD double dot(Point3 a, Point3 b) { return a.x * b.x + a.y * b.y + a.z * b.z; }
DEBLAI_HD Point3 cross(Point3 a, Point3 b) {
    return {a.y * b.z - a.z * b.y, a.z * b.x - a.x * b.z, a.x * b.y - a.y * b.x};
}

// Twice the area of a polygon, as a vector to the side from which its corners are counter-clockwise.
DEBLAI_HD Point3 twice_area(const Point3* p, int size) {
    Point3 sum{0, 0, 0};
    for (int k = 1; k + 1 < size; ++k) sum = sum + cross(p[k] - p[0], p[k + 1] - p[0]);
    return sum;
}

// int drho, int v drho and int |v|^2 drho over a polyhedron.
struct Moments3 {
    double mass = 0, first[3] = {}, second = 0;
};

struct FacetMoments3 {
    double mass = 0;
    Point3 first{0, 0, 0};
    double xx = 0, xy = 0, xz = 0, yy = 0, yz = 0, zz = 0;

    // A triangle of this mass, with s = a + b + c: m s / 3 and m (a a^T + b b^T + c c^T + s s^T) / 12.
    DEBLAI_HD void add(Point3 a, Point3 b, Point3 c, double m) {
        const Point3 s = a + b + c;
        const double w = m / 12;
        mass += m;
        first = first + (m / 3) * s;
        xx += w * (a.x * a.x + b.x * b.x + c.x * c.x + s.x * s.x);
        xy += w * (a.x * a.y + b.x * b.y + c.x * c.y + s.x * s.y);
        xz += w * (a.x * a.z + b.x * b.z + c.x * c.z + s.x * s.z);
        yy += w * (a.y * a.y + b.y * b.y + c.y * c.y + s.y * s.y);
        yz += w * (a.y * a.z + b.y * b.z + c.y * c.z + s.y * s.z);
        zz += w * (a.z * a.z + b.z * b.z + c.z * c.z + s.z * s.z);
    }

    // A polygon of constant density in a plane with this normal of length 1: a fan from its first corner.
    DEBLAI_HD void add(const Point3* p, int size, Point3 normal, double density) {
        for (int k = 1; k + 1 < size; ++k)
            add(p[0], p[k], p[k + 1], 0.5 * density * dot(normal, cross(p[k] - p[0], p[k + 1] - p[0])));
    }
};

DEBLAI_HD FacetMoments3 operator+(const FacetMoments3& a, const FacetMoments3& b) {
    return {a.mass + b.mass, a.first + b.first, a.xx + b.xx, a.xy + b.xy,
            a.xz + b.xz,     a.yy + b.yy,       a.yz + b.yz, a.zz + b.zz};
}
}  // namespace deblai
