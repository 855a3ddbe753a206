// Exact cells of a Laguerre (power) diagram of the plane, in a box or on its torus, or in a convex polygon:
//   V_i = {x : |x - y_i|^2 - psi_i <= |x - y_j|^2 - psi_j for all j},
// Voronoi cells where all psi are equal. Each cell is clipped by the sites that can reach it, near ones first, found in
// a tree of boxes; nothing is approximated and no number of neighbours is assumed.
//   value = sum_i int_{V_i} (|x - y_i|^2 - psi_i) drho,   d value / d y_i = 2 m_i (y_i - b_i),   d value / d psi_i =
//   -m_i
// with m_i the mass and b_i the mean of V_i; value + <psi, nu> is the semi-discrete dual (Aurenhammer, Hoffmann and
// Aronov, Algorithmica 1998; Merigot, CGF 2011). Security radius: Levy and Bonneel, IMR 2012.
#pragma once

#include <cstddef>
#include <cstdint>

#include "deblai/error.hpp"
#include "deblai/facet.hpp"
#include "deblai/parallel.hpp"
#include "deblai/view.hpp"

namespace deblai::laguerre {

// What a measure of the plane is beyond pixels of a box; null where it is not. Not on a torus.
struct Form {
    Matrix<const double> corners;    // (k, 2) of a convex polygon in the box, counter-clockwise; null: the box itself
    Matrix<const double> gaussians;  // (c, 6): weights, means, covariances xx, xy, yy; restricted to the polygon or box
    Matrix<const double> points;     // (m, 2) of a mesh, on whose triangles the density is linear
    Matrix<const std::int64_t> triangles;  // (t, 3); none on top of another; those without an area hold nothing
    Vector<const double> values;           // (m,) density at the points
};

// Who is across the edges of each cell of other psi, as `Graph` says it.
struct Known {
    Vector<const std::int32_t> begin, across;
};

template <class T>
struct Problem {
    Matrix<const T> sites;  // (n, 2); anywhere: on the torus they are wrapped
    Vector<const T> psi;    // (n,); null: zeros
    double lower[2], upper[2];
    Matrix<const T> density;  // (nx, ny) pixels that fill the box, axis k is coordinate k; null: uniform
    bool periodic = false;
    Form form = {};  // with density null
    // Cells are clipped by these neighbours and by whoever is a neighbour of a neighbour, and by no others; no tree is
    // built, which takes a fraction of the time. What comes out holds the true cell, so that it is the true cell for
    // all where the areas of Summary add up to that of the whole. The CPU alone.
    Known known = {};
};

// d mass_i / d psi_j = -coupling for every j across an edge of cell i: rows of a sparse matrix, in the caller's order.
// Edges to images of the same site are left out; several to images of one j follow one another as they come. A plane
// has at most 6 n entries, and rounding may add a few.
struct Graph {
    Vector<std::int32_t> begin;   // (n + 1); null: not wanted. Holds the running sums, also where the room is too small
    Vector<std::int32_t> across;  // sites; nothing is written where the room is too small
    Vector<double> coupling;      // int drho ds / (2 |y_j - y_i|)
    Vector<double> bare;          // the same of the uniform density; null: not wanted
};

// Of equal sites with equal psi the first has the cell. An empty cell has mass 0, count 0 and its site as centroid.
template <class T>
struct Output {
    Vector<T> mass;
    Matrix<T> centroid;          // near the site, also on the torus
    Vector<T> second_moment;     // int |x - y_i|^2 drho
    Vector<std::int64_t> count;  // vertices of each cell
    Matrix<T> grad_sites;        // of value; null: not wanted
    Graph graph = {};            // the CPU alone
};

// The cells done: all n, or fewer after a stop; mass and centroid of the others are NaN, as energy and value then are.
struct Summary {
    index_t done;
    double energy;  // sum of second moments
    double value;
    index_t entries = 0;  // of the graph; those of Output::graph are written where they had room
    double area = 0;      // of all cells; the CPU alone
};

// Throws InvalidValue where shapes do not fit; every backend's first step.
template <class T>
void require_shapes(const Problem<T>& problem);

// Throws InvalidValue for NaN or infinite entries and densities without mass.
template <class T>
Summary cells(const Problem<T>& problem, const Output<T>& output, const Control& control = {});

// The polygons, counter-clockwise: vertices offsets(i) .. offsets(i + 1) are those of cell i, and neighbours(k) is the
// site across the edge from vertex k to the next, -1 for the border of the box. `offsets` holds the running sums of
// Output::count, from a call with the same problem (its density does not matter) and instruction set; cells of count 0
// are not computed. Returns the number of cells done.
template <class T>
index_t polygons(const Problem<T>& problem, Vector<const std::int64_t> offsets, Matrix<T> vertices,
                 Vector<std::int64_t> neighbours, const Control& control = {});

// What lies along the edges of the polygons, one row for each in the order of `polygons`, with v = x - y_i and the line
// element ds; where an edge runs along the border of pixels or of a mesh, the mean of both sides. Null: not wanted.
template <class T>
struct Facets {
    Vector<T> mass;    // int drho ds
    Matrix<T> first;   // int v drho ds, (total, 2)
    Matrix<T> second;  // int v v^T drho ds: xx, xy, yx, yy, (total, 4)
    Matrix<T> offset;  // y_j - y_i, to the image across on the torus; 0 at the border of the box, (total, 2)
    Vector<std::int64_t> neighbours = {};  // as those of `polygons`

    DEBLAI_HD void write(index_t row, const FacetMoments& m, Point across) const {
        if (mass) mass(row) = static_cast<T>(m.mass);
        if (first) first(row, 0) = static_cast<T>(m.x), first(row, 1) = static_cast<T>(m.y);
        if (offset) offset(row, 0) = static_cast<T>(across.x), offset(row, 1) = static_cast<T>(across.y);
        if (!second) return;
        second(row, 0) = static_cast<T>(m.xx);
        second(row, 1) = second(row, 2) = static_cast<T>(m.xy);
        second(row, 3) = static_cast<T>(m.yy);
    }
};

// Throws InvalidValue where what is wanted does not have a row for each of `total` edges.
template <class T>
void require_rows(const Facets<T>& output, index_t total);

// With `offsets` as in `polygons`. Returns the number of cells done.
template <class T>
index_t facets(const Problem<T>& problem, Vector<const std::int64_t> offsets, const Facets<T>& output,
               const Control& control = {});

// The integral of min_i (|x - y_i|^2 - psi_i) over every pixel of the density, whose values do not matter: what the
// dual of transport changes by with the density there. False after a stop.
template <class T>
bool potential(const Problem<T>& problem, Matrix<double> output, const Control& control = {});

// Bytes that one call allocates: about 53 for a site, 8 for a pixel, 200 for a triangle and 50 KiB for a thread; a
// graph wants about 120 more for a site. Cells of more than 256 vertices want 160 bytes more for each.
template <class T>
std::size_t workspace_bytes(const Problem<T>& problem, int threads);

// The errors of these checks, for whoever finds a bad entry elsewhere (on a device). Magnitudes below these are taken.
inline constexpr double most_site = 1e100, most_psi = 1e200;
InvalidValue bad_entry(const char* argument, double most, double value, index_t row, index_t col);
InvalidValue bad_pixel(double value, index_t i, index_t j);
InvalidValue bad_mass(double total, const char* argument = "measure.values");

}  // namespace deblai::laguerre
