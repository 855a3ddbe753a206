// Integrals of powers of the distance from the site over its cell, of the plane and of space: with v = x - y_i, r =
// |v|,
//   energy_i = int_{V_i} r^p drho,   gradient_i = - int p r^(p-2) v drho,
//   second_i = int (p r^(p-2) I + p (p-2) r^(p-4) v v^T) drho, the second derivatives of a fixed cell.
// Where the density is polynomial on polygons, or uniform in space, all are sums over edges and facets by the
// divergence theorem: the integral of r^p over a polygon is the sum of h / (p + 2) int r^p ds over its edges, h the
// distance of their lines; that over a polyhedron the sum of h / (p + 3) int r^p dA over its facets, each of which is
// the integral of (r^p - h^p) / p over the angle at the foot of the site, and so a sum over its edges. With a Gaussian
// density they are integrals over rays from the site.
#pragma once

#include "deblai/laguerre.hpp"
#include "deblai/laguerre3.hpp"

namespace deblai::powers {

// Without psi, which would make other cells. Empty cells have zeros.
struct Output {
    Vector<double> mass, energy;  // (n,)
    Matrix<double> gradient;      // (n, d)
    Matrix<double> second;        // (n, d d) row by row
    Matrix<std::int64_t> counts;  // of laguerre's Output, (n, 1), or of laguerre3's, (n, 3)
};

// 1 <= p < 1000. Returns the number of cells done; others are NaN.
index_t cells(const laguerre::Problem<double>& problem, double p, const Output& output, const Control& control = {});
index_t cells(const laguerre3::Problem<double>& problem, double p, const Output& output, const Control& control = {});

// As `facets` of laguerre and laguerre3, all integrals with the factor r^(p-2): what second derivatives are made of.
index_t facets(const laguerre::Problem<double>& problem, double p, Vector<const std::int64_t> offsets,
               const laguerre::Facets<double>& output, const Control& control = {});
index_t facets(const laguerre3::Problem<double>& problem, double p, Matrix<const std::int64_t> offsets,
               const laguerre3::Facets<double>& output, const Control& control = {});

}  // namespace deblai::powers
