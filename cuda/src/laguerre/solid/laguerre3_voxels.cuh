// Integrals of a density of voxels over a cell or a facet by one thread: cpp/src/laguerre/solid/voxel-columns.hpp
// without memory for pieces. All columns begin at the cell's lowest point, and each piece of a facet walks up its own.
#pragma once

#include "deblai/voxels3.hpp"
#include "laguerre3_polyhedron.cuh"

// Not inlined: registers of its own.
#if defined(__CUDACC__)
#define DEBLAI_APART __noinline__
#else
#define DEBLAI_APART __attribute__((noinline))
#endif

namespace deblai::cuda::laguerre3 {

// As much of std::vector<Point3> as VoxelParts uses. Facets are cut into polygons of `corners` first; six planes cut
// these, and rounding may add a few.
class FewPoints {
public:
    static constexpr int corners = 6, most = corners + 10;

    __device__ void clear() { size_ = 0; }
    __device__ void push_back(const Point3& p) {
        if (size_ < most) p_[size_++] = p;
    }
    __device__ int size() const { return size_; }
    __device__ const Point3* data() const { return p_; }
    __device__ const Point3& operator[](int k) const { return p_[k]; }

private:
    Point3 p_[most];
    int size_ = 0;
};

// Calls use(corners, size) for polygons of few corners that make up a convex one.
template <class Use>
__device__ void each_few(const Point3* p, int size, const Use& use) {
    Point3 few[FewPoints::corners];
    few[0] = p[0];
    for (int begin = 1; begin + 1 < size; begin += FewPoints::corners - 2) {
        int count = 1;
        while (count < FewPoints::corners && begin + count - 1 < size) few[count] = p[begin + count - 1], ++count;
        use(few, count);
    }
}

class VoxelWalk {
public:
    __device__ VoxelWalk(const Voxels& voxels, Point3 origin, double low, double high) : low_(low) {
        parts_.grid = VoxelGrid(voxels, origin);
        range_ = parts_.grid.range(0, low, high);
    }

    __device__ void add(const Point3* p, int size) {
        if (flat(p, size, 1) || flat(p, size, 2)) return;
        parts_.each_column(p, size, [&](index_t j, index_t k, const FewPoints& piece) {
            const VoxelGrid& grid = parts_.grid;
            index_t i = range_.first;
            Below at{grid.of(i, j, k), low_};
            const double before = at.density * (low_ - grid.plane(0, i));
            parts_.each_voxel(piece.data(), piece.size(), [&](index_t voxel, const FewPoints& part) {
                while (i < voxel && i < range_.last) {
                    at.pass(grid.plane(0, ++i));
                    at.density = grid.of(i, j, k);
                }
                for (int c = 1; c + 1 < part.size(); ++c)
                    at.add_triangle(part[0], part[c], part[c + 1], before, sum_, all_);
            });
        });
    }

    // What is less than rounding is nothing.
    __device__ Moments3 moments() const { return sum_.mass > 1e-15 * all_ ? sum_ : Moments3{}; }

private:
    VoxelParts<FewPoints> parts_;
    VoxelGrid::Range range_;
    double low_, all_ = 0;
    Moments3 sum_;
};

// Moments of a polyhedron around a site, those of density 1 given.
DEBLAI_APART __device__ inline Moments3 over_voxels(const Voxels& voxels, Point3 site, const Polyhedron& p,
                                                    bool touching, const Moments3& m) {
    const Room& room = p.room();
    const Point3 origin{room.x[0], room.y[0], room.z[0]};
    double density;
    if (VoxelGrid(voxels, site + origin).one_voxel(room.x, room.y, room.z, p.size(), density))
        return {
            density * m.mass, {density * m.first[0], density * m.first[1], density * m.first[2]}, density * m.second};
    double low = 0, high = 0;
    for (int v = 1; v < p.size(); ++v) {
        low = fmin(low, room.x[v] - origin.x);
        high = fmax(high, room.x[v] - origin.x);
    }
    VoxelWalk walk(voxels, site + origin, low, high);
    const Polytope shape = p.polytope();
    shape.read(touching);
    for (int k = 0; k < p.planes(); ++k) {
        const int size = shape.walk(k, shape.ring);
        for (int c = 0; c < size; ++c) {
            const int v = shape.ring[c];
            room.ring[c] = Point3{room.x[v], room.y[v], room.z[v]} - origin;
        }
        each_few(room.ring, size, [&](const Point3* few, int count) { walk.add(few, count); });
    }
    return shifted(walk.moments(), origin);
}

// Adds the density on a facet.
DEBLAI_APART __device__ inline void over_voxels(const Voxels& voxels, Point3 site, const Point3* ring, int size,
                                                Point3 normal, FacetMoments3& sum) {
    VoxelParts<FewPoints> parts;
    parts.grid = VoxelGrid(voxels, site);
    each_few(ring, size, [&](const Point3* few, int count) { parts.on(few, count, normal, sum); });
}

}  // namespace deblai::cuda::laguerre3
