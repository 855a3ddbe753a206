// What the kernels over sites and cells share, in the plane and in space: a thread an item, boxes by atomics on keys,
// sums in a fixed order.
#pragma once

#include <cstring>

#include "call.cuh"
#include "tile.cuh"

namespace deblai::cuda::laguerre {

using flat_index = unsigned long long;

inline dim3 item_grid(index_t n) { return dim3(static_cast<unsigned>((n + block_threads - 1) / block_threads)); }
__device__ inline index_t item() { return blockIdx.x * index_t{block_threads} + threadIdx.x; }

// Doubles as integers of the same order.
__device__ inline flat_index ordered(double v) {
    const auto bits = static_cast<flat_index>(__double_as_longlong(v));
    return bits >> 63 ? ~bits : bits | flat_index{1} << 63;
}
DEBLAI_HD double unordered(flat_index key) {
    const flat_index bits = key >> 63 ? key & ~(flat_index{1} << 63) : ~key;
    double v;
    std::memcpy(&v, &bits, sizeof v);
    return v;
}

// The least of a block's values goes to *least.
__device__ inline void block_least(flat_index value, flat_index* least) {
    __shared__ flat_index shared[block_threads];
    const int t = threadIdx.x;
    shared[t] = value;
    for (int half = block_threads / 2; half > 0; half /= 2) {
        __syncthreads();
        if (t < half && shared[t + half] < shared[t]) shared[t] = shared[t + half];
    }
    __syncthreads();
    if (t == 0) atomicMin(least, shared[0]);
    __syncthreads();
}

template <class V>
void fetch(const Call& call, V* to, const V* from, std::size_t count) {
    call.check(cudaMemcpyAsync(to, from, count * sizeof(V), cudaMemcpyDeviceToHost, call.stream()), "cudaMemcpyAsync");
    call.wait();
}

// Sums of tiles, to be added by sum_rows.
template <class V>
__global__ void __launch_bounds__(block_threads) add_tiles(const V* values, index_t count, V* parts) {
    const index_t end = min(count, (blockIdx.x + 1) * tile_size);
    V sum{0};
    for (index_t i = blockIdx.x * tile_size + threadIdx.x; i < end; i += block_threads) sum += values[i];
    sum = block_sum(sum);
    if (threadIdx.x == 0) parts[blockIdx.x] = sum;
}

}  // namespace deblai::cuda::laguerre
