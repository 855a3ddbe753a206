// Factors as kernels see them: tables, matrices of costs as the caller laid them out, or points; by strides. Exponents
// are in powers of two, in (max, +) as they are.
#pragma once

#include "multimarginal/multimarginal_tile.cuh"

namespace deblai::cuda::multimarginal {

// How costs become exponents.
template <class T>
struct CostScale {
    index_t d;  // coordinates of points
    ScaledCost<T> cost;
    T factor;  // of entries of matrices
};

// One factor, at a position (row, column, the fixed variables of a tuple) and a point k of the variable that is summed
// over. Of points the position is a point's.
template <class T, class S>
struct Term {
    const T* table = nullptr;
    const S* costs = nullptr;
    const T *x = nullptr, *y = nullptr;  // coordinate-major, (d, ld); y is the summed variable's
    index_t ld_x = 0, ld_y = 0;
    index_t row = 0, column = 0, inner = 0;  // strides; 0 of a variable that it does not have
    index_t fixed = 0;                       // where those of fixed variables begin in a list

    // Of a table or a matrix.
    __device__ T stored(const CostScale<T>& scale, index_t at, index_t k) const {
        return table ? table[at + k * inner] : static_cast<T>(costs[at + k * inner]) * scale.factor;
    }
    __device__ T operator()(const CostScale<T>& scale, index_t at, index_t k) const {
        if (!x) return stored(scale, at, k);
        T r2 = 0;
        for (index_t c = 0; c < scale.d; ++c) {
            const T gap = x[c * ld_x + at] - y[c * ld_y + k];
            r2 += gap * gap;
        }
        return scale.cost(r2);
    }
    // Whether neighbours in memory are neighbours in k, those in the other index being `stride` apart.
    __device__ bool along_inner(index_t stride) const { return !x && inner < stride; }
};

// to[k] = a factor's line
template <class T, class S>
__global__ void __launch_bounds__(block_threads)
    one_line(Term<T, S> term, CostScale<T> scale, index_t at, index_t count, double* to) {
    const index_t k = blockIdx.x * index_t{block_threads} + threadIdx.x;
    if (k < count) to[k] = static_cast<double>(term(scale, at, k));
}

// Lowers *first to the first entry that is no cost.
template <class S>
__global__ void __launch_bounds__(block_threads) find_no_cost(Matrix<const S> costs, unsigned long long* first) {
    const index_t at = blockIdx.x * index_t{block_threads} + threadIdx.x;
    if (at < costs.rows * costs.cols && !(costs(at / costs.cols, at % costs.cols) > -Range<S>::infinity))
        atomicMin(first, static_cast<unsigned long long>(at));
}

// parts(block) = the largest of what the block looks at
template <class T>
__global__ void __launch_bounds__(block_threads) largest(const T* values, index_t count, T* parts) {
    __shared__ T tops[block_threads];
    T top = -Range<T>::infinity;
    const index_t step = gridDim.x * index_t{block_threads};
    for (index_t k = blockIdx.x * index_t{block_threads} + threadIdx.x; k < count; k += step) top = max(top, values[k]);
    tops[threadIdx.x] = top;
    for (unsigned half = block_threads / 2; half > 0; half /= 2) {
        __syncthreads();
        if (threadIdx.x < half) tops[threadIdx.x] = max(tops[threadIdx.x], tops[threadIdx.x + half]);
    }
    if (threadIdx.x == 0) parts[blockIdx.x] = tops[0];
}

template <class T>
__global__ void __launch_bounds__(block_threads) lower(T* values, index_t count, T by) {
    const index_t k = blockIdx.x * index_t{block_threads} + threadIdx.x;
    if (k < count) values[k] -= by;
}

}  // namespace deblai::cuda::multimarginal
