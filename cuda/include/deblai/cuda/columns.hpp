// Moves of one particle of columns on a GPU: what deblai/columns.hpp says of `price`, for arrays in device memory.
// Friesecke, Schulz and Voegler, "Genetic column generation", SIAM J. Sci. Comput. 44, 2022.
#pragma once

#include "deblai/columns.hpp"
#include "deblai/cuda/error.hpp"

namespace deblai::cuda::columns {

// Arrays of `problem` are device pointers, `gain` and `to` arrays of the host. Sites out of range are undefined.
// `stream` is a cudaStream_t of `device`; the call returns when its work is done. Workspace: 8 m n + 12 m N bytes.
void price(const deblai::columns::Problem& problem, double* gain, std::int32_t* to, void* stream, int device);

}  // namespace deblai::cuda::columns
