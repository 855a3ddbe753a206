// Laguerre cells on a GPU: what deblai/laguerre.hpp says, for arrays in device memory; one thread a cell. Cells of more
// vertices than a thread keeps are done again with more room, as often as it takes. Two runs are equal to the bit.
#pragma once

#include "deblai/cuda/error.hpp"
#include "deblai/laguerre.hpp"

namespace deblai::cuda::laguerre {

// Arrays of `problem` and `output` are device pointers with any strides, those of its form on the host. `stream` is a
// cudaStream_t of `device`; the call returns when its work is done. Between rounds of cells poll(context) is asked:
// true stops. Throws InvalidValue as the CPU kernel does, Error, and OutOfMemory with the bytes wanted. Workspace:
// about 75 bytes a site (32 more where sites share a place of the curve), 8 a pixel, 120 a triangle, and 64 MiB where
// cells are done again. Polygons may begin at another vertex than those of the CPU.
template <class T>
deblai::laguerre::Summary cells(const deblai::laguerre::Problem<T>& problem, const deblai::laguerre::Output<T>& output,
                                void* stream, int device, bool (*poll)(void*) = nullptr, void* context = nullptr);

template <class T>
index_t polygons(const deblai::laguerre::Problem<T>& problem, Vector<const std::int64_t> offsets, Matrix<T> vertices,
                 Vector<std::int64_t> neighbours, void* stream, int device, bool (*poll)(void*) = nullptr,
                 void* context = nullptr);

template <class T>
index_t facets(const deblai::laguerre::Problem<T>& problem, Vector<const std::int64_t> offsets,
               const deblai::laguerre::Facets<T>& output, void* stream, int device, bool (*poll)(void*) = nullptr,
               void* context = nullptr);

}  // namespace deblai::cuda::laguerre
