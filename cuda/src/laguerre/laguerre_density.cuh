// Pixels of the plane and voxels of space on the device: checked, summed, and put as the cells read them.
#pragma once

#include "laguerre/laguerre_items.cuh"

namespace deblai::cuda::laguerre {

// Copies voxel (i, j, k) to out[(k ny + j) nx + i], finds the first bad one, and leaves the sum of each tile.
template <class T>
__global__ void __launch_bounds__(block_threads)
    lay_out(Volume<const T> values, double* out, flat_index* first, double* parts) {
    const index_t nx = values.size[0], ny = values.size[1], nz = values.size[2];
    const index_t count = nx * ny * nz, end = min(count, (blockIdx.x + 1) * tile_size);
    double sum = 0;
    for (index_t at = blockIdx.x * tile_size + threadIdx.x; at < end; at += block_threads) {
        const index_t k = at % nz, j = at / nz % ny, i = at / nz / ny;
        const double v = static_cast<double>(values(i, j, k));
        if (!(v >= 0 && v - v == 0)) atomicMin(first, static_cast<flat_index>(at));
        sum += out[(k * ny + j) * nx + i] = v;
    }
    sum = block_sum(sum);
    if (threadIdx.x == 0) parts[blockIdx.x] = sum;
}

template <class T>
Volume<const T> as_volume(const Matrix<const T>& m) {
    return {m.data, {m.rows, m.cols, 1}, {m.row_stride, m.col_stride, 0}};
}

// (V: one copy a file.)
template <class V>
__global__ void __launch_bounds__(block_threads) divide(V* values, index_t count, V by) {
    if (item() < count) values[item()] /= by;
}

// The sum of all, and the first bad one put into *first; `parts` has room for a number a tile, *total is on the device.
template <class T>
void weigh(const Call& call, const Volume<const T>& values, double* out, flat_index* first, double* parts,
           double* total) {
    const index_t count = values.size[0] * values.size[1] * values.size[2];
    call.launch("lay_out", lay_out<T>, dim3(static_cast<unsigned>(tiles(count))), block_threads, values, out, first,
                parts);
    call.launch("sum_rows", sum_rows<double>, dim3(1), block_threads, parts, tiles(count), 1.0, total);
}

}  // namespace deblai::cuda::laguerre
