// Exact cells of a Laguerre (power) diagram of the plane, in a box or on its torus:
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
#include "deblai/parallel.hpp"
#include "deblai/view.hpp"

namespace deblai::laguerre {

template <class T>
struct Problem {
    Matrix<const T> sites;  // (n, 2); anywhere: on the torus they are wrapped
    Vector<const T> psi;    // (n,); null: zeros
    double lower[2], upper[2];
    Matrix<const T> density;  // (nx, ny) pixels that fill the box, axis k is coordinate k; null: uniform
    bool periodic = false;
};

// Of equal sites with equal psi the first has the cell. An empty cell has mass 0, count 0 and its site as centroid.
template <class T>
struct Output {
    Vector<T> mass;
    Matrix<T> centroid;          // near the site, also on the torus
    Vector<T> second_moment;     // int |x - y_i|^2 drho
    Vector<std::int64_t> count;  // vertices of each cell
    Matrix<T> grad_sites;        // of value; null: not wanted
};

// The cells done: all n, or fewer after a stop; mass and centroid of the others are NaN, as energy and value then are.
struct Summary {
    index_t done;
    double energy;  // sum of second moments
    double value;
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

// Bytes that one call allocates: about 53 for a site, 8 for a pixel and 50 KiB for a thread. Cells of more than 256
// vertices want 160 bytes more for each.
template <class T>
std::size_t workspace_bytes(const Problem<T>& problem, int threads);

// The errors of these checks, for whoever finds a bad entry elsewhere (on a device). Magnitudes below these are taken.
inline constexpr double most_site = 1e100, most_psi = 1e200;
InvalidValue bad_entry(const char* argument, double most, double value, index_t row, index_t col);
InvalidValue bad_pixel(double value, index_t i, index_t j);
InvalidValue bad_mass(double total);

}  // namespace deblai::laguerre
