// Eliminations that leave two variables or more: for each tuple of all but two of them, rows i and columns j,
//   out(i, j) = sum over k of 2^(left(i, k) + right(k, j) + both(i, k, j)),  or the largest exponent.
// Tiles of 32 points k at a time. Where no factor has rows and columns both, a tile is a product of exponentials: each
// k is moved from the right side to the left one until its largest exponents there are equal, then rows and columns are
// taken below their own largest. Where such a product could lose what matters to underflow, a thread sums its terms one
// by one; with factors over both, all are.
#pragma once

#include "graph_terms.cuh"

namespace deblai::cuda::multimarginal {

template <class T, class S>
struct TableSum {
    const Term<T, S>* terms;  // with rows or neither, with columns, with both
    int left, right, both;
    CostScale<T> scale;
    const T* lift;  // (whole tiles), -inf in the padding
    index_t rows, cols, inner;
    int depth;               // of tuples
    const index_t* numbers;  // sizes of their variables, strides in the result, strides in each term
    index_t row, column;     // strides in the result
    index_t begin;           // the first block of this launch
    T* out;
    unsigned long long* exact;  // += entries with terms summed one by one though a product was made
};

template <class T>
struct TableTile {
    T left[tile][tile + 1], right[tile][tile + 1];  // exponents: (k, row), (k, column)
    T a[tile][tile], b[tile][tile];                 // and what is multiplied
    T share[tile], row_top[tile], column_top[tile];
    int exact[tile_threads];
};

// Where a tuple begins, by strides that begin at `first`.
template <class T, class S>
__device__ index_t offset(const TableSum<T, S>& q, index_t first, index_t tuple) {
    index_t at = 0;
    for (int l = q.depth - 1; l >= 0; --l) {
        at += tuple % q.numbers[l] * q.numbers[first + l];
        tuple /= q.numbers[l];
    }
    return at;
}

// to(k, o) += a factor at points k0 + k and rows or columns o0 + o, which are `stride` apart.
template <class T, class S>
__device__ void add_tile(const TableSum<T, S>& q, const Term<T, S>& f, index_t tuple, index_t stride, index_t o0,
                         index_t outer, index_t k0, T (&to)[tile][tile + 1]) {
    const int lane = threadIdx.x % tile, first = threadIdx.x / tile * thread_rows;
    const index_t at = offset(q, f.fixed, tuple);
    const bool along = f.along_inner(stride);
    const auto add = [&](int n, const auto& value) {
        const int k = along ? lane : first + n, o = along ? first + n : lane;
        if (k0 + k < q.inner && o0 + o < outer) to[k][o] += value(at + (o0 + o) * stride, k0 + k);
    };
    if (f.x) {
#pragma unroll 1
        for (int n = 0; n < thread_rows; ++n) add(n, [&](index_t i, index_t k) { return f(q.scale, i, k); });
    } else {
#pragma unroll
        for (int n = 0; n < thread_rows; ++n) add(n, [&](index_t i, index_t k) { return f.stored(q.scale, i, k); });
    }
    __syncthreads();
}

template <class T, class S>
__device__ void load_exponents(const TableSum<T, S>& q, index_t tuple, index_t i0, index_t j0, index_t k0,
                               TableTile<T>& s) {
    const int lane = threadIdx.x % tile, first = threadIdx.x / tile * thread_rows;
#pragma unroll
    for (int n = 0; n < thread_rows; ++n) {
        s.left[first + n][lane] = i0 + lane < q.rows ? q.lift[k0 + first + n] : -Range<T>::infinity;
        s.right[first + n][lane] = j0 + lane < q.cols ? T(0) : -Range<T>::infinity;
    }
    __syncthreads();
    int t = 0;
    for (; t < q.left; ++t) add_tile(q, q.terms[t], tuple, q.terms[t].row, i0, q.rows, k0, s.left);
    for (; t < q.left + q.right; ++t) add_tile(q, q.terms[t], tuple, q.terms[t].column, j0, q.cols, k0, s.right);
}

// The sides of a product from their exponents.
template <class T>
__device__ void load_factors(TableTile<T>& s) {
    const int lane = threadIdx.x % tile, first = threadIdx.x / tile * thread_rows;
    if (threadIdx.x < tile) {
        T left = -Range<T>::infinity, right = -Range<T>::infinity;
        for (int o = 0; o < tile; ++o) {
            left = max(left, s.left[lane][o]);
            right = max(right, s.right[lane][o]);
        }
        const bool alive = left > -Range<T>::infinity && right > -Range<T>::infinity;
        s.share[lane] = alive ? (right - left) / 2 : -Range<T>::infinity;
    }
    __syncthreads();
    if (threadIdx.x < 2 * tile) {
        const bool rows = threadIdx.x < tile;
        T top = -Range<T>::infinity;
        for (int k = 0; k < tile; ++k)
            if (s.share[k] > -Range<T>::infinity)
                top = max(top, rows ? s.left[k][lane] + s.share[k] : s.right[k][lane] - s.share[k]);
        (rows ? s.row_top : s.column_top)[lane] = top;
    }
    __syncthreads();
    const T row_top = s.row_top[lane], column_top = s.column_top[lane];
#pragma unroll
    for (int n = 0; n < thread_rows; ++n) {
        const int k = first + n;
        const T share = s.share[k];
        const bool alive = share > -Range<T>::infinity;
        s.a[k][lane] = alive && row_top > -Range<T>::infinity ? power(s.left[k][lane] + share - row_top) : T(0);
        s.b[k][lane] = alive && column_top > -Range<T>::infinity ? power(s.right[k][lane] - share - column_top) : T(0);
    }
    __syncthreads();
}

// Term by term: one row and one column of a tile.
template <class T, bool Max, class Both>
__device__ void sum_exactly(const TableTile<T>& s, int i, int j, const Both& both, Running<T>& sum) {
    for (int k = 0; k < tile; ++k) {
        T e = s.left[k][i] + s.right[k][j];
        if (!(e > -Range<T>::infinity)) continue;
        e += both(k);
        if (!(e > -Range<T>::infinity)) continue;
        if constexpr (Max) {
            sum.top = max(sum.top, e);
        } else {
            sum.meet(e);
            sum.sum += static_cast<double>(power(e - sum.top));
        }
    }
}

template <class T>
__device__ void sum_product(const TableTile<T>& s, Running<T> (&sum)[thread_rows], unsigned& exact) {
    const int lane = threadIdx.x % tile, first = threadIdx.x / tile * thread_rows;
    T acc[thread_rows] = {};
#pragma unroll 4
    for (int k = 0; k < tile; ++k) {
        const T m = s.b[k][lane];
#pragma unroll
        for (int n = 0; n < thread_rows; ++n) acc[n] += s.a[k][first + n] * m;
    }
#pragma unroll
    for (int n = 0; n < thread_rows; ++n) {
        const T bound = s.row_top[first + n] + s.column_top[lane];
        if (!(bound > -Range<T>::infinity)) continue;
        // A product that is large beside what it may have lost speaks for itself; others against what is known.
        if (acc[n] < Range<T>::plenty && bound > sum[n].top + Range<T>::wide) {
            exact |= 1u << n;
            sum_exactly<T, false>(s, first + n, lane, [](int) { return T(0); }, sum[n]);
        } else {
            sum[n].add(acc[n], bound);
        }
    }
}

// One block a tile of a tuple: tiles of columns, tiles of rows, tuples, the first running fastest.
template <class T, class S, bool Max>
__global__ void __launch_bounds__(tile_threads) sum_to_table(TableSum<T, S> q) {
    __shared__ TableTile<T> s;
    const int lane = threadIdx.x % tile, first = threadIdx.x / tile * thread_rows;
    index_t tuple = q.begin + blockIdx.x;
    const index_t j0 = tuple % tiles_of(q.cols) * tile;
    tuple /= tiles_of(q.cols);
    const index_t i0 = tuple % tiles_of(q.rows) * tile;
    tuple /= tiles_of(q.rows);
    Running<T> sum[thread_rows];
#pragma unroll
    for (int n = 0; n < thread_rows; ++n) sum[n].top = -Range<T>::infinity;
    unsigned exact = 0;
    const Term<T, S>* const couples = q.terms + q.left + q.right;
    for (index_t k0 = 0; k0 < q.inner; k0 += tile) {
        __syncthreads();
        load_exponents(q, tuple, i0, j0, k0, s);
        if (!Max && q.both == 0) {
            load_factors(s);
            sum_product(s, sum, exact);
            continue;
        }
        if (Max && q.both == 0) {
#pragma unroll 4
            for (int k = 0; k < tile; ++k) {
                const T m = s.right[k][lane];
#pragma unroll
                for (int n = 0; n < thread_rows; ++n) sum[n].top = max(sum[n].top, s.left[k][first + n] + m);
            }
            continue;
        }
        for (int n = 0; n < thread_rows; ++n) {
            const index_t i = i0 + first + n, j = j0 + lane;
            const auto both = [&](int k) {  // of rows, columns and points that are there
                T e = 0;
                for (int t = 0; t < q.both; ++t) {
                    const Term<T, S>& f = couples[t];
                    e += f.stored(q.scale, offset(q, f.fixed, tuple) + i * f.row + j * f.column, k0 + k);
                }
                return e;
            };
            sum_exactly<T, Max>(s, first + n, lane, both, sum[n]);
        }
    }
    const index_t to = offset(q, q.depth, tuple);
    int count = 0;
    for (int n = 0; n < thread_rows; ++n) {
        const index_t i = i0 + first + n, j = j0 + lane;
        if (i >= q.rows || j >= q.cols) continue;
        const double top = static_cast<double>(sum[n].top);
        q.out[to + i * q.row + j * q.column] = static_cast<T>(Max ? top : top + log2(sum[n].sum));
        count += exact >> n & 1;
    }
    if (Max || q.both > 0) return;
    s.exact[threadIdx.x] = count;
    __syncthreads();
    if (threadIdx.x != 0) return;
    unsigned long long total = 0;
    for (int t = 0; t < tile_threads; ++t) total += s.exact[t];
    if (total > 0) atomicAdd(q.exact, total);
}

}  // namespace deblai::cuda::multimarginal
