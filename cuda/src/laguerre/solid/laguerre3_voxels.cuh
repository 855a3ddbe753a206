// Integrals of a density of voxels over a cell or a facet by one thread: cpp/src/laguerre/solid/voxel-columns.hpp
// without memory for pieces. Each piece of a facet walks up its column, from where that begins in the cell; where a
// cell crosses more columns than a room has numbers for, all begin at its lowest point.
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
    // For a cell in a room, whose first vertex is where coordinates begin.
    __device__ VoxelWalk(const Voxels& voxels, Point3 origin, const Room& room, int size) {
        parts_.grid = VoxelGrid(voxels, origin);
        const double* const at[3] = {room.x, room.y, room.z};
        for (int a = 0; a < 3; ++a) {
            double low = 0, high = 0;
            for (int v = 1; v < size; ++v) {
                low = fmin(low, at[a][v] - at[a][0]);
                high = fmax(high, at[a][v] - at[a][0]);
            }
            range_[a] = parts_.grid.range(a, low, high);
            if (a == 0) low_ = low, high_ = high;
        }
        wide_ = range_[1].last - range_[1].first + 1;
        const index_t columns = wide_ * (range_[2].last - range_[2].first + 1);
        if (columns > room.capacity) return;
        begin_ = room.s;
        for (index_t c = 0; c < columns; ++c) begin_[c] = high_;
    }

    __device__ bool wants_columns() const { return begin_; }

    // Notes where columns begin.
    __device__ void note(const Point3* p, int size) {
        if (flat(p, size, 1) || flat(p, size, 2)) return;
        parts_.each_column(p, size, [&](index_t j, index_t k, const FewPoints& piece) {
            double& begin = begin_[column(j, k)];
            for (int c = 0; c < piece.size(); ++c) begin = fmin(begin, piece[c].x);
        });
    }

    __device__ void add(const Point3* p, int size) {
        if (flat(p, size, 1) || flat(p, size, 2)) return;
        parts_.each_column(p, size, [&](index_t j, index_t k, const FewPoints& piece) {
            const VoxelGrid& grid = parts_.grid;
            const double begin = begin_ ? begin_[column(j, k)] : low_;
            index_t i = grid.range(0, begin, high_).first;
            Below at{grid.of(i, j, k), begin};
            const double before = at.density * (begin - grid.plane(0, i));
            parts_.each_voxel(piece.data(), piece.size(), [&](index_t voxel, const FewPoints& part) {
                while (i < voxel && i < range_[0].last) {
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
    __device__ index_t column(index_t j, index_t k) const {
        j = max(range_[1].first, min(range_[1].last, j));
        k = max(range_[2].first, min(range_[2].last, k));
        return (k - range_[2].first) * wide_ + (j - range_[1].first);
    }

    VoxelParts<FewPoints> parts_;
    VoxelGrid::Range range_[3];
    index_t wide_;
    double* begin_ = nullptr;
    double low_, high_, all_ = 0;
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
    VoxelWalk walk(voxels, site + origin, room, p.size());
    const Polytope shape = p.polytope();
    shape.read(touching);
    for (int pass = walk.wants_columns() ? 0 : 1; pass < 2; ++pass)
        for (int k = 0; k < p.planes(); ++k) {
            const int size = shape.walk(k, shape.ring);
            for (int c = 0; c < size; ++c) {
                const int v = shape.ring[c];
                room.ring[c] = Point3{room.x[v], room.y[v], room.z[v]} - origin;
            }
            each_few(room.ring, size, [&](const Point3* few, int count) {
                if (pass == 0)
                    walk.note(few, count);
                else
                    walk.add(few, count);
            });
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
