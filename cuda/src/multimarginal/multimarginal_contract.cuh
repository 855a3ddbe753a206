// Sums of three marginals or more, over tiles of rows i, columns j and contracted points k, other indices fixed:
//   sum of 2^(z(i, j) + t(i, k) + M(k, j)),   M = rq, z and t: the rest of the exponent, costs to fixed points included
// A tile is a product of the kernels of t and M, each below its largest entry (of a row, of a column): three
// exponentials for 32 terms. Where such a product could lose what matters to underflow, a thread sums its terms one by
// one. Exponents are relative to what the potential of the row predicts.
#pragma once

#include "multimarginal_mma.cuh"

namespace deblai::cuda::multimarginal {

// Fixed points of a launch and their log-weights, costs among them included.
struct Tuples {
    const int* marginals;  // (depth)
    const int* at;         // (count, depth)
    double* weight;        // (count)
    int depth;
};

// All matrices M by ordered pair.
template <class T>
struct Matrices {
    const T* const* M;
    const double* const* g;
    const index_t* ld;
    int count;  // distinct marginals

    __device__ T operator()(int p, int q, index_t i, index_t j) const { return M[p * count + q][i * ld[q] + j]; }
};

template <class T>
__global__ void __launch_bounds__(block_threads) weigh_tuples(Matrices<T> all, Tuples tuples, index_t count) {
    const index_t n = blockIdx.x * index_t{block_threads} + threadIdx.x;
    if (n >= count) return;
    const int* const at = tuples.at + n * tuples.depth;
    double sum = tuples.weight[n];
    for (int l = 0; l < tuples.depth; ++l) {
        sum += all.g[tuples.marginals[l]][at[l]];
        for (int m = 0; m < l; ++m) sum += all(tuples.marginals[m], tuples.marginals[l], at[m], at[l]);
    }
    tuples.weight[n] = sum;
}

template <class T>
struct Contraction {
    Matrices<T> all;
    int p, q, r;
    Side<T> P, Q, R;
    const T *pq, *pr, *rq;             // M, (size, ld)
    const T *kernel, *tops, *highest;  // of rq
    Tuples tuples;
    index_t begin, end;  // items: (tuple, tile of k)
    double floor;        // terms below do not matter; -inf: all may
    T safe;              // products below this bound lose nothing that matters
    T start;             // scale to begin with
    char* exact;         // rows with terms summed one by one get 1; may be null

    // What a fixed tuple adds to an exponent of a point of marginal m.
    __device__ double beside(const int* at, int m, index_t i) const {
        double sum = 0;
        for (int l = 0; l < tuples.depth; ++l) sum += all(tuples.marginals[l], m, at[l], i);
        return sum;
    }
    __device__ T inner(const int* at, index_t i, index_t k) const {
        return static_cast<T>(R.g[k] + beside(at, r, k)) + pr[i * R.ld + k];
    }
    __device__ T outer(const int* at, double weight, index_t i, index_t j) const {
        return static_cast<T>(weight + beside(at, p, i) + P.f[i] + Q.g[j] + beside(at, q, j) +
                              static_cast<double>(pq[i * Q.ld + j]));
    }
};

template <class T>
struct ContractTile {
    alignas(16) T left[tile][tile_stride<T>];   // (k, row)
    alignas(16) T right[tile][tile_stride<T>];  // (k, column)
    T quarter[tile_threads / tile][tile], t_top[tile];
    T z[tile][tile + 1];
    T z_top[tile];
};

// Term by term, for one row and one column.
template <class T>
__device__ void contract_exactly(const Contraction<T>& c, const int* at, index_t i, index_t j, index_t k0, T z,
                                 Running<T>& sum) {
    if (c.exact) c.exact[i] = 1;
    for (index_t k = k0; k < k0 + tile && k < c.R.size; ++k) {
        const T e = z + c.inner(at, i, k) + c.rq[k * c.Q.ld + j];
        if (!(e > -Range<T>::infinity)) continue;
        sum.meet(e);
        sum.sum += static_cast<double>(power(e - sum.top));
    }
}

// One tile: left and its largest exponents, right; then the product. True where some row can matter.
template <class T>
__device__ bool load_contraction(const Contraction<T>& c, const int* at, index_t i0, index_t j0, index_t block,
                                 ContractTile<T>& s) {
    const int lane = threadIdx.x % tile, warp = threadIdx.x / tile;
    constexpr int depth = tile / (tile_threads / tile);
    const index_t i = i0 + lane, k0 = block * tile;
    T t[depth], top = -Range<T>::infinity;
#pragma unroll
    for (int n = 0; n < depth; ++n) {
        const index_t k = k0 + warp * depth + n;
        t[n] = i < c.P.size && k < c.R.size ? c.inner(at, i, k) : -Range<T>::infinity;
        top = max(top, t[n]);
    }
    s.quarter[warp][lane] = top;
    __syncthreads();
#pragma unroll
    for (int w = 0; w < tile_threads / tile; ++w) top = max(top, s.quarter[w][lane]);
    const T bound = s.z_top[lane] + top + c.highest[block * (c.Q.ld / tile) + j0 / tile];
    const bool live = bound > -Range<T>::infinity && static_cast<double>(bound) >= c.floor;
    if (warp == 0) s.t_top[lane] = live ? top : -Range<T>::infinity;
#pragma unroll
    for (int n = 0; n < depth; ++n) s.left[warp * depth + n][lane] = live ? power(t[n] - top) : T(0);
#pragma unroll
    for (int n = 0; n < depth; ++n) {
        const int k = n * (tile_threads / tile) + warp;
        s.right[k][lane] = c.kernel[(k0 + k) * c.Q.ld + j0 + lane];
    }
    return __syncthreads_or(live);
}

template <class T>
__device__ void multiply(const Contraction<T>& c, const int* at, index_t i0, index_t j0, index_t block,
                         const ContractTile<T>& s, const T (&z)[thread_rows], Running<T> (&sum)[thread_rows]) {
    T acc[thread_rows] = {}, top[thread_rows];
    multiply_tiles(s.left, s.right, acc);
#pragma unroll
    for (int n = 0; n < thread_rows; ++n) top[n] = c.tops[block * c.Q.ld + j0 + Entry<T>(n).column];
#pragma unroll
    for (int n = 0; n < thread_rows; ++n) {
        const Entry<T> own(n);
        const T bound = z[n] + s.t_top[own.row] + top[n];
        if (!(bound > -Range<T>::infinity)) continue;
        // A product that is large beside what it may have lost speaks for itself; others against what is known.
        const T relative = sum[n].top > c.start ? sum[n].top + Range<T>::wide : -Range<T>::infinity;
        if (acc[n] < Range<T>::plenty && bound > max(c.safe, relative))
            contract_exactly(c, at, i0 + own.row, j0 + own.column, block * tile, z[n], sum[n]);
        else
            sum[n].add(acc[n], bound);
    }
}

// Grid (tiles of rows x tiles of columns, chunks of items). Without a plan, parts(chunk of the tile of columns, i) gets
// what the rows sum to; with one (and one chunk), plan(i, j), (size, ld), gets the sums over k times the row's mass,
// added to what the first launch wrote.
template <class T>
__global__ void __launch_bounds__(tile_threads, sizeof(T) == 8 ? 3 : 5)
    contract(Contraction<T> c, Scaled* parts, T* plan, bool begins) {
    __shared__ ContractTile<T> s;
    __shared__ double sums[tile][tile + 1];
    const int lane = threadIdx.x % tile;
    const index_t column_tiles = c.Q.ld / tile, inner_tiles = tiles_of(c.R.size);
    const index_t i0 = blockIdx.x / column_tiles * tile, j0 = blockIdx.x % column_tiles * tile;
    const index_t items = c.end - c.begin;
    index_t item = c.begin + blockIdx.y * items / gridDim.y;
    const index_t last = c.begin + (blockIdx.y + 1) * items / gridDim.y;
    Running<T> sum[thread_rows];
#pragma unroll
    for (int n = 0; n < thread_rows; ++n) sum[n].top = c.start;
    while (item < last) {
        const index_t tuple = item / inner_tiles;
        index_t block = item % inner_tiles;
        const index_t stop = min(inner_tiles, block + (last - item));
        item += stop - block;
        const double weight = c.tuples.weight[tuple];
        if (!(weight > -Range<double>::infinity)) continue;
        const int* const at = c.tuples.at + tuple * c.tuples.depth;
        T z[thread_rows];
#pragma unroll
        for (int n = 0; n < thread_rows; ++n) {
            const Entry<T> own(n);
            const index_t i = i0 + own.row, j = j0 + own.column;
            z[n] = i < c.P.size && j < c.Q.size ? c.outer(at, weight, i, j) : -Range<T>::infinity;
            s.z[own.row][own.column] = z[n];
        }
        __syncthreads();
        if (threadIdx.x < tile) {
            T top = s.z[lane][0];
            for (int j = 1; j < tile; ++j) top = max(top, s.z[lane][j]);
            s.z_top[lane] = top;
        }
        __syncthreads();
        for (; block < stop; ++block)
            if (load_contraction(c, at, i0, j0, block, s)) multiply(c, at, i0, j0, block, s, z, sum);
    }
    if (plan) {
#pragma unroll
        for (int n = 0; n < thread_rows; ++n) {
            const Entry<T> own(n);
            const index_t i = i0 + own.row;
            if (i >= c.P.size) continue;
            T& to = plan[i * c.Q.ld + j0 + own.column];
            const double mass = c.P.masses[i];
            const T share = mass > 0 ? static_cast<T>(mass * sum[n].sum * exp2(static_cast<double>(sum[n].top))) : T(0);
            to = begins ? share : to + share;
        }
        return;
    }
#pragma unroll
    for (int n = 0; n < thread_rows; ++n) {
        const Entry<T> own(n);
        s.z[own.row][own.column] = sum[n].sum > 0 ? sum[n].top : -Range<T>::infinity;
        sums[own.row][own.column] = sum[n].sum;
    }
    __syncthreads();
    if (threadIdx.x < tile && i0 + lane < c.P.size)
        parts[(blockIdx.x % column_tiles * gridDim.y + blockIdx.y) * c.P.size + i0 + lane] =
            add_lanes(s.z[lane], sums[lane]);
}

}  // namespace deblai::cuda::multimarginal
