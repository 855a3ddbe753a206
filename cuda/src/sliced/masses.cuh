// Cumulative masses of sorted points. Weights become 64-bit integers, w 2^s with the sum just below 2^62: their
// running sums are exact, so equal in any order, and never decrease. They are divided by their total: the last is 1.
#pragma once

#include "deblai/quantile.hpp"
#include "deblai/view.hpp"
#include "scan.cuh"

namespace deblai::cuda {

using integer_mass = unsigned long long;

// Cumulative masses of every row of a chunk.
struct UniformRows {
    using mass_t = UniformCdf::mass_t;
    std::int64_t step;
    __device__ UniformCdf operator()(index_t) const { return {step}; }
};

struct WeightedRows {
    using mass_t = WeightedCdf::mass_t;
    const double* cumulative;
    index_t stride;  // 0: one row for all, of equal weights
    __device__ WeightedCdf operator()(index_t row) const { return {cumulative + row * stride}; }
};

// The exponent s for weights of this sum.
inline int mass_exponent(double total) {
    int exponent;
    std::frexp(total, &exponent);
    return 62 - exponent;
}

template <class T>
__global__ void __launch_bounds__(block_threads)
    integer_masses(Vector<const T> weights, int exponent, integer_mass* masses) {
    const index_t i = blockIdx.x * index_t{block_threads} + threadIdx.x;
    if (i < weights.size)
        masses[i] = static_cast<integer_mass>(llrint(ldexp(static_cast<double>(weights(i)), exponent)));
}

static __global__ void __launch_bounds__(block_threads) equal_masses(index_t n, double* cumulative) {
    const index_t i = blockIdx.x * index_t{block_threads} + threadIdx.x;
    if (i < n) cumulative[i] = static_cast<double>(i + 1) / static_cast<double>(n);
}

// For scan_tiles: the mass of the i-th point of a sorted row.
struct SortedMass {
    const integer_mass* mass;
    const std::uint32_t* index;
    index_t size;
    __device__ integer_mass operator()(index_t row, index_t i) const { return mass[index[row * size + i]]; }
};

// After the scan, in place: integer sums become shares of the total.
static __global__ void __launch_bounds__(block_threads)
    divide_masses(index_t size, const integer_mass* offsets, const integer_mass* row_sums, double* cumulative) {
    const index_t row = blockIdx.y, tile = blockIdx.x;
    const integer_mass offset = offsets[row * gridDim.x + tile];
    const double total = static_cast<double>(row_sums[row]);
    for (index_t i = tile * tile_size + threadIdx.x; i < size && i < (tile + 1) * tile_size; i += block_threads) {
        double& c = cumulative[row * size + i];
        c = static_cast<double>(static_cast<integer_mass>(__double_as_longlong(c)) + offset) / total;
    }
}

}  // namespace deblai::cuda
