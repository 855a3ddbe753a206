// One call on the GPU: its device, its stream, its workspace, and every CUDA status checked.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <utility>

#include "deblai/cuda/error.hpp"

namespace deblai::cuda {

// Makes `device` current for its lifetime.
class Call {
public:
    Call(const char* operation, void* stream, int device);
    ~Call();
    Call(const Call&) = delete;
    Call& operator=(const Call&) = delete;

    // Throws Error("[operation] what: ...") unless the status says success.
    void check(cudaError_t status, const char* what) const;
    // Waits for the stream; errors of the kernels before show here.
    void wait() const;
    int multiprocessors() const;
    cudaStream_t stream() const { return stream_; }
    const char* operation() const { return operation_; }

    template <class... Wanted, class... Given>
    void launch(const char* what, void (*kernel)(Wanted...), dim3 grid, int threads, Given&&... given) const {
        cudaLaunchConfig_t config{};
        config.gridDim = grid;
        config.blockDim = dim3(threads);
        config.stream = stream_;
        check(cudaLaunchKernelEx(&config, kernel, std::forward<Given>(given)...), what);
    }

private:
    const char* operation_;
    cudaStream_t stream_;
    int device_, previous_ = 0;
};

// Device memory of one call, given back in the order of its stream.
class Memory {
public:
    Memory(const Call& call, std::size_t bytes);
    ~Memory();
    Memory(const Memory&) = delete;
    Memory& operator=(const Memory&) = delete;

    std::byte* data() const { return static_cast<std::byte*>(data_); }

private:
    cudaStream_t stream_;
    void* data_ = nullptr;
};

// Cuts one allocation into aligned arrays. The same code lays out twice: first from null, to learn the size.
class Arena {
public:
    explicit Arena(std::byte* base) : base_(base) {}

    template <class V>
    V* take(std::size_t count) {
        const std::size_t at = used_;
        used_ += (count * sizeof(V) + 255) / 256 * 256;
        return base_ ? reinterpret_cast<V*>(base_ + at) : nullptr;
    }
    std::size_t used() const { return used_; }

private:
    std::byte* base_;
    std::size_t used_ = 0;
};

// Bytes that the device can still give, as the driver counts them.
std::size_t free_memory(const Call& call);

}  // namespace deblai::cuda
