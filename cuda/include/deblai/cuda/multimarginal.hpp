// Entropic transport of N marginals on a GPU: what deblai/multimarginal.hpp says, for arrays in device memory.
//   f_p <- -epsilon log sum over x_{-p} of exp((sum_{k!=p} f_k - c) / epsilon) prod_{k!=p} a_k
// (Benamou, Carlier and Nenna 2015). Sums are streamed, with a running maximum, over tiles of 32 rows, columns and
// contracted points; of three marginals or more a tile is a product of kernels stabilised by its own largest entries,
// or summed term by term where such a product could underflow. Sums run in an order that depends on the sizes alone:
// two runs are equal to the bit.
#pragma once

#include "deblai/cuda/error.hpp"
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
template <class T>
deblai::multimarginal::Progress sinkhorn(const deblai::multimarginal::Problem<T>& problem,
                                         const deblai::multimarginal::Schedule& schedule, double* potentials,
                                         double* errors, double* values, void* stream, int device,
                                         bool (*poll)(void*) = nullptr, void* context = nullptr);

template <class T>
deblai::multimarginal::Summary evaluate(const deblai::multimarginal::Problem<T>& problem, const double* potentials,
                                        const deblai::multimarginal::Output<T>& output, void* stream, int device,
                                        bool (*poll)(void*) = nullptr, void* context = nullptr);

}  // namespace deblai::cuda::multimarginal
