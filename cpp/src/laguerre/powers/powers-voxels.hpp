// The faces of a convex polyhedron cut by the planes of a grid: of the parts in its voxels, each face between two parts
// once.
#pragma once

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "deblai/voxels3.hpp"

namespace deblai::powers {
namespace {

class VoxelFaces {
public:
    void start() { whole_.clear(); }
    // A facet, counter-clockwise from outside.
    void add(const std::vector<Point3>& ring, Point3 normal) { whole_.add(outer, normal, ring); }

    // Calls use(ring, normal, density) for every face, with the difference of both sides between two voxels. `grid` is
    // seen from the site.
    template <class Use>
    void each(const VoxelGrid& grid, const Use& use) {
        level_[2].rest = whole_;
        slices(grid, 2, [&](index_t k, const Solid& slab) {
            level_[1].rest = slab;
            slices(grid, 1, [&](index_t j, const Solid& column) {
                level_[0].rest = column;
                slices(grid, 0, [&](index_t i, const Solid& part) { faces(grid, {i, j, k}, part, use); });
            });
        });
    }

private:
    static constexpr int outer = -1, low = 3;  // sides of a face: the axis of a plane above a part, and 3 + that below

    struct Face {
        int side;
        Point3 normal;
        std::size_t begin, end;
    };
    struct Solid {
        std::vector<Face> face;
        std::vector<Point3> point;

        void clear() { face.clear(), point.clear(); }
        void add(int side, Point3 normal, const std::vector<Point3>& ring) {
            if (ring.size() < 3) return;
            face.push_back({side, normal, point.size(), point.size() + ring.size()});
            point.insert(point.end(), ring.begin(), ring.end());
        }
    };
    struct Level {
        Solid rest, part, beyond;
    };

    static double& at(Point3& p, int axis) { return axis == 0 ? p.x : axis == 1 ? p.y : p.z; }

    template <class Use>
    void faces(const VoxelGrid& grid, const index_t (&at)[3], const Solid& part, const Use& use) {
        const double here = grid.of(at[0], at[1], at[2]);
        for (const Face& f : part.face) {
            if (f.side >= low) continue;
            double density = here;
            if (f.side != outer) {
                index_t next[3] = {at[0], at[1], at[2]};
                ++next[f.side];
                density -= grid.of(next[0], next[1], next[2]);
            }
            if (density == 0) continue;
            ring_.assign(part.point.begin() + f.begin, part.point.begin() + f.end);
            use(ring_, f.normal, density);
        }
    }

    template <class Use>
    void slices(const VoxelGrid& grid, int axis, const Use& use) {
        Level& l = level_[axis];
        if (l.rest.point.empty()) return;
        const auto range = grid.extent(l.rest.point.data(), static_cast<int>(l.rest.point.size()), axis);
        for (index_t i = range.first; i < range.last; ++i) {
            split(l.rest, axis, grid.plane(axis, i + 1), l.part, l.beyond);
            std::swap(l.rest, l.beyond);
            if (!l.part.face.empty()) use(i, l.part);
            if (l.rest.face.empty()) return;
        }
        use(range.last, l.rest);
    }

    void split(const Solid& from, int axis, double c, Solid& below, Solid& above) {
        below.clear();
        above.clear();
        bool some_below = false, some_above = false;
        for (const Point3& p : from.point) {
            some_below = some_below || coordinate(p, axis) < c;
            some_above = some_above || coordinate(p, axis) > c;
        }
        if (!some_above) below = from;
        if (!some_below && some_above) above = from;
        if (!some_below || !some_above) return;
        cap_.clear();
        for (const Face& f : from.face) {
            under_.clear(), over_.clear();
            for (std::size_t k = f.begin; k < f.end; ++k) {
                const Point3 &a = from.point[k], &b = from.point[k + 1 < f.end ? k + 1 : f.begin];
                const double s = coordinate(a, axis) - c, t = coordinate(b, axis) - c;
                if (s <= 0) under_.push_back(a);
                if (s >= 0) over_.push_back(a);
                if (s == 0) cap_.push_back(a);
                if ((s < 0 && t > 0) || (s > 0 && t < 0)) {
                    Point3 p = a + (s / (s - t)) * (b - a);
                    at(p, axis) = c;
                    under_.push_back(p), over_.push_back(p), cap_.push_back(p);
                }
            }
            below.add(f.side, f.normal, under_);
            above.add(f.side, f.normal, over_);
        }
        order(axis);
        const double unit[3] = {axis == 0 ? 1.0 : 0.0, axis == 1 ? 1.0 : 0.0, axis == 2 ? 1.0 : 0.0};
        below.add(axis, {unit[0], unit[1], unit[2]}, cap_);
        std::reverse(cap_.begin(), cap_.end());
        above.add(low + axis, {-unit[0], -unit[1], -unit[2]}, cap_);
    }

    // Puts the points of a plane counter-clockwise as seen from where the axis goes, those that are one once.
    void order(int axis) {
        const int u = (axis + 1) % 3, v = (axis + 2) % 3;
        Point3 mean{0, 0, 0};
        for (const Point3& p : cap_) mean = mean + (1.0 / static_cast<double>(cap_.size())) * p;
        turn_.clear();
        for (const Point3& p : cap_)
            turn_.push_back(
                {std::atan2(coordinate(p, v) - coordinate(mean, v), coordinate(p, u) - coordinate(mean, u)), p});
        std::sort(turn_.begin(), turn_.end(), [](const Turn& a, const Turn& b) { return a.angle < b.angle; });
        cap_.clear();
        for (const Turn& t : turn_) {
            const auto same = [&](const Point3& p) { return p.x == t.p.x && p.y == t.p.y && p.z == t.p.z; };
            if (cap_.empty() || !(same(cap_.back()) || same(cap_.front()))) cap_.push_back(t.p);
        }
    }

    struct Turn {
        double angle;
        Point3 p;
    };
    Solid whole_;
    Level level_[3];
    std::vector<Point3> under_, over_, cap_, ring_;
    std::vector<Turn> turn_;
};

}  // namespace
}  // namespace deblai::powers
