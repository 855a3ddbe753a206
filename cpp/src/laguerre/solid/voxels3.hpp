// Integrals over convex polyhedra and their facets of a density that is constant on the cells (voxels) of a grid.
//   int_V f drho = sum over facets of int F(x, y, z) n_x dA,  F = int f rho dx from where the column begins in V
// so that facets alone are cut, by the planes of the grid; what lies between them is summed along columns of constant
// (y, z). Work: the voxels that facets cross, and an addition for each that lies inside.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "deblai/facet3.hpp"
#include "laguerre3-kernels.hpp"

namespace deblai::laguerre3 {

struct Voxels {
    const double* density = nullptr;  // density[(k * ny + j) * nx + i] of voxel (i, j, k); null: uniform
    index_t count[3] = {};
    double lower[3] = {}, step[3] = {};
    bool periodic = false;
};

// As seen from -p: every v becomes v + p.
inline Moments3 shifted(const Moments3& m, Point3 p) {
    const double along = m.first[0] * p.x + m.first[1] * p.y + m.first[2] * p.z;
    return {m.mass,
            {m.first[0] + m.mass * p.x, m.first[1] + m.mass * p.y, m.first[2] + m.mass * p.z},
            m.second + 2 * along + m.mass * dot(p, p)};
}

// Cuts the facets of one polyhedron after the other; keeps its memory.
class VoxelCut {
public:
    // `origin` is what coordinates are relative to.
    void start(const Voxels& voxels, Point3 origin) {
        v_ = &voxels;
        const double at[3] = {origin.x, origin.y, origin.z};
        for (int a = 0; a < 3; ++a) lower_[a] = voxels.lower[a] - at[a];
        point_.clear();
        piece_.clear();
    }

    // Is the cell in one voxel? `start` had its first vertex as origin.
    bool one_voxel(const Scratch& m, int size, double& density) const {
        const double* const at[3] = {m.x, m.y, m.z};
        index_t voxel[3];
        for (int a = 0; a < 3; ++a) {
            double low = at[a][0], high = low;
            for (int v = 1; v < size; ++v) low = std::min(low, at[a][v]), high = std::max(high, at[a][v]);
            const Range r = range(a, low - at[a][0], high - at[a][0]);
            if (r.first != r.last) return false;
            voxel[a] = r.first;
        }
        density = of(voxel[0], voxel[1], voxel[2]);
        return true;
    }

    // A facet, counter-clockwise from outside. Those along x add nothing.
    void add(const Point3* p, int size) {
        const auto flat = [&](int axis) {
            return std::all_of(p, p + size,
                               [&](const Point3& q) { return coordinate(q, axis) == coordinate(p[0], axis); });
        };
        if (!flat(1) && !flat(2)) cut(p, size);
    }

    // Moments of the polyhedron whose facets were added.
    Moments3 moments() {
        Moments3 sum;
        if (piece_.empty()) return sum;
        link_columns();
        double all = 0;
        for (const std::ptrdiff_t head : head_)
            if (head >= 0) add_column(head, sum, all);
        // What is left of less than rounding is nothing.
        if (!(sum.mass > 1e-15 * all)) return {};
        return sum;
    }

    // The density on a facet with this normal of length 1.
    FacetMoments3 on(const Point3* p, int size, Point3 normal) {
        FacetMoments3 sum;
        point_.clear();
        piece_.clear();
        cut(p, size);
        for (const Piece& piece : piece_)
            each_voxel(piece, [&](index_t, const std::vector<Point3>& part) {
                sum.add(part.data(), static_cast<int>(part.size()), normal, mean_at(part));
            });
        return sum;
    }

private:
    struct Range {
        index_t first, last;  // both included
    };
    struct Piece {
        index_t j, k;
        std::ptrdiff_t next;  // of the same column
        std::size_t begin, size;
    };

    static double coordinate(const Point3& p, int axis) { return axis == 0 ? p.x : axis == 1 ? p.y : p.z; }
    double plane(int axis, index_t i) const { return lower_[axis] + static_cast<double>(i) * v_->step[axis]; }

    double of(index_t i, index_t j, index_t k) const {
        const index_t at[3] = {i, j, k};
        index_t in[3];
        for (int a = 0; a < 3; ++a) in[a] = v_->periodic ? wrapped(at[a], v_->count[a]) : at[a];
        return v_->density[(in[2] * v_->count[1] + in[1]) * v_->count[0] + in[0]];
    }
    static index_t wrapped(index_t i, index_t count) {
        const index_t r = i % count;
        return r < 0 ? r + count : r;
    }

    // Voxels along an axis from one coordinate to another; ends that lie on a plane but for rounding do not pass it.
    Range range(int axis, double low, double high) const {
        const double slack = 4e-15, offset = std::abs(lower_[axis] / v_->step[axis]);
        const double u = (low - lower_[axis]) / v_->step[axis], v = (high - lower_[axis]) / v_->step[axis];
        Range r{static_cast<index_t>(std::floor(u + slack * (1 + offset + std::abs(u)))),
                static_cast<index_t>(std::ceil(v - slack * (1 + offset + std::abs(v)))) - 1};
        if (!v_->periodic) {
            const index_t most = v_->count[axis] - 1;
            r.first = r.first < 0 ? 0 : r.first > most ? most : r.first;
            r.last = r.last > most ? most : r.last;
        }
        if (r.last < r.first) r.last = r.first;
        return r;
    }
    Range extent(const Point3* p, int size, int axis) const {
        double low = coordinate(p[0], axis), high = low;
        for (int k = 1; k < size; ++k) {
            low = std::min(low, coordinate(p[k], axis));
            high = std::max(high, coordinate(p[k], axis));
        }
        return range(axis, low, high);
    }

    static void split(const std::vector<Point3>& from, int axis, double c, std::vector<Point3>& below,
                      std::vector<Point3>& above) {
        below.clear();
        above.clear();
        for (std::size_t k = 0; k < from.size(); ++k) {
            const Point3 &a = from[k], &b = from[k + 1 < from.size() ? k + 1 : 0];
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

    // Calls use(i) with part_[slot] the part of rest_[slot] in voxels i of the range, where it has an inside.
    template <class Use>
    void each_part(int axis, Range r, int slot, const Use& use) {
        for (index_t i = r.first; i < r.last; ++i) {
            split(rest_[slot], axis, plane(axis, i + 1), part_[slot], rest_[slot + 1]);
            rest_[slot].swap(rest_[slot + 1]);
            if (part_[slot].size() > 2) use(i);
            if (rest_[slot].size() < 3) return;
        }
        part_[slot] = rest_[slot];
        use(r.last);
    }

    template <class Use>
    void each_voxel(const Piece& piece, const Use& use) {
        rest_[4].assign(point_.begin() + piece.begin, point_.begin() + piece.begin + piece.size);
        each_part(0, extent(rest_[4].data(), static_cast<int>(piece.size), 0), 4, [&](index_t i) { use(i, part_[4]); });
    }

    // The parts of a polygon in the columns that it crosses.
    void cut(const Point3* p, int size) {
        const Range slabs = extent(p, size, 2);
        rest_[0].assign(p, p + size);
        each_part(2, slabs, 0, [&](index_t k) {
            rest_[2] = part_[0];
            each_part(1, extent(rest_[2].data(), static_cast<int>(rest_[2].size()), 1), 2, [&](index_t j) {
                piece_.push_back({j, k, -1, point_.size(), part_[2].size()});
                point_.insert(point_.end(), part_[2].begin(), part_[2].end());
            });
        });
    }

    void link_columns() {
        index_t low[2] = {piece_[0].j, piece_[0].k}, high[2] = {piece_[0].j, piece_[0].k};
        for (const Piece& p : piece_) {
            low[0] = std::min(low[0], p.j), low[1] = std::min(low[1], p.k);
            high[0] = std::max(high[0], p.j), high[1] = std::max(high[1], p.k);
        }
        const index_t wide = high[0] - low[0] + 1;
        head_.assign(wide * (high[1] - low[1] + 1), -1);
        for (std::size_t n = 0; n < piece_.size(); ++n) {
            std::ptrdiff_t& head = head_[(piece_[n].k - low[1]) * wide + piece_[n].j - low[0]];
            piece_[n].next = head;
            head = static_cast<std::ptrdiff_t>(n);
        }
    }

    // int rho dt, int t rho dt and int t^2 rho dt from the column's lowest point to the lower plane of each voxel: of
    // the first to that point itself, for voxels may be much larger than cells.
    struct Below {
        double density, at, zero, one, two;
    };

    void add_column(std::ptrdiff_t head, Moments3& sum, double& all) {
        double low = coordinate(point_[piece_[head].begin], 0), high = low;
        for (std::ptrdiff_t n = head; n >= 0; n = piece_[n].next)
            for (std::size_t c = 0; c < piece_[n].size; ++c) {
                const double x = point_[piece_[n].begin + c].x;
                low = std::min(low, x), high = std::max(high, x);
            }
        const Range r = range(0, low, high);
        below_.clear();
        Below at{0, low, 0, 0, 0};
        for (index_t i = r.first; i <= r.last; ++i) {
            const double next = plane(0, i + 1), w = next - at.at;
            at.density = of(i, piece_[head].j, piece_[head].k);
            below_.push_back(at);
            at.zero += at.density * w;
            at.one += at.density * w * (0.5 * (at.at + next));
            at.two += at.density * w * ((at.at * at.at + at.at * next + next * next) / 3);
            at.at = next;
        }
        if (at.zero == 0) return;
        const double before = below_[0].density * (low - plane(0, r.first));
        for (std::ptrdiff_t n = head; n >= 0; n = piece_[n].next)
            each_voxel(piece_[n], [&](index_t i, const std::vector<Point3>& part) {
                const Below& b = below_[std::min(std::max(i, r.first), r.last) - r.first];
                for (std::size_t c = 1; c + 1 < part.size(); ++c)
                    add_triangle(part[0], part[c], part[c + 1], b, before, sum, all);
            });
    }

    // The integral over a triangle of F n_x dA, that is dy dz: polynomials of degree three by their central moments.
    // `before` is the integral of the density in the first voxel up to where the column begins.
    static void add_triangle(const Point3& a, const Point3& b, const Point3& c, const Below& f, double before,
                             Moments3& sum, double& all) {
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
        const double u = m.x - f.at, u2 = u * u + xx, u3 = u * u * u + 3 * u * xx + xxx;
        const double mean = f.zero + f.density * u;
        sum.mass += area * mean;
        sum.first[0] += area * (f.one + f.density * (u * f.at + 0.5 * u2));
        sum.first[1] += area * (m.y * mean + f.density * xy);
        sum.first[2] += area * (m.z * mean + f.density * xz);
        sum.second +=
            area * (f.two + f.density * (f.at * (u * f.at + u2) + u3 / 3) + (m.y * m.y + yy + m.z * m.z + zz) * mean +
                    f.density * (2 * (m.y * xy + m.z * xz) + xyy + xzz));
        all += std::abs(area * (before + mean));
    }

    // Of the voxel that holds a part, or the mean of both sides where it lies on a plane of the grid.
    double mean_at(const std::vector<Point3>& part) const {
        constexpr double on_plane = 1e-12;
        index_t at[3][2];
        for (int a = 0; a < 3; ++a) {
            double x = 0;
            for (const Point3& p : part) x += coordinate(p, a);
            const double u = (x / static_cast<double>(part.size()) - lower_[a]) / v_->step[a];
            const double near = std::floor(u + 0.5);
            const bool on = std::abs(u - near) <= on_plane * (1 + std::abs(u));
            at[a][0] = static_cast<index_t>(on ? near - 1 : std::floor(u));
            at[a][1] = static_cast<index_t>(on ? near : std::floor(u));
            for (index_t& i : at[a])
                if (!v_->periodic) i = std::min(std::max<index_t>(i, 0), v_->count[a] - 1);
        }
        double sum = 0;
        for (int corner = 0; corner < 8; ++corner)
            sum += of(at[0][corner & 1], at[1][corner >> 1 & 1], at[2][corner >> 2]);
        return sum / 8;
    }

    const Voxels* v_ = nullptr;
    double lower_[3] = {};
    std::vector<Point3> point_, rest_[6], part_[5];
    std::vector<Piece> piece_;
    std::vector<std::ptrdiff_t> head_;
    std::vector<Below> below_;
};

}  // namespace deblai::laguerre3
