// Laguerre cells of space on a GPU: what deblai/laguerre3.hpp says, for arrays in device memory; one thread a cell.
// Cells of more vertices than a thread keeps are done again with more room, as often as it takes. Two runs are equal to
// the bit.
#pragma once

#include "deblai/cuda/error.hpp"
#include "deblai/laguerre3.hpp"

namespace deblai::cuda::laguerre3 {

// Arrays of `problem` and `output` are device pointers with any strides, but for `planes`, which lie in host memory.
// `stream` is a cudaStream_t of `device`; the call returns when its work is done. Between rounds of cells poll(context)
// is asked: true stops. Throws InvalidValue as the CPU kernel does, Error, and OutOfMemory with the bytes wanted.
// Workspace: about 100 bytes a site (48 more where sites share a place of the curve), 8 a voxel, and 256 MiB where
// cells are done again. The driver keeps 10 KiB (with voxels 15) for each thread that the device can run at a time.
template <class T>
deblai::laguerre3::Summary cells(const deblai::laguerre3::Problem<T>& problem,
                                 const deblai::laguerre3::Output<T>& output, void* stream, int device,
                                 bool (*poll)(void*) = nullptr, void* context = nullptr);

// With the running sums of the counts that `cells` gave here for the same problem, density and all. Facets and vertices
// come in another order than on the CPU.
template <class T>
index_t polyhedra(const deblai::laguerre3::Problem<T>& problem, const deblai::laguerre3::Polyhedra<T>& output,
                  void* stream, int device, bool (*poll)(void*) = nullptr, void* context = nullptr);

template <class T>
index_t facets(const deblai::laguerre3::Problem<T>& problem, Matrix<const std::int64_t> offsets,
               const deblai::laguerre3::Facets<T>& output, void* stream, int device, bool (*poll)(void*) = nullptr,
               void* context = nullptr);

}  // namespace deblai::cuda::laguerre3
