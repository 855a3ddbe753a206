// What becomes of a cell of space: its numbers, its polyhedron, or what lies on its facets.
#pragma once

#include "deblai/laguerre3.hpp"
#include "laguerre/laguerre_tree.cuh"
#include "laguerre3_cell.cuh"
#include "laguerre3_voxels.cuh"

namespace deblai::cuda::laguerre3 {

using deblai::laguerre3::Facets;
using deblai::laguerre3::Output;
using deblai::laguerre3::Polyhedra;

template <class T>
using Sites = laguerre::Points<T, 3>;

enum class State : unsigned char { done, grow, missing };

// One of numbers, polyhedra and facets is wanted, of a density of voxels where that is Dense. One kernel cuts cells for
// all three, so that their counts agree to the last rounding.
template <class T>
struct Sink {
    Sites<T> q;
    Output<T> out;
    double *energy = nullptr, *value = nullptr;  // of each place; null: numbers are not wanted
    Matrix<const std::int64_t> offsets = {};
    Polyhedra<T> solids = {};  // without vertices: facets are wanted
    Facets<T> facets = {};
    Voxels voxels = {};

    __device__ bool wanted(index_t i) const { return energy || offsets(i, 0) != offsets(i + 1, 0); }

    template <bool Dense>
    __device__ State put(const Scene& scene, const Cell& cell) const {
        bool touching;
        const Moments3 m = cell.moments(touching);
        const bool kept = m.mass > 0;
        const index_t i = scene.id[cell.place()];
        if (energy) {
            put_numbers(cell, kept ? weighed<Dense>(scene, cell, touching, m) : Moments3{}, i);
            put_counts(cell, kept, touching, i);
            return State::done;
        }
        return kept ? put_shape<Dense>(scene, cell, touching, i) : State::missing;
    }

private:
    template <bool Dense>
    __device__ Moments3 weighed(const Scene& scene, const Cell& cell, bool touching, const Moments3& m) const {
        if constexpr (Dense)
            if (voxels.density) {
                const Polyhedron copy = cell.polyhedron();
                return over_voxels(voxels, cell.at(), copy, touching, m);
            }
        const double density = scene.density;
        return {
            density * m.mass, {density * m.first[0], density * m.first[1], density * m.first[2]}, density * m.second};
    }

    __device__ void put_numbers(const Cell& cell, const Moments3& m, index_t i) const {
        const double psi = q.psi ? static_cast<double>(q.psi(i)) : 0.0;
        for (int k = 0; k < 3; ++k) {
            const double mean = m.mass > 0 ? m.first[k] / m.mass : 0.0;
            out.centroid(i, k) = static_cast<T>(static_cast<double>(q.sites(i, k)) + mean);
            if (out.grad_sites) out.grad_sites(i, k) = static_cast<T>(-2 * m.first[k]);
        }
        out.mass(i) = static_cast<T>(m.mass);
        out.second_moment(i) = static_cast<T>(m.second);
        energy[cell.place()] = m.second;
        value[cell.place()] = m.second - psi * m.mass;
    }

    __device__ void put_counts(const Cell& cell, bool kept, bool touching, index_t i) const {
        const Polyhedron& p = cell.polyhedron();
        int vertices = kept ? p.size() : 0, facets = kept ? p.size() / 2 + 2 : 0, corners = 3 * vertices;
        if (kept && touching) {
            const Polytope shape = p.polytope();
            vertices = shape.read(true);
            facets = corners = 0;
            for (int k = 0; k < p.planes(); ++k) {
                const int size = shape.walk(k, shape.ring);
                corners += size;
                facets += size > 0;
            }
        }
        out.counts(i, 0) = vertices;
        out.counts(i, 1) = facets;
        out.counts(i, 2) = corners;
    }

    // `missing` where offsets are not those of this cell.
    template <bool Dense>
    __device__ State put_shape(const Scene& scene, const Cell& cell, bool touching, index_t i) const {
        const Polyhedron& p = cell.polyhedron();
        const Polytope shape = p.polytope();
        const Room& m = p.room();
        if (shape.read(touching) != offsets(i + 1, 0) - offsets(i, 0)) return State::missing;
        if (solids.vertices)
            for (int v = 0; v < p.size(); ++v) {
                if (!shape.leads(v)) continue;
                const double at[3] = {m.x[v], m.y[v], m.z[v]};
                for (int k = 0; k < 3; ++k)
                    solids.vertices(offsets(i, 0) + shape.number[v], k) =
                        static_cast<T>(static_cast<double>(q.sites(i, k)) + at[k]);
            }
        index_t row = offsets(i, 1), corner = offsets(i, 2);
        for (int k = 0; k < p.planes(); ++k) {
            const int size = shape.walk(k, shape.ring);
            if (size == 0) continue;
            if (row == offsets(i + 1, 1) || corner + size > offsets(i + 1, 2)) return State::missing;
            for (int c = 0; c < size; ++c) {
                const int v = shape.ring[c];
                m.ring[c] = {m.x[v], m.y[v], m.z[v]};
                if (solids.vertices) solids.corners(corner + c) = offsets(i, 0) + shape.number[v];
            }
            corner += size;
            put_facet<Dense>(scene, cell, m.label[k], size, row, corner);
            ++row;
        }
        return row == offsets(i + 1, 1) && corner == offsets(i + 1, 2) ? State::done : State::missing;
    }

    // The facet whose corners are in the room's ring.
    template <bool Dense>
    __device__ void put_facet(const Scene& scene, const Cell& cell, std::int32_t label, int size, index_t row,
                              index_t end) const {
        const Point3* const ring = cell.polyhedron().room().ring;
        const Point3 area = twice_area(ring, size);
        const double length = sqrt(dot(area, area));
        const std::int64_t site = label < 0 ? -1 : scene.id[owner(scene, label)];
        if (solids.vertices) {
            solids.neighbours(row) = site;
            solids.areas(row) = static_cast<T>(0.5 * length);
            solids.facet_offsets(row + 1) = end;
            return;
        }
        const Point3 normal = length > 0 ? (1 / length) * area : area;
        FacetMoments3 sum;
        bool uniform = true;
        if constexpr (Dense)
            if (voxels.density) uniform = false, over_voxels(voxels, cell.at(), ring, size, normal, sum);
        if (uniform) sum.add(ring, size, normal, scene.density);
        const Point3 d = label < 0 ? Point3{0, 0, 0} : across(scene, cell.place(), label, ring, size, normal);
        facets.write(row, site, sum, d);
    }
};

}  // namespace deblai::cuda::laguerre3
