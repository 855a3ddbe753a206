// Cost, slopes and potential differences of sorted rows: the monotone coupling. Kernels run on a grid (tiles, rows);
// each block leaves its share of the cost in parts(row, tile).
#pragma once

#include "deblai/cost.hpp"
#include "tile.cuh"

namespace deblai::cuda {

// What a block of the walk leaves of the slopes of the points that it shares with its neighbours.
struct Edge {
    double head;  // of the point at which it begins
    double tail;  // of the point `at` at which it ends, if it moved there from another one
    index_t at;
    bool moved;
};

// One of the two clouds in a chunk of directions; every array has a row of `size` a direction.
template <class T>
struct Cloud {
    index_t size;
    const T* value;              // sorted projections
    const std::uint32_t* index;  // the points that they belong to; null unless a gradient is wanted
    T* slope;                    // out: derivatives of the cost times `scale`, by point; null: not wanted
    double* step;                // out: f_i - f_{i-1} of a dual potential, sorted; null: not wanted
    Edge* edge;                  // one a block of the walk

    __device__ Cloud row(index_t r) const {
        const auto at = [](auto* p, index_t offset) { return p ? p + offset : p; };
        const index_t o = r * size;
        return {size, value + o, at(index, o), at(slope, o), at(step, o), at(edge, r * gridDim.x)};
    }
};

// Equal weights and equal sizes: the i-th smallest goes to the i-th smallest. Slopes are multiplied by `factor`.
template <class T>
__global__ void __launch_bounds__(block_threads)
    match(Cloud<T> clouds_x, Cloud<T> clouds_y, PowerCost c, double factor, double* parts) {
    const index_t row = blockIdx.y, tile = blockIdx.x;
    const Cloud<T> x = clouds_x.row(row), y = clouds_y.row(row);
    double cost = 0;
#pragma unroll
    for (int k = 0; k < tile_items; ++k) {
        const index_t i = tile * tile_size + k * block_threads + threadIdx.x;
        if (i >= x.size) break;
        const double d = static_cast<double>(x.value[i]) - static_cast<double>(y.value[i]);
        if (x.slope || y.slope) {
            const PowerCost::Term term = c.term(d);
            cost += term.cost;
            if (x.slope) x.slope[x.index[i]] = static_cast<T>(term.slope * factor);
            if (y.slope) y.slope[y.index[i]] = static_cast<T>(-term.slope * factor);
        } else {
            cost += c.cost(d);
        }
    }
    cost = block_sum(cost);
    if (threadIdx.x == 0) parts[row * gridDim.x + tile] = cost;
}

}  // namespace deblai::cuda
