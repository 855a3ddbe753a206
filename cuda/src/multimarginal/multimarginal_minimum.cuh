// The least of c - sum of f over tuples, in float64: pairs row by row, more marginals by (min, +) products of tiles,
//   m(i, j) = min over k of t(i, k) + c(k, j),   t: costs to fixed points included,
// two operations a term. Threads keep the least that they meet and where; ties go to the lowest tuple, row and column.
#pragma once

#include "multimarginal_setup.cuh"

namespace deblai::cuda::multimarginal {

inline constexpr double no_value = std::numeric_limits<double>::infinity();

// Costs of a pair of points: given, or of the points.
template <class T>
struct PairCosts {
    Matrix<const T> given, x, y;
    PairCost cost;

    __device__ double operator()(index_t i, index_t j) const {
        if (given) return static_cast<double>(given(i, j));
        double r2 = 0;
        for (index_t k = 0; k < x.cols; ++k) {
            const double gap = static_cast<double>(x(i, k)) - static_cast<double>(y(j, k));
            r2 += gap * gap;
        }
        return cost.cost(r2);
    }
};

// cell = i * columns + j
struct Least {
    double value;
    index_t tuple, cell;

    __device__ void meet(const Least& other) {
        const bool earlier = other.tuple < tuple || (other.tuple == tuple && other.cell < cell);
        if (other.value < value || (other.value == value && earlier)) *this = other;
    }
};

// The least of the block; thread 0 has it.
__device__ inline Least block_least(Least mine) {
    __shared__ Least all[tile_threads];
    all[threadIdx.x] = mine;
    __syncthreads();
    for (int half = tile_threads / 2; half > 0; half /= 2) {
        if (threadIdx.x < static_cast<unsigned>(half)) all[threadIdx.x].meet(all[threadIdx.x + half]);
        __syncthreads();
    }
    return all[0];
}

// A table of costs, (rows, ld), +inf in the padding; *first is lowered to the first given entry that is no cost.
template <class T>
__global__ void __launch_bounds__(tile_threads)
    tabulate(PairCosts<T> costs, index_t rows, index_t cols, index_t ld, double* table, flat_index* first) {
    const index_t at = blockIdx.x * index_t{tile_threads} + threadIdx.x, i = at / ld, j = at % ld;
    if (i >= rows) return;
    const double c = j < cols ? costs(i, j) : no_value;
    if (costs.given && !(c > -no_value)) atomicMin(first, static_cast<flat_index>(i * cols + j));
    table[at] = c;
}

// Two marginals. Grid (tiles of rows from `begin` on, chunks of tiles of columns); h and g: what a point costs alone.
template <class T>
__global__ void __launch_bounds__(tile_threads)
    least_of_pair(PairCosts<T> costs, const double* h, const double* g, index_t n, index_t m, index_t begin,
                  Least* parts, flat_index* first_bad) {
    const int lane = threadIdx.x % tile, first = threadIdx.x / tile * thread_rows;
    const index_t i0 = (begin + blockIdx.x) * tile, blocks = tiles_of(m), last = (blockIdx.y + 1) * blocks / gridDim.y;
    Least least{no_value, 0, 0};
    for (index_t block = blockIdx.y * blocks / gridDim.y; block < last; ++block) {
        const index_t j = block * tile + lane;
        for (index_t i = i0 + first; j < m && i < i0 + first + thread_rows && i < n; ++i) {
            if (!(h[i] < no_value)) continue;
            const double c = costs(i, j);
            if (costs.given && !(c > -no_value)) atomicMin(first_bad, static_cast<flat_index>(i * m + j));
            least.meet({h[i] + (c + g[j]), 0, i * m + j});
        }
    }
    least = block_least(least);
    if (threadIdx.x == 0) parts[blockIdx.y * gridDim.x + blockIdx.x] = least;
}

// All tables by ordered pair of positions a < b, or the only one; unary costs, +inf where there is no weight.
struct Tables {
    const double* const* costs;
    const double* const* alone;
    const index_t* ld;
    int count;

    __device__ int own(int a) const { return count == 1 ? 0 : a; }
    __device__ double operator()(int a, int b, index_t i, index_t j) const {
        return costs[own(a) * count + own(b)][i * ld[own(b)] + j];
    }
};

// Fixed points of a launch, of positions before all others, and what they cost.
struct Prefixes {
    const int* positions;  // (depth)
    const int* at;         // (count, depth)
    double* cost;          // (count)
    int depth;
};

static __global__ void __launch_bounds__(tile_threads) add_up_prefixes(Tables all, Prefixes prefixes, index_t count) {
    const index_t n = blockIdx.x * index_t{tile_threads} + threadIdx.x;
    if (n >= count) return;
    const int* const at = prefixes.at + n * prefixes.depth;
    double sum = 0;
    for (int l = 0; l < prefixes.depth; ++l) {
        sum += all.alone[all.own(prefixes.positions[l])][at[l]];
        for (int m = 0; m < l; ++m) sum += all(prefixes.positions[m], prefixes.positions[l], at[m], at[l]);
    }
    prefixes.cost[n] = sum;
}

// Rows p, contracted r, columns q: positions p < r < q, after the fixed ones.
struct MinPlus {
    Tables all;
    int p, r, q;
    index_t n_p, n_r, n_q, ld_r, ld_q;
    const double *pr, *rq, *pq;  // their tables
    bool sorted;                 // equal marginals: tuples that ascend, tile by tile
    Prefixes prefixes;
    index_t begin, end;  // items: (prefix, tile of k)

    // What a point costs, the fixed ones beside it.
    __device__ double beside(const int* at, int m, index_t i) const {
        double sum = all.alone[all.own(m)][i];
#pragma unroll 1
        for (int l = 0; l < prefixes.depth; ++l) sum += all(prefixes.positions[l], m, at[l], i);
        return sum;
    }
    __device__ double inner(double beside_k, index_t i, index_t k) const { return pr[i * ld_r + k] + beside_k; }
};

// Grid (tiles of rows x tiles of columns, chunks of items).
static __global__ void __launch_bounds__(tile_threads, 4) least_of_tuples(MinPlus c, Least* parts) {
    alignas(16) __shared__ double left[tile][tile + 2];  // (k, row)
    alignas(16) __shared__ double right[tile][tile];     // (k, column)
    const int lane = threadIdx.x % tile, first = threadIdx.x / tile * thread_rows;
    const index_t column_tiles = tiles_of(c.n_q), inner_tiles = tiles_of(c.n_r);
    const index_t i0 = blockIdx.x / column_tiles * tile, j0 = blockIdx.x % column_tiles * tile, j = j0 + lane;
    const index_t items = c.end - c.begin;
    index_t item = c.begin + blockIdx.y * items / gridDim.y;
    const index_t last = c.begin + (blockIdx.y + 1) * items / gridDim.y;
    Least least{no_value, 0, 0};
    while (item < last) {
        const index_t prefix = item / inner_tiles;
        index_t block = item % inner_tiles;
        index_t stop = min(inner_tiles, block + (last - item));
        item += stop - block;
        const double fixed = c.prefixes.depth ? c.prefixes.cost[prefix] : 0.0;
        const int* const at = c.prefixes.at + prefix * c.prefixes.depth;
        if (c.sorted) {
            block = max(block, i0 / tile);
            stop = min(stop, j0 / tile + 1);
            if (c.prefixes.depth && at[c.prefixes.depth - 1] >= i0 + tile) continue;
        }
        if (block >= stop || !(fixed < no_value)) continue;
        double low[thread_rows];
#pragma unroll
        for (int n = 0; n < thread_rows; ++n) low[n] = no_value;
        for (; block < stop; ++block) {
            const index_t k0 = block * tile, k = k0 + lane;
            const double beside_k = k < c.n_r ? c.beside(at, c.r, k) : no_value;
            __syncthreads();
#pragma unroll
            for (int n = 0; n < thread_rows; ++n) {
                const index_t i = i0 + first + n;
                left[lane][first + n] = i < c.n_p ? c.inner(beside_k, i, k) : no_value;
                right[first + n][lane] = k0 + first + n < c.n_r ? c.rq[(k0 + first + n) * c.ld_q + j] : no_value;
            }
            __syncthreads();
#pragma unroll 4
            for (int l = 0; l < tile; ++l) {
                const double m = right[l][lane];
#pragma unroll
                for (int n = 0; n < thread_rows; ++n) {
                    const double sum = left[l][first + n] + m;
                    low[n] = sum < low[n] ? sum : low[n];
                }
            }
        }
        if (j >= c.n_q) continue;
        const double beside_j = c.beside(at, c.q, j) + fixed;
#pragma unroll
        for (int n = 0; n < thread_rows; ++n) {
            const index_t i = i0 + first + n;
            if (i >= c.n_p || !(low[n] < no_value)) continue;
            const double value = low[n] + (c.pq[i * c.ld_q + j] + (c.beside(at, c.p, i) + beside_j));
            if (value < least.value) least = {value, prefix, i * c.n_q + j};
        }
    }
    least = block_least(least);
    if (threadIdx.x == 0) parts[blockIdx.y * gridDim.x + blockIdx.x] = least;
}

// Takes the least of some blocks into *found if it is below what is there, and the fixed points of its prefix.
static __global__ void __launch_bounds__(tile_threads)
    keep_least(const Least* parts, index_t count, Prefixes prefixes, Least* found, int* found_at) {
    Least least{no_value, 0, 0};
    for (index_t k = threadIdx.x; k < count; k += tile_threads) least.meet(parts[k]);
    least = block_least(least);
    if (threadIdx.x > 0 || !(least.value < found->value)) return;
    *found = least;
    for (int l = 0; l < prefixes.depth; ++l) found_at[l] = prefixes.at[least.tuple * prefixes.depth + l];
}

// The contracted point of the least tuple into found->tuple. One block; the fixed points are those of `prefixes`.
static __global__ void __launch_bounds__(tile_threads) locate(MinPlus c, Least* found) {
    const index_t i = found->cell / c.n_q, j = found->cell % c.n_q;
    Least least{no_value, 0, 0};
    for (index_t k = threadIdx.x; k < c.n_r; k += tile_threads)
        least.meet({c.inner(c.beside(c.prefixes.at, c.r, k), i, k) + c.rq[k * c.ld_q + j], 0, k});
    least = block_least(least);
    if (threadIdx.x == 0) found->tuple = least.cell;
}

}  // namespace deblai::cuda::multimarginal
