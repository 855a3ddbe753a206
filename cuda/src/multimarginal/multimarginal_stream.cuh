// Sums of two marginals, sum over j of 2^(M(i, j) + g(j) + f(i)), with M as it is stored or straight from points; and
// how the partial sums of blocks, of these and of `contract`, are added up.
#pragma once

#include "multimarginal_tile.cuh"

namespace deblai::cuda::multimarginal {

inline constexpr int coordinates = 16;  // of points at a time

// Grid (tiles of rows, chunks of tiles of columns); parts(chunk, i).
template <class T>
__global__ void __launch_bounds__(tile_threads) stream(Pair<T> pair, Side<T> P, Side<T> Q, T start, Scaled* parts) {
    __shared__ T xs[coordinates][tile];
    __shared__ T tops[tile][tile + 1];
    __shared__ double sums[tile][tile + 1];
    const int lane = threadIdx.x % tile, first = threadIdx.x / tile * thread_rows;
    const index_t i0 = blockIdx.x * index_t{tile}, column_tiles = Q.ld / tile;
    const index_t begin = blockIdx.y * column_tiles / gridDim.y, end = (blockIdx.y + 1) * column_tiles / gridDim.y;
    Running<T> sum[thread_rows];
    T part[thread_rows], f[thread_rows];
#pragma unroll
    for (int n = 0; n < thread_rows; ++n) {
        const index_t i = i0 + first + n;
        sum[n].top = start;
        part[n] = 0;
        f[n] = i < P.size ? static_cast<T>(P.f[i]) : -Range<T>::infinity;
    }
    for (index_t block = begin; block < end; ++block) {
        const index_t j = block * tile + lane;
        T M[thread_rows] = {};
        if (pair.stored) {
#pragma unroll
            for (int n = 0; n < thread_rows; ++n)
                if (i0 + first + n < P.size) M[n] = pair.stored[(i0 + first + n) * Q.ld + j];
        } else {
            for (index_t c0 = 0; c0 < pair.d; c0 += coordinates) {
                const int count = static_cast<int>(min(index_t{coordinates}, pair.d - c0));
                if (pair.d > coordinates || block == begin) {
                    __syncthreads();
                    for (int k = threadIdx.x / tile; k < count; k += tile_threads / tile)
                        xs[k][lane] = pair.x[(c0 + k) * P.ld + i0 + lane];
                    __syncthreads();
                }
                for (int k = 0; k < count; ++k) {
                    const T y = pair.y[(c0 + k) * Q.ld + j];
#pragma unroll
                    for (int n = 0; n < thread_rows; ++n) {
                        const T gap = xs[k][first + n] - y;
                        M[n] += gap * gap;
                    }
                }
            }
#pragma unroll
            for (int n = 0; n < thread_rows; ++n) M[n] = pair.cost(M[n]);
        }
        const T g = static_cast<T>(Q.g[j]);
#pragma unroll
        for (int n = 0; n < thread_rows; ++n) {
            const T e = M[n] + g + f[n];
            if (e - sum[n].top > Range<T>::high) {
                sum[n].sum += static_cast<double>(part[n]);
                part[n] = 0;
                sum[n].meet(e);
            }
            part[n] += power(e - sum[n].top);
            if (block % 16 == 15) {
                sum[n].sum += static_cast<double>(part[n]);
                part[n] = 0;
            }
        }
    }
#pragma unroll
    for (int n = 0; n < thread_rows; ++n) {
        const double total = sum[n].sum + static_cast<double>(part[n]);
        tops[first + n][lane] = total > 0 ? sum[n].top : -Range<T>::infinity;
        sums[first + n][lane] = total;
    }
    __syncthreads();
    if (threadIdx.x < tile && i0 + lane < P.size)
        parts[blockIdx.y * P.size + i0 + lane] = add_lanes(tops[lane], sums[lane]);
}

// total(i) = (first ? 0 : total(i)) + sum over c of parts(c, i); 32 rows a block, eight threads each.
static __global__ void __launch_bounds__(block_threads)
    merge(index_t n, index_t count, const Scaled* parts, bool first, Scaled* total) {
    constexpr int groups = block_threads / tile;
    __shared__ Scaled found[groups][tile];
    const int lane = threadIdx.x % tile, group = threadIdx.x / tile;
    const index_t i = blockIdx.x * index_t{tile} + lane;
    Scaled sum{-Range<double>::infinity, 0};
    if (i < n) {
        for (index_t c = group; c < count; c += groups) sum.top = max(sum.top, parts[c * n + i].top);
        for (index_t c = group; c < count && sum.top > -Range<double>::infinity; c += groups)
            sum.sum += parts[c * n + i].sum * exp2(parts[c * n + i].top - sum.top);
    }
    found[group][lane] = sum;
    __syncthreads();
    if (group > 0 || i >= n) return;
    if (!first) sum = add_scaled(sum, total[i]);
    for (int k = 1; k < groups; ++k) sum = add_scaled(sum, found[k][lane]);
    total[i] = sum;
}

}  // namespace deblai::cuda::multimarginal
