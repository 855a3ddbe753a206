// What samples with known labels add to their sites. Samples are sorted by label; the run of a site is cut into slices,
// a block each, whose sums are added from left to right.
#pragma once

#include "deblai/view.hpp"
#include "tile.cuh"

namespace deblai::cuda {

// Squared distances to the labels' sites, in float64; `index` becomes 0, 1, ..., parts the energies of tiles. `gain`:
// what a sample weighs beside its weight where energies are other powers, squared^power, 0 at a site; null: squares.
template <class T>
__global__ void __launch_bounds__(block_threads)
    spend(Matrix<const T> x, Vector<const T> weights, Matrix<const T> sites, const std::uint32_t* label,
          std::uint32_t* index, Vector<std::int32_t> labels, Vector<T> cost, double power, double near, double* gain,
          double* parts) {
    const index_t begin = blockIdx.x * tile_size, end = begin + tile_size < x.rows ? begin + tile_size : x.rows;
    double energy = 0;
    for (index_t i = begin + threadIdx.x; i < end; i += block_threads) {
        const index_t j = label[i];
        double squared = 0;
        for (index_t a = 0; a < x.cols; ++a) {
            const double r = static_cast<double>(x(i, a)) - static_cast<double>(sites(j, a));
            squared += r * r;
        }
        double factor = 1;
        if (gain) {
            factor = pow(squared, power);
            gain[i] = squared > near ? factor : 0.0;
            if (squared == 0) factor = 0;
        }
        energy += (weights ? static_cast<double>(weights(i)) : 1.0) * factor * squared;
        index[i] = static_cast<std::uint32_t>(i);
        if (labels) labels(i) = static_cast<std::int32_t>(j);
        if (cost) cost(i) = static_cast<T>(squared);
    }
    energy = block_sum(energy);
    if (threadIdx.x == 0) parts[blockIdx.x] = energy;
}

// begin[j] = the first place of a label >= j in sorted order, for j in [0, k].
static __global__ void __launch_bounds__(block_threads)
    find_runs(const std::uint32_t* sorted, index_t n, index_t k, index_t* begin) {
    const index_t j = blockIdx.x * index_t{block_threads} + threadIdx.x;
    if (j > k) return;
    index_t low = 0, high = n;
    while (low < high) {
        const index_t middle = low + (high - low) / 2;
        if (static_cast<index_t>(sorted[middle]) < j)
            low = middle + 1;
        else
            high = middle;
    }
    begin[j] = low;
}

inline constexpr int run_columns = 4;  // sums of one thread at a time; the mass is column 0

// partial(j, s, :) = mass, with gains also pull and stillness, and sum of slice s of the run of site j. Grid (sites,
// slices).
template <class T>
__global__ void __launch_bounds__(block_threads)
    sum_runs(Matrix<const T> x, Vector<const T> weights, const std::uint32_t* order, const index_t* begin,
             const double* gain, double* partial) {
    const index_t j = blockIdx.x, s = blockIdx.y, slices = gridDim.y, head = gain ? 3 : 1, width = x.cols + head;
    const index_t length = begin[j + 1] - begin[j];
    const index_t from = begin[j] + length * s / slices, to = begin[j] + length * (s + 1) / slices;
    for (index_t a0 = 0; a0 < width; a0 += run_columns) {
        double sum[run_columns] = {};
        for (index_t p = from + threadIdx.x; p < to; p += block_threads) {
            const index_t i = order[p];
            const double w = weights ? static_cast<double>(weights(i)) : 1.0, g = gain ? w * gain[i] : w;
#pragma unroll
            for (int c = 0; c < run_columns; ++c) {
                const index_t a = a0 + c;
                if (a >= width) continue;
                if (a >= head)
                    sum[c] += g * static_cast<double>(x(i, a - head));
                else
                    sum[c] += a == 0 ? w : a == 1 ? g : gain[i] == 0 ? w : 0.0;
            }
        }
#pragma unroll
        for (int c = 0; c < run_columns; ++c) {
            const double total = block_sum(sum[c]);
            if (threadIdx.x == 0 && a0 + c < width) partial[(j * slices + s) * width + a0 + c] = total;
            __syncthreads();
        }
    }
}

// total(j, a) = sum over slices of partial(j, s, a).
static __global__ void __launch_bounds__(block_threads)
    add_slices(const double* partial, index_t count, index_t slices, index_t width, double* total) {
    const index_t e = blockIdx.x * index_t{block_threads} + threadIdx.x;
    if (e >= count * width) return;
    double sum = 0;
    for (index_t s = 0; s < slices; ++s) sum += partial[((e / width) * slices + s) * width + e % width];
    total[e] = sum;
}

}  // namespace deblai::cuda
