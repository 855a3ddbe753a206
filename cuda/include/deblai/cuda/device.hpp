// The CUDA devices of this machine. Nothing here runs before it is called: a program without a driver can link it.
#pragma once

#include <string>

namespace deblai::cuda {

// 0 where there is no driver, no device, or a driver older than the toolkit.
int device_count() noexcept;

// As the driver names it, "NVIDIA H200". Throws Error for a device that is not there.
std::string device_name(int device);

}  // namespace deblai::cuda
