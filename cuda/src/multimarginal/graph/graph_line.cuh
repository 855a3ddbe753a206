// Eliminations that leave one variable: rows i of it against points k of the one that is summed over,
//   out(i) = sum over k of 2^(lift(k) + sum of factors over (i, k)),  or the largest exponent,
// streamed with a running maximum over tiles of 32 rows and points; nothing of their product is stored.
#pragma once

#include "graph_terms.cuh"

namespace deblai::cuda::multimarginal {

template <class T, class S>
struct LineSum {
    const Term<T, S>* terms;
    int count;
    CostScale<T> scale;
    const T* lift;  // (whole tiles), -inf in the padding
    index_t rows, inner;
    index_t begin;  // the first row of this launch, and their number
    index_t height;
};

// e(n) += a factor at rows i0 + first + n and point k0 + lane.
template <class T, class S>
__device__ void add_rows(const LineSum<T, S>& q, const Term<T, S>& f, index_t i0, index_t k0,
                         T (&turned)[tile][tile + 1], T (&e)[thread_rows]) {
    const int lane = threadIdx.x % tile, first = threadIdx.x / tile * thread_rows;
    const index_t k = k0 + lane, last = min(q.rows, i0 + tile);
    if (f.x) {  // padded
        T r2[thread_rows] = {};
        for (index_t c = 0; c < q.scale.d; ++c) {
            const T y = f.y[c * f.ld_y + k];
            const T* const x = f.x + c * f.ld_x + i0 + first;
#pragma unroll
            for (int n = 0; n < thread_rows; ++n) {
                const T gap = x[n] - y;
                r2[n] += gap * gap;
            }
        }
        if (k >= q.inner) return;
#pragma unroll
        for (int n = 0; n < thread_rows; ++n) e[n] += q.scale.cost(r2[n]);
        return;
    }
    if (f.along_inner(f.row)) {
#pragma unroll
        for (int n = 0; n < thread_rows; ++n) {
            const index_t i = i0 + first + n;
            if (i < last && k < q.inner) e[n] += f.stored(q.scale, i * f.row, k);
        }
        return;
    }
    __syncthreads();
#pragma unroll
    for (int n = 0; n < thread_rows; ++n) {
        const index_t i = i0 + lane, there = k0 + first + n;
        turned[first + n][lane] = i < last && there < q.inner ? f.stored(q.scale, i * f.row, there) : T(0);
    }
    __syncthreads();
#pragma unroll
    for (int n = 0; n < thread_rows; ++n) e[n] += turned[lane][first + n];
}

// Grid (tiles of rows, chunks of tiles of points); parts(chunk, i - begin).
template <class T, class S, bool Max>
__global__ void __launch_bounds__(tile_threads) sum_to_line(LineSum<T, S> q, Scaled* parts) {
    __shared__ T turned[tile][tile + 1];
    __shared__ T tops[tile][tile + 1];
    __shared__ double sums[tile][tile + 1];
    const int lane = threadIdx.x % tile, first = threadIdx.x / tile * thread_rows;
    const index_t i0 = q.begin + blockIdx.x * index_t{tile}, inner_tiles = tiles_of(q.inner);
    const index_t begin = blockIdx.y * inner_tiles / gridDim.y, end = (blockIdx.y + 1) * inner_tiles / gridDim.y;
    Running<T> sum[thread_rows];
    T part[thread_rows];
#pragma unroll
    for (int n = 0; n < thread_rows; ++n) {
        sum[n].top = -Range<T>::infinity;
        part[n] = 0;
    }
    for (index_t block = begin; block < end; ++block) {
        const T lift = q.lift[block * tile + lane];
        T e[thread_rows];
#pragma unroll
        for (int n = 0; n < thread_rows; ++n) e[n] = lift;
        for (int t = 0; t < q.count; ++t) add_rows(q, q.terms[t], i0, block * tile, turned, e);
#pragma unroll
        for (int n = 0; n < thread_rows; ++n) {
            if constexpr (Max) {
                sum[n].top = max(sum[n].top, e[n]);
            } else if (e[n] > -Range<T>::infinity) {
                if (e[n] - sum[n].top > Range<T>::high) {
                    sum[n].sum += static_cast<double>(part[n]);
                    part[n] = 0;
                    sum[n].meet(e[n]);
                }
                part[n] += power(e[n] - sum[n].top);
            }
            if (block % 16 == 15) {
                sum[n].sum += static_cast<double>(part[n]);
                part[n] = 0;
            }
        }
    }
#pragma unroll
    for (int n = 0; n < thread_rows; ++n) {
        tops[first + n][lane] = sum[n].top;
        sums[first + n][lane] = Max ? 1.0 : sum[n].sum + static_cast<double>(part[n]);
    }
    __syncthreads();
    const index_t row = i0 - q.begin + lane;
    if (threadIdx.x < tile && row < q.height) parts[blockIdx.y * q.height + row] = add_lanes(tops[lane], sums[lane]);
}

}  // namespace deblai::cuda::multimarginal
