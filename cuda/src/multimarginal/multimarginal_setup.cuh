// What is made once a call of multimarginal: points by coordinate, scaled costs, and for three marginals or more the
// kernels of their tiles. One thread an entry.
#pragma once

#include "deblai/multimarginal-host.hpp"
#include "multimarginal_tile.cuh"

namespace deblai::cuda::multimarginal {

using flat_index = unsigned long long;

__device__ inline index_t thread_index() { return blockIdx.x * index_t{block_threads} + threadIdx.x; }

// to(k, i) = points(i, k), zero in the padding
template <class T>
__global__ void __launch_bounds__(block_threads) by_coordinate(Matrix<const T> points, index_t ld, T* to) {
    const index_t at = thread_index(), k = at / ld, i = at % ld;
    if (k < points.cols) to[at] = i < points.rows ? points(i, k) : T(0);
}

template <class T>
__global__ void __launch_bounds__(block_threads) copy(Vector<const T> from, T* to) {
    const index_t i = thread_index();
    if (i < from.size) to[i] = from(i);
}

// M from a caller's matrix, or from its transpose; `first` is lowered to the first entry that is no cost.
template <class T>
__global__ void __launch_bounds__(block_threads)
    scale_costs(Matrix<const T> costs, double factor, index_t ld, T* M, flat_index* first) {
    const index_t at = thread_index(), i = at / ld, j = at % ld;
    if (i >= costs.rows) return;
    T value = -Range<T>::infinity;
    if (j < costs.cols) {
        const T c = costs(i, j);
        if (!(c > -Range<T>::infinity)) atomicMin(first, static_cast<flat_index>(i * costs.cols + j));
        value = static_cast<T>(static_cast<double>(c) * factor);
    }
    M[at] = value;
}

template <class T>
__global__ void __launch_bounds__(block_threads) fill_costs(Pair<T> pair, index_t rows, index_t cols, T* M) {
    const index_t at = thread_index(), i = at / pair.ld, j = at % pair.ld;
    if (i < rows) M[at] = j < cols ? pair(i, j) : -Range<T>::infinity;
}

template <class T>
__global__ void __launch_bounds__(block_threads) find_asymmetry(const T* M, index_t n, index_t ld, flat_index* first) {
    const index_t at = thread_index(), i = at / n, j = at % n;
    if (i < n && j < i && !deblai::multimarginal::mirrored(M[i * ld + j], M[j * ld + i]))
        atomicMin(first, static_cast<flat_index>(at));
}

template <class T>
__global__ void __launch_bounds__(block_threads) diagonal(Pair<T> pair, index_t n, T* to) {
    const index_t i = thread_index();
    if (i < n) to[i] = pair(i, i);
}

// The kernel of M: its columns cut into tiles, tops(tile, j) = the largest of a tile of column j,
// kernel(k, j) = 2^(M(k, j) - tops(tile of k, j)), zero in the padding.
template <class T>
__global__ void __launch_bounds__(block_threads) stabilise(const T* M, index_t rows, index_t ld, T* tops, T* kernel) {
    const index_t at = thread_index(), block = at / ld, j = at % ld;
    if (block >= tiles_of(rows)) return;
    const index_t begin = block * tile;
    T top = -Range<T>::infinity;
    for (index_t k = begin; k < begin + tile && k < rows; ++k) top = max(top, M[k * ld + j]);
    tops[at] = top;
    const T shift = top > -Range<T>::infinity ? top : T(0);
    for (index_t k = begin; k < begin + tile; ++k) kernel[k * ld + j] = k < rows ? power(M[k * ld + j] - shift) : T(0);
}

// highest(tile of rows, tile of columns) = the largest of a tile of M
template <class T>
__global__ void __launch_bounds__(block_threads) widen(const T* tops, index_t row_tiles, index_t ld, T* highest) {
    const index_t at = thread_index(), count = ld / tile;
    if (at >= row_tiles * count) return;
    const T* const from = tops + at / count * ld + at % count * tile;
    T top = -Range<T>::infinity;
    for (int k = 0; k < tile; ++k) top = max(top, from[k]);
    highest[at] = top;
}

}  // namespace deblai::cuda::multimarginal
