#include "deblai/cuda/device.hpp"

#include <cuda_runtime.h>

#include "deblai/cuda/error.hpp"

namespace deblai::cuda {

int device_count() noexcept {
    int count = 0;
    if (cudaGetDeviceCount(&count) == cudaSuccess) return count;
    cudaGetLastError();
    return 0;
}

std::string device_name(int device) {
    cudaDeviceProp properties;
    const cudaError_t status = cudaGetDeviceProperties(&properties, device);
    if (status == cudaSuccess) return properties.name;
    cudaGetLastError();
    throw Error(std::string("[device_name] cudaGetDeviceProperties: ") + cudaGetErrorString(status));
}

}  // namespace deblai::cuda
