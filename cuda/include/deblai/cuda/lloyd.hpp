// One step of Lloyd's algorithm (k-means) on a GPU: what deblai/lloyd.hpp says, for arrays in device memory.
//   label(i) = argmin_j |x_i - y_j|, the lowest j of equals     energy = sum_i w_i |x_i - y_label(i)|^2
// Lloyd, IEEE Transactions on Information Theory 28, 1982. Squared distances by direct differences, in tiles of shared
// memory; sums by sorting the samples by label. Sums run in an order that depends on the sizes alone: two runs are
// equal to the bit.
#pragma once

#include "deblai/cuda/error.hpp"
#include "deblai/lloyd.hpp"

namespace deblai::cuda::lloyd {

// Arrays of `problem` and `output` are device pointers with any strides, but for output.mass and output.sum, doubles of
// the host. `stream` is a cudaStream_t of `device`; the call returns when its work is done. Every few tens of
// milliseconds poll(context) is asked: true stops, and the energy is NaN.
// Throws InvalidValue as the CPU kernel does, Error, and OutOfMemory with the bytes wanted.
//
// Workspace: 16 bytes a sample, what cub::DeviceRadixSort wants to sort n pairs (about 8 bytes a sample), and
//   8 k (d + 1) (1 + slices), slices = n / (2048 k), between 1 and 64.
template <class T>
double assign(const deblai::lloyd::Problem<T>& problem, const deblai::lloyd::Output<T>& output, void* stream,
              int device, bool (*poll)(void*) = nullptr, void* context = nullptr);

// k-means++; `uniforms` and `chosen` are arrays of the host. Workspace: sizeof(T) bytes a sample and a little more.
template <class T>
index_t seed(Matrix<const T> x, Vector<const T> weights, Vector<const double> uniforms, Vector<std::int32_t> chosen,
             void* stream, int device, bool (*poll)(void*) = nullptr, void* context = nullptr);

}  // namespace deblai::cuda::lloyd
