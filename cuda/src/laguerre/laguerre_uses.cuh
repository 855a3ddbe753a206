// What becomes of a cell: its numbers, its polygon, or what lies along its edges. For each, which sites are wanted, the
// rings that it needs of a room, and where it puts a cell.
#pragma once

#include <limits>

#include "deblai/laguerre_density.hpp"
#include "laguerre_cell.cuh"
#include "laguerre_tree.cuh"

namespace deblai::cuda::laguerre {

using deblai::laguerre::Density;
using deblai::laguerre::Facets;
using deblai::laguerre::Output;

template <class T>
using Sites = Points<T, 2>;
using Findings = Found<2>;

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

template <class T, Density D>
struct Numbers {
    static constexpr int rings = deblai::laguerre::rings_of(D);

    Sites<T> q;
    Output<T> out;
    double *energy, *value;  // of each place

    __device__ bool wanted(index_t) const { return true; }

    __device__ State put(const Scene& scene, index_t place, const Cell& cell, const Room& room) const {
        const index_t i = scene.id[place];
        const Polygon<std::int32_t>& p = cell.polygon();
        const Moments m =
            deblai::laguerre::moments_over<D>(scene, cell.x(), cell.y(), p.x, p.y, p.size, room.scratch());
        const double first[2] = {m.x, m.y}, psi = q.psi ? static_cast<double>(q.psi(i)) : 0.0;
        for (int k = 0; k < 2; ++k) {
            const double mean = m.mass > 0 ? first[k] / m.mass : 0.0;
            out.centroid(i, k) = static_cast<T>(static_cast<double>(q.sites(i, k)) + mean);
            if (out.grad_sites) out.grad_sites(i, k) = static_cast<T>(-2 * first[k]);
        }
        out.mass(i) = static_cast<T>(m.mass);
        out.second_moment(i) = static_cast<T>(m.second);
        out.count(i) = p.size;
        energy[place] = m.second;
        value[place] = m.second - psi * m.mass;
        return State::done;
    }
};

// The rows of each cell's edges, `total` of them in all.
struct Rows {
    Vector<const std::int64_t> offsets;
    index_t total;

    __device__ bool wanted(index_t i) const { return offsets(i) != offsets(i + 1); }
    __device__ bool fit(index_t i, int size) const {
        return size == offsets(i + 1) - offsets(i) && offsets(i) >= 0 && offsets(i + 1) <= total;
    }
};

// Across an edge: of sites at one place, the one that has the cell.
__device__ inline std::int64_t neighbour(const Scene& scene, std::int32_t label) {
    return label < 0 ? -1 : scene.id[deblai::laguerre::owner(scene, label)];
}

template <class T>
struct Outline : Rows {
    static constexpr int rings = 0;

    Sites<T> q;
    Matrix<T> vertices;
    Vector<std::int64_t> neighbours;

    __device__ State put(const Scene& scene, index_t place, const Cell& cell, const Room&) const {
        const index_t i = scene.id[place];
        const Polygon<std::int32_t>& p = cell.polygon();
        if (!fit(i, p.size)) return State::missing;
        for (int k = 0; k < p.size; ++k) {
            const index_t row = offsets(i) + k;
            vertices(row, 0) = static_cast<T>(static_cast<double>(q.sites(i, 0)) + p.x[k]);
            vertices(row, 1) = static_cast<T>(static_cast<double>(q.sites(i, 1)) + p.y[k]);
            neighbours(row) = neighbour(scene, p.label[k]);
        }
        return State::done;
    }
};

template <class T, Density D>
struct Edges : Rows {
    static constexpr int rings = 0;

    Facets<T> out;

    __device__ State put(const Scene& scene, index_t place, const Cell& cell, const Room&) const {
        const index_t i = scene.id[place];
        const Polygon<std::int32_t>& p = cell.polygon();
        if (!fit(i, p.size)) return State::missing;
        for (int k = 0; k < p.size; ++k) {
            const index_t row = offsets(i) + k;
            const int l = p.next(k);
            const Point a{p.x[k], p.y[k]}, b{p.x[l], p.y[l]};
            const FacetMoments m = deblai::laguerre::moments_along<D>(scene, cell.x(), cell.y(), a, b);
            const Point border{0, 0};
            out.write(row, m, p.label[k] < 0 ? border : deblai::laguerre::across(scene, place, p.label[k], a, b));
            if (out.neighbours) out.neighbours(row) = neighbour(scene, p.label[k]);
        }
        return State::done;
    }
};

}  // namespace deblai::cuda::laguerre
