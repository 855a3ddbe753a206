// A density that is constant on the cells (voxels) of a grid of space: the parts of polygons between the planes of the
// grid, and integrals over them. For the host and the GPU.
//   int_V f drho = sum over facets of int F(x, y, z) n_x dA,  F = int f rho dx from a plane of constant x
// so that facets alone are cut; along columns of constant (y, z), F is a polynomial of x in each voxel.
#pragma once

#include "deblai/facet3.hpp"

namespace deblai {

struct Voxels {
    const double* density = nullptr;  // density[(k * ny + j) * nx + i] of voxel (i, j, k); null: uniform
    index_t count[3] = {};
    double lower[3] = {}, step[3] = {};
    bool periodic = false;
};

// As seen from -p: every v becomes v + p.
DEBLAI_HD Moments3 shifted(const Moments3& m, Point3 p) {
    const double along = m.first[0] * p.x + m.first[1] * p.y + m.first[2] * p.z;
    return {m.mass,
            {m.first[0] + m.mass * p.x, m.first[1] + m.mass * p.y, m.first[2] + m.mass * p.z},
            m.second + 2 * along + m.mass * dot(p, p)};
}

DEBLAI_HD double coordinate(const Point3& p, int axis) { return axis == 0 ? p.x : axis == 1 ? p.y : p.z; }

// Are all points at one coordinate? A polygon along x adds nothing to the integral over a polyhedron.
DEBLAI_HD bool flat(const Point3* p, int size, int axis) {
    for (int k = 1; k < size; ++k)
        if (coordinate(p[k], axis) != coordinate(p[0], axis)) return false;
    return true;
}

// The grid, seen from a point.
class VoxelGrid {
public:
    struct Range {
        index_t first, last;  // both included
    };

    VoxelGrid() = default;
    DEBLAI_HD VoxelGrid(const Voxels& voxels, Point3 origin) : v_(&voxels) {
        const double at[3] = {origin.x, origin.y, origin.z};
        for (int a = 0; a < 3; ++a) lower_[a] = voxels.lower[a] - at[a];
    }

    DEBLAI_HD double plane(int axis, index_t i) const { return lower_[axis] + static_cast<double>(i) * v_->step[axis]; }

    DEBLAI_HD double of(index_t i, index_t j, index_t k) const {
        const index_t at[3] = {i, j, k};
        index_t in[3];
        for (int a = 0; a < 3; ++a) in[a] = v_->periodic ? wrapped(at[a], v_->count[a]) : at[a];
        return v_->density[(in[2] * v_->count[1] + in[1]) * v_->count[0] + in[0]];
    }

    // Voxels along an axis from one coordinate to another; ends that lie on a plane but for rounding do not pass it.
    DEBLAI_HD Range range(int axis, double low, double high) const {
        const double slack = 4e-15, offset = fabs(lower_[axis] / v_->step[axis]);
        const double u = (low - lower_[axis]) / v_->step[axis], v = (high - lower_[axis]) / v_->step[axis];
        Range r{static_cast<index_t>(floor(u + slack * (1 + offset + fabs(u)))),
                static_cast<index_t>(ceil(v - slack * (1 + offset + fabs(v)))) - 1};
        if (!v_->periodic) {
            const index_t most = v_->count[axis] - 1;
            r.first = r.first < 0 ? 0 : r.first > most ? most : r.first;
            r.last = r.last > most ? most : r.last;
        }
        if (r.last < r.first) r.last = r.first;
        return r;
    }
    DEBLAI_HD Range extent(const Point3* p, int size, int axis) const {
        double low = coordinate(p[0], axis), high = low;
        for (int k = 1; k < size; ++k) {
            low = fmin(low, coordinate(p[k], axis));
            high = fmax(high, coordinate(p[k], axis));
        }
        return range(axis, low, high);
    }

    // Are these vertices in one voxel? The grid is seen from the first.
    DEBLAI_HD bool one_voxel(const double* x, const double* y, const double* z, int size, double& density) const {
        const double* const at[3] = {x, y, z};
        index_t voxel[3];
        for (int a = 0; a < 3; ++a) {
            double low = at[a][0], high = low;
            for (int v = 1; v < size; ++v) low = fmin(low, at[a][v]), high = fmax(high, at[a][v]);
            const Range r = range(a, low - at[a][0], high - at[a][0]);
            if (r.first != r.last) return false;
            voxel[a] = r.first;
        }
        density = of(voxel[0], voxel[1], voxel[2]);
        return true;
    }

    // Density of the voxel that holds a polygon, or the mean of both sides where it lies on a plane of the grid.
    DEBLAI_HD double mean_at(const Point3* p, int size) const {
        constexpr double on_plane = 1e-12;
        index_t at[3][2];
        for (int a = 0; a < 3; ++a) {
            double x = 0;
            for (int k = 0; k < size; ++k) x += coordinate(p[k], a);
            const double u = (x / static_cast<double>(size) - lower_[a]) / v_->step[a], near = floor(u + 0.5);
            const bool on = fabs(u - near) <= on_plane * (1 + fabs(u));
            at[a][0] = static_cast<index_t>(on ? near - 1 : floor(u));
            at[a][1] = static_cast<index_t>(on ? near : floor(u));
            const index_t most = v_->count[a] - 1;
            for (index_t& i : at[a])
                if (!v_->periodic) i = i < 0 ? 0 : i > most ? most : i;
        }
        double sum = 0;
        for (int corner = 0; corner < 8; ++corner)
            sum += of(at[0][corner & 1], at[1][corner >> 1 & 1], at[2][corner >> 2]);
        return sum / 8;
    }

private:
    static DEBLAI_HD index_t wrapped(index_t i, index_t count) {
        const index_t r = i % count;
        return r < 0 ? r + count : r;
    }

    const Voxels* v_ = nullptr;
    double lower_[3] = {};
};

// int rho dt, int t rho dt and int t^2 rho dt along a column, up to `at`, where a voxel of this density begins.
struct Below {
    double density, at, zero = 0, one = 0, two = 0;

    // To where the voxel ends.
    DEBLAI_HD void pass(double next) {
        const double w = next - at;
        zero += density * w;
        one += density * w * (0.5 * (at + next));
        two += density * w * ((at * at + at * next + next * next) / 3);
        at = next;
    }

    // The integral over a triangle in the voxel of F n_x dA, that is dy dz: polynomials of degree three by their
    // central moments. `all` is a bound of what rounds; `before` is the integral of the density in the first voxel up
    // to where the column begins.
    DEBLAI_HD void add_triangle(const Point3& a, const Point3& b, const Point3& c, double before, Moments3& sum,
                                double& all) const {
        const double area = 0.5 * ((b.y - a.y) * (c.z - a.z) - (b.z - a.z) * (c.y - a.y));
        const Point3 m = (1.0 / 3) * (a + b + c), e[3] = {a - m, b - m, c - m};
        double xx = 0, xy = 0, xz = 0, yy = 0, zz = 0, xxx = 0, xyy = 0, xzz = 0;
        for (const Point3& p : e) {
            xx += p.x * p.x, xy += p.x * p.y, xz += p.x * p.z, yy += p.y * p.y, zz += p.z * p.z;
            xxx += p.x * p.x * p.x, xyy += p.x * p.y * p.y, xzz += p.x * p.z * p.z;
        }
        xx /= 12, xy /= 12, xz /= 12, yy /= 12, zz /= 12;
        xxx /= 30, xyy /= 30, xzz /= 30;
        // with u = x - at: F = zero + density u and so on
        const double u = m.x - at, u2 = u * u + xx, u3 = u * u * u + 3 * u * xx + xxx;
        const double mean = zero + density * u;
        sum.mass += area * mean;
        sum.first[0] += area * (one + density * (u * at + 0.5 * u2));
        sum.first[1] += area * (m.y * mean + density * xy);
        sum.first[2] += area * (m.z * mean + density * xz);
        sum.second += area * (two + density * (at * (u * at + u2) + u3 / 3) + (m.y * m.y + yy + m.z * m.z + zz) * mean +
                              density * (2 * (m.y * xy + m.z * xz) + xyy + xzz));
        all += fabs(area * (before + mean));
    }
};

// Cuts polygons by the planes of a grid. Polygon: as much of std::vector<Point3> as is used here.
template <class Polygon>
class VoxelParts {
public:
    VoxelGrid grid;

    // Calls use(j, k, part) for the parts of a polygon in the columns of constant (y, z) that it crosses.
    template <class Use>
    DEBLAI_HD void each_column(const Point3* p, int size, const Use& use) {
        set(rest_[0], p, size);
        each_part(2, grid.extent(p, size, 2), rest_[0], rest_[1], part_[0], [&](index_t k, const Polygon& slab) {
            const int corners = static_cast<int>(slab.size());
            set(rest_[2], slab.data(), corners);
            each_part(1, grid.extent(slab.data(), corners, 1), rest_[2], rest_[3], part_[1],
                      [&](index_t j, const Polygon& part) { use(j, k, part); });
        });
    }

    // Calls use(i, part) for the parts of a polygon in one column.
    template <class Use>
    DEBLAI_HD void each_voxel(const Point3* p, int size, const Use& use) {
        set(rest_[4], p, size);
        each_part(0, grid.extent(p, size, 0), rest_[4], rest_[5], part_[2], use);
    }

    // Adds the density on a facet with this normal of length 1.
    DEBLAI_HD void on(const Point3* p, int size, Point3 normal, FacetMoments3& sum) {
        each_column(p, size, [&](index_t, index_t, const Polygon& piece) {
            each_voxel(piece.data(), static_cast<int>(piece.size()), [&](index_t, const Polygon& part) {
                const int corners = static_cast<int>(part.size());
                sum.add(part.data(), corners, normal, grid.mean_at(part.data(), corners));
            });
        });
    }

private:
    static DEBLAI_HD void set(Polygon& to, const Point3* p, int size) {
        to.clear();
        for (int k = 0; k < size; ++k) to.push_back(p[k]);
    }

    // Calls use(i, part) with the part of `rest` in voxels i of the range, where it has an inside.
    template <class Use>
    DEBLAI_HD void each_part(int axis, VoxelGrid::Range r, Polygon& rest, Polygon& other, Polygon& part,
                             const Use& use) {
        Polygon *from = &rest, *to = &other;
        for (index_t i = r.first; i < r.last; ++i) {
            split(*from, axis, grid.plane(axis, i + 1), part, *to);
            Polygon* const swapped = from;
            from = to, to = swapped;
            if (part.size() > 2) use(i, part);
            if (from->size() < 3) return;
        }
        use(r.last, *from);
    }

    static DEBLAI_HD void split(const Polygon& from, int axis, double c, Polygon& below, Polygon& above) {
        below.clear();
        above.clear();
        const int size = static_cast<int>(from.size());
        for (int k = 0; k < size; ++k) {
            const Point3 a = from[k], b = from[k + 1 < size ? k + 1 : 0];
            const double s = coordinate(a, axis) - c, t = coordinate(b, axis) - c;
            if (s <= 0) below.push_back(a);
            if (s >= 0) above.push_back(a);
            if ((s < 0 && t > 0) || (s > 0 && t < 0)) {
                const double u = s / (s - t);
                Point3 p = a + u * (b - a);
                (axis == 0 ? p.x : axis == 1 ? p.y : p.z) = c;
                below.push_back(p);
                above.push_back(p);
            }
        }
    }

    Polygon rest_[6], part_[3];
};

}  // namespace deblai
