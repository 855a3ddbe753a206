// Exact cells of a Laguerre (power) diagram of space, in a box or on its torus, as laguerre.hpp in the plane:
//   V_i = {x : |x - y_i|^2 - psi_i <= |x - y_j|^2 - psi_j for all j},
// polyhedra that are clipped by the sites that can reach them, near ones first, found in a tree of boxes; nothing is
// approximated and no number of neighbours is assumed. The measure is uniform, on the box or a convex polyhedron in it,
// or a density that is constant on the voxels of a grid.
//   value = sum_i int_{V_i} (|x - y_i|^2 - psi_i) drho,   d value / d y_i = 2 m_i (y_i - b_i),   d value / d psi_i =
//   -m_i
// Clipping of cells of their own: Ray, Sokolov, Lefebvre and Levy, ACM TOG 37 (2018); Basselin et al., CGF 40 (2021).
#pragma once

#include <cstddef>
#include <cstdint>

#include "deblai/error.hpp"
#include "deblai/facet3.hpp"
#include "deblai/laguerre.hpp"
#include "deblai/parallel.hpp"
#include "deblai/view.hpp"

namespace deblai::laguerre3 {

using laguerre::Summary;

template <class T>
struct Problem {
    Matrix<const T> sites;  // (n, 3); anywhere: on the torus they are wrapped
    Vector<const T> psi;    // (n,); null: zeros
    double lower[3], upper[3];
    bool periodic = false;
    Volume<const T> density = {};  // voxels that fill the box, axis k is coordinate k; null: uniform
    // (m, 4), rows n and c: {x : n.x <= c for all} is a convex domain, and the box is the smallest around it. Null: the
    // box. Only for a uniform measure, and not on the torus.
    Matrix<const double> planes = {};
};

// Of equal sites with equal psi the first has the cell. An empty cell has mass 0, no vertices and its site as centroid.
template <class T>
struct Output {
    Vector<T> mass;
    Matrix<T> centroid;           // near the site, also on the torus
    Vector<T> second_moment;      // int |x - y_i|^2 drho
    Matrix<std::int64_t> counts;  // (n, 3): vertices, facets, corners of all facets
    Matrix<T> grad_sites;         // of value; null: not wanted
};

// Throws InvalidValue where shapes do not fit; every backend's first step.
template <class T>
void require_shapes(const Problem<T>& problem);

// Throws InvalidValue for NaN or infinite entries and densities without mass. After a stop, mass and centroid of the
// cells that were not done are NaN, as energy and value then are.
template <class T>
Summary cells(const Problem<T>& problem, const Output<T>& output, const Control& control = {});

// The polyhedra. Row i of `offsets` (n + 1, 3) holds the running sums of Output::counts, from a call with the same
// problem and instruction set: where the vertices, facets and corners of cell i begin.
template <class T>
struct Polyhedra {
    Matrix<const std::int64_t> offsets;
    Matrix<T> vertices;
    Vector<std::int64_t> neighbours;     // of each facet the site across, -1 for the border of the box
    Vector<T> areas;                     // of each facet
    Vector<std::int64_t> facet_offsets;  // corners facet_offsets(f) .. facet_offsets(f + 1) are those of facet f,
    Vector<std::int64_t> corners;        // rows of `vertices`, counter-clockwise from outside
};

// Cells without vertices are not computed. Returns the number of cells done.
template <class T>
index_t polyhedra(const Problem<T>& problem, const Polyhedra<T>& output, const Control& control = {});

// What lies on the facets, one row for each in the order of `polyhedra`, with v = x - y_i and the element of area dA.
// Null: not wanted.
template <class T>
struct Facets {
    Vector<std::int64_t> neighbours;  // as those of `polyhedra`
    Vector<T> mass;                   // int drho dA; where a facet lies between voxels, the mean of both
    Matrix<T> first;                  // int v drho dA, (total, 3)
    Matrix<T> second;                 // int v v^T drho dA row by row, (total, 9)
    Matrix<T> offset;                 // y_j - y_i, to the image across on the torus; 0 at the border, (total, 3)

    DEBLAI_HD void write(index_t row, std::int64_t across, const FacetMoments3& m, Point3 d) const {
        const double to[3] = {d.x, d.y, d.z}, one[3] = {m.first.x, m.first.y, m.first.z};
        const double two[9] = {m.xx, m.xy, m.xz, m.xy, m.yy, m.yz, m.xz, m.yz, m.zz};
        if (neighbours) neighbours(row) = across;
        if (mass) mass(row) = static_cast<T>(m.mass);
        for (int k = 0; first && k < 3; ++k) first(row, k) = static_cast<T>(one[k]);
        for (int k = 0; second && k < 9; ++k) second(row, k) = static_cast<T>(two[k]);
        for (int k = 0; offset && k < 3; ++k) offset(row, k) = static_cast<T>(to[k]);
    }
};

// With `offsets` as in Polyhedra. Returns the number of cells done.
template <class T>
index_t facets(const Problem<T>& problem, Matrix<const std::int64_t> offsets, const Facets<T>& output,
               const Control& control = {});

// The volume of the box, or of the domain, whose planes lie in host memory.
template <class T>
double volume(const Problem<T>& problem);

// The error of a bad entry of the density, for whoever finds it elsewhere (on a device).
InvalidValue bad_voxel(double value, index_t i, index_t j, index_t k);

// Bytes that one call allocates: about 70 for a site, 8 for a voxel and 120 KiB for a thread. Cells of more than 256
// vertices want 230 bytes more for each.
template <class T>
std::size_t workspace_bytes(const Problem<T>& problem, int threads);

}  // namespace deblai::laguerre3
