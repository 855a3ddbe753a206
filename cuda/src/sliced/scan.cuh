// Running sums of many rows. Each tile is scanned by its block, then the tiles' totals are: the running sum at i is
// sums[i] + offsets[tile of i]. No block waits for another, so the order of the sums is fixed.
#pragma once

#include <cub/block/block_scan.cuh>

#include "tile.cuh"

namespace deblai::cuda {

// sums(row, i) = sum of value(row, k) over k <= i in the tile of i; totals(row, tile) is the tile's sum.
template <class V, class Value>
__global__ void __launch_bounds__(block_threads) scan_tiles(index_t size, Value value, V* sums, V* totals) {
    using Scan = cub::BlockScan<V, block_threads>;
    __shared__ typename Scan::TempStorage storage;
    const index_t row = blockIdx.y, begin = blockIdx.x * tile_size + threadIdx.x * tile_items;
    V item[tile_items], total;
#pragma unroll
    for (int k = 0; k < tile_items; ++k) item[k] = begin + k < size ? value(row, begin + k) : V{0};
    Scan(storage).InclusiveSum(item, item, total);
#pragma unroll
    for (int k = 0; k < tile_items; ++k)
        if (begin + k < size) sums[row * size + begin + k] = item[k];
    if (threadIdx.x == 0) totals[row * gridDim.x + blockIdx.x] = total;
}

// Turns the totals of each row's tiles into offsets, one block a row; the row's sum goes to row_sums if wanted.
template <class V>
__global__ void __launch_bounds__(block_threads) scan_totals(index_t count, V* totals, V* row_sums) {
    using Scan = cub::BlockScan<V, block_threads>;
    __shared__ typename Scan::TempStorage storage;
    V* const row = totals + blockIdx.x * count;
    V done{0};
    for (index_t base = 0; base < count; base += block_threads) {
        const index_t k = base + threadIdx.x;
        V before, total;
        Scan(storage).ExclusiveSum(k < count ? row[k] : V{0}, before, total);
        if (k < count) row[k] = done + before;
        done += total;
        __syncthreads();
    }
    if (row_sums && threadIdx.x == 0) row_sums[blockIdx.x] = done;
}

}  // namespace deblai::cuda
