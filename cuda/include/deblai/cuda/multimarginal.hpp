// Entropic transport of N marginals on a GPU: what deblai/multimarginal.hpp says, for arrays in device memory.
//   f_p <- -epsilon log sum over x_{-p} of exp((sum_{k!=p} f_k - c) / epsilon) prod_{k!=p} a_k
// (Benamou, Carlier and Nenna 2015). Sums are streamed, with a running maximum, over tiles of 32 rows, columns and
// contracted points; of three marginals or more a tile is a product of kernels stabilised by its own largest entries,
// or summed term by term where such a product could underflow. Sums run in an order that depends on the sizes alone:
// two runs are equal to the bit. Where edges are given, messages go along a junction tree as on the CPU
// (deblai/multimarginal-graph.hpp): what leaves one variable is streamed and stays with the host, tables over more are
// made on the device, and stay there.
#pragma once

#include "deblai/cuda/error.hpp"
#include "deblai/multimarginal-minimum.hpp"
#include "deblai/multimarginal.hpp"

namespace deblai::cuda::multimarginal {

// Points, weights, costs and the arrays of `output` are device pointers with any strides; potentials, errors and values
// are the host's. `stream` is a cudaStream_t of `device`; the call returns when its work is done. About every 50 ms
// poll(context) is asked: true stops. Throws InvalidValue as the CPU kernel does, Error, and OutOfMemory with the bytes
// wanted.
//
// Workspace, with n_p rounded up to whole tiles of 32: sizeof(T) * n_p * n_q for the costs of each ordered pair (one
// pair in symmetric mode), about 2.07 times that for three marginals or more, none for two marginals given by points;
// sums of tiles, 16 * (n_p * n_q / 32 + 32768) bytes of the largest pair, of two marginals 16 * (n_p + 32768); for
// `evaluate` of three marginals or more one plan of a pair.
//
// Where edges are given, of w + 1 variables in the largest bag: the tables of all messages at once and those of one
// elimination, demand(...).tables bytes of deblai/multimarginal-graph.hpp, none on trees (w = 1), about 2 N sizeof(T)
// n^w else; beside them d * n_p * sizeof(T) + 4 n_p for points and their order, 16 * (2 n + 32768) + 40 n bytes of the
// longest marginal, for `evaluate` 8 * n_p, and 8 d n_p for gradients. Matrices of costs are read where they are.
template <class T>
deblai::multimarginal::Progress sinkhorn(const deblai::multimarginal::Problem<T>& problem,
                                         const deblai::multimarginal::Schedule& schedule, double* potentials,
                                         double* errors, double* values, void* stream, int device,
                                         bool (*poll)(void*) = nullptr, void* context = nullptr);

template <class T>
deblai::multimarginal::Summary evaluate(const deblai::multimarginal::Problem<T>& problem, const double* potentials,
                                        const deblai::multimarginal::Output<T>& output, void* stream, int device,
                                        bool (*poll)(void*) = nullptr, void* context = nullptr);

// As deblai::multimarginal::pair_plan: the plan's marginal of any two marginals p < q of a problem with edges. False
// after a stop.
template <class T>
bool pair_plan(const deblai::multimarginal::Problem<T>& problem, const double* potentials, int p, int q, Matrix<T> plan,
               void* stream, int device, bool (*poll)(void*) = nullptr, void* context = nullptr);

// The least reduced cost of a problem with edges, exactly, as deblai::multimarginal::minimum says: in float64, and so
// are its tables. After a stop nothing is known.
template <class T>
deblai::multimarginal::Minimum graph_minimum(const deblai::multimarginal::Problem<T>& problem, const double* potentials,
                                             void* stream, int device, bool (*poll)(void*) = nullptr,
                                             void* context = nullptr);

}  // namespace deblai::cuda::multimarginal
