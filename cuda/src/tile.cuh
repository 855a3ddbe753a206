// Rows cut into tiles of fixed length, a block of threads each, and sums in a fixed order: a tree in the block, then
// the tiles of a row from left to right. Kernels over tiles run on a grid (tiles, rows).
#pragma once

#include <cub/block/block_reduce.cuh>

#include "deblai/hd.hpp"

namespace deblai::cuda {

inline constexpr int block_threads = 256;
inline constexpr int tile_items = 8;  // of one thread
inline constexpr index_t tile_size = block_threads * tile_items;

inline index_t tiles(index_t n) { return (n + tile_size - 1) / tile_size; }
inline dim3 tile_grid(index_t n, index_t rows) {
    return dim3(static_cast<unsigned>(tiles(n)), static_cast<unsigned>(rows));
}

// The sum over the block; thread 0 has it.
template <class V>
__device__ V block_sum(V value) {
    using Reduce = cub::BlockReduce<V, block_threads>;
    __shared__ typename Reduce::TempStorage storage;
    return Reduce(storage).Sum(value);
}

// sums[row] = sum of parts[row * count ...] / divisor, one block a row.
template <class V>
__global__ void __launch_bounds__(block_threads) sum_rows(const V* parts, index_t count, V divisor, V* sums) {
    const V* const row = parts + blockIdx.x * count;
    V sum{0};
    for (index_t k = threadIdx.x; k < count; k += block_threads) sum += row[k];
    sum = block_sum(sum);
    if (threadIdx.x == 0) sums[blockIdx.x] = sum / divisor;
}

}  // namespace deblai::cuda
