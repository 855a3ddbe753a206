#include "call.cuh"

#include <string>

namespace deblai::cuda {

Call::Call(const char* operation, void* stream, int device)
    : operation_(operation), stream_(static_cast<cudaStream_t>(stream)), device_(device) {
    check(cudaGetDevice(&previous_), "cudaGetDevice");
    if (device_ != previous_) check(cudaSetDevice(device_), "cudaSetDevice");
}

Call::~Call() {
    if (device_ != previous_) cudaSetDevice(previous_);
}

void Call::check(cudaError_t status, const char* what) const {
    if (status == cudaSuccess) return;
    cudaGetLastError();  // what has been reported here is not reported again
    throw Error(std::string("[") + operation_ + "] " + what + ": " + cudaGetErrorString(status));
}

void Call::wait() const { check(cudaStreamSynchronize(stream_), "cudaStreamSynchronize"); }

int Call::multiprocessors() const {
    int count = 0;
    check(cudaDeviceGetAttribute(&count, cudaDevAttrMultiProcessorCount, device_), "cudaDeviceGetAttribute");
    return count;
}

Memory::Memory(const Call& call, std::size_t bytes) : stream_(call.stream()) {
    const cudaError_t status = cudaMallocAsync(&data_, bytes, stream_);
    if (status == cudaErrorMemoryAllocation) {
        cudaGetLastError();
        throw OutOfMemory(std::string("[") + call.operation() + "] cudaMallocAsync: " + cudaGetErrorString(status) +
                          ", the workspace of this call takes " + std::to_string(bytes) + " bytes");
    }
    call.check(status, "cudaMallocAsync");
}

Memory::~Memory() {
    if (data_) cudaFreeAsync(data_, stream_);
}

std::size_t free_memory(const Call& call) {
    std::size_t free = 0, total = 0;
    call.check(cudaMemGetInfo(&free, &total), "cudaMemGetInfo");
    return free;
}

}  // namespace deblai::cuda
