// What calls of multimarginal share: grids, copies, and the question whether to stop.
#pragma once

#include <chrono>

#include "call.cuh"
#include "deblai/hd.hpp"
#include "tile.cuh"

namespace deblai::cuda::multimarginal {

// Asks the caller now and then whether to stop.
class Watch {
public:
    Watch(bool (*poll)(void*), void* context) : poll_(poll), context_(context) {}

    bool stopped() {
        const auto now = std::chrono::steady_clock::now();
        if (!poll_ || stopped_ || now - last_ < std::chrono::milliseconds(50)) return stopped_;
        last_ = now;
        return stopped_ = poll_(context_);
    }
    bool asked() const { return poll_ != nullptr; }

private:
    bool (*poll_)(void*);
    void* context_;
    bool stopped_ = false;
    std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

inline dim3 grid_of(index_t threads) {
    return dim3(static_cast<unsigned>((threads + block_threads - 1) / block_threads));
}

template <class V>
void send(const Call& call, V* to, const V* from, std::size_t count) {
    if (count)
        call.check(cudaMemcpyAsync(to, from, count * sizeof(V), cudaMemcpyHostToDevice, call.stream()),
                   "cudaMemcpyAsync");
}

// Waits.
template <class V>
void fetch(const Call& call, V* to, const V* from, std::size_t count) {
    if (count > 0)
        call.check(cudaMemcpyAsync(to, from, count * sizeof(V), cudaMemcpyDeviceToHost, call.stream()),
                   "cudaMemcpyAsync");
    call.wait();
}

}  // namespace deblai::cuda::multimarginal
