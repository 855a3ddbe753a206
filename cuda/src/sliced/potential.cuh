// Dual potentials from their differences along a sorted row: running sums, centred under the masses, added up by point.
#pragma once

#include "masses.cuh"

namespace deblai::cuda {

// For scan_tiles, in place: f_0 = 0.
struct PotentialStep {
    const double* step;
    index_t size;
    __device__ double operator()(index_t row, index_t i) const { return i > 0 ? step[row * size + i] : 0.0; }
};

// parts(row, tile) = sum over the tile of the masses times the potential.
template <class Rows>
__global__ void __launch_bounds__(block_threads)
    weigh_potentials(index_t size, Rows masses, typename Rows::mass_t total, const double* sums, const double* offsets,
                     double* parts) {
    const index_t row = blockIdx.y, tile = blockIdx.x;
    const auto A = masses(row);
    const double offset = offsets[row * gridDim.x + tile], unit = 1.0 / static_cast<double>(total);
    double sum = 0;
    for (index_t i = tile * tile_size + threadIdx.x; i < size && i < (tile + 1) * tile_size; i += block_threads) {
        const auto mass = i > 0 ? A(i) - A(i - 1) : A(i);
        sum += static_cast<double>(mass) * unit * (sums[row * size + i] + offset);
    }
    sum = block_sum(sum);
    if (threadIdx.x == 0) parts[row * gridDim.x + tile] = sum;
}

// potentials(row, point) = (f - mean) * factor
template <class T>
__global__ void __launch_bounds__(block_threads)
    centre_potentials(index_t size, const std::uint32_t* index, const double* sums, const double* offsets,
                      const double* means, double factor, T* potentials) {
    const index_t row = blockIdx.y, tile = blockIdx.x;
    const double shift = offsets[row * gridDim.x + tile] - means[row];
    for (index_t i = tile * tile_size + threadIdx.x; i < size && i < (tile + 1) * tile_size; i += block_threads)
        potentials[row * size + index[row * size + i]] = static_cast<T>((sums[row * size + i] + shift) * factor);
}

// grad(i) += sum over rows of potentials(row, i), in T and over ascending rows: chunks do not change the result.
template <class T>
__global__ void __launch_bounds__(block_threads) add_potentials(const T* potentials, index_t rows, Vector<T> grad) {
    const index_t i = blockIdx.x * index_t{block_threads} + threadIdx.x;
    if (i >= grad.size) return;
    T sum = grad(i);
    for (index_t row = 0; row < rows; ++row) sum += potentials[row * grad.size + i];
    grad(i) = sum;
}

}  // namespace deblai::cuda
