// Errors of the CUDA runtime. Messages read "[operation] call: what the runtime says".
#pragma once

#include <stdexcept>

namespace deblai::cuda {

// deblai.errors.CudaError, a RuntimeError.
struct Error : std::runtime_error {
    using std::runtime_error::runtime_error;
};

// The workspace of a call does not fit on the device; deblai.errors.OutOfMemory, a MemoryError.
struct OutOfMemory : Error {
    using Error::Error;
};

}  // namespace deblai::cuda
