// Descents of the energy of quantization from many starts, several at a time:
//   E(y) = sum_i int_{V_i} |x - y_i|^p drho,  V_i the cells of Voronoi.
// Each is L-BFGS preconditioned by the curvatures of fixed cells until the residual is small, then Newton's method with
// the exact Hessian in a trust region (Steihaug, SIAM J. Numer. Anal. 20, 1983) as long as that halves the residual in
// each step. A descent runs on one thread, so that results do not depend on how many there are. The CPU alone.
#pragma once

#include <cstdint>

#include "deblai/powers.hpp"

namespace deblai::descents {

struct Options {
    double p = 2, tol = 1e-12;
    int max_iter = 2000;
    bool invariant = false;  // whether all sites may move alike without a change
};

// Why a descent ended: the residual is no larger than tol or is rounding; no step lowers the energy; max_iter; a cell
// has no mass; a stop.
enum class End : std::int64_t { converged, stuck, steps, empty, stopped };

// One row a descent. Sites of a cell without mass are moved by others, who go on from there.
struct Output {
    Matrix<double> sites;         // (runs, n d): the starts, and where they went
    Matrix<double> history;       // (runs, max_iter + 1): the energies
    Vector<std::int64_t> n_iter;  // (runs,): how often the sites moved; -1 where none was looked at
    Vector<std::int64_t> end;     // (runs,): an End
};

// `problem.sites` has the shape of one row. False after a stop.
bool descend(const laguerre::Problem<double>& problem, const Options& options, const Output& output,
             const Control& control = {});
bool descend(const laguerre3::Problem<double>& problem, const Options& options, const Output& output,
             const Control& control = {});

}  // namespace deblai::descents
