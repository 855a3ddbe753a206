// Blocks of tables: matrix products in (log-sum-exp, +) and (max, +).
#include "graph-kernels.hpp"
#include "multimarginal/flush-inl.hpp"
#include "vec-inl.hpp"

namespace deblai::DEBLAI_LEVEL {
namespace {

using multimarginal::Tile;
using multimarginal::tile_cols;
using multimarginal::tile_depth;
using multimarginal::tile_rows;

template <class T>
inline constexpr T infinite = T(__builtin_inf());
template <class T>
inline constexpr T tiny = sizeof(T) == 4 ? T(0x1p-126) : T(0x1p-1022);
template <class T>
inline constexpr T rounding = sizeof(T) == 4 ? T(0x1p-23) : T(0x1p-52);
template <class T>
inline constexpr index_t pane = 2 * lanes<T>;  // columns of a product made at once
inline constexpr int rows_at_once = DEBLAI_VECTOR_BYTES == 64 ? 8 : 4;

template <class T>
DEBLAI_HD Vec<T> larger(Vec<T> a, Vec<T> b) {
    return a > b ? a : b;
}

template <class T>
DEBLAI_HD T largest_of(Vec<T> v) {
    T top = v[0];
    for (index_t k = 1; k < lanes<T>; ++k) top = v[k] > top ? v[k] : top;
    return top;
}

template <class T>
T top(const T* a, const T* b, index_t n) {
    Vec<T> most = splat<T>(-infinite<T>);
    for (index_t k = 0; k < n; k += lanes<T>) most = larger<T>(most, load(a + k) + load(b + k));
    return largest_of<T>(most);
}

// One row, the columns [j, j + lanes) in the log domain.
template <class T>
DEBLAI_HD Vec<T> log_sums(const Tile<T>& q, index_t i, index_t j) {
    const T* const a = q.left + i * q.ld_inner;
    const T* const b = q.right + j;
    Vec<T> most = splat<T>(-infinite<T>);
    for (index_t k = 0; k < q.inner; ++k) most = larger<T>(most, load(b + k * tile_cols) + a[k]);
    const Vec<T> shift = most > -infinite<T> ? most : Vec<T>{};
    if (!(largest_of<T>(most) > -infinite<T>)) return most;
    Vec<T> total = {};
    for (index_t k = 0; k < q.inner; ++k) total += vexp<T>(load(b + k * tile_cols) + a[k] - shift);
    return most > -infinite<T> ? most + vlog<T>(total) : most;
}

template <class T>
void sums(const Tile<T>& q) {
    const unsigned before = flush_denormals();
    for (index_t i = 0; i < q.rows; ++i)
        for (index_t j = 0; j < q.cols; j += lanes<T>) store(q.out + i * tile_cols + j, log_sums(q, i, j));
    restore(before);
}

// out(r, :) += or = max(out(r, :), .) over `depth` terms of R rows and one pane of columns.
template <class T, int R, bool Max>
DEBLAI_HD void multiply(index_t depth, const T* left, const T* right, T* out) {
    constexpr index_t w = lanes<T>;
    Vec<T> acc[R][2];
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
        acc[r][0] = load(out + r * tile_cols);
        acc[r][1] = load(out + r * tile_cols + w);
    }
    for (index_t k = 0; k < depth; ++k) {
        const Vec<T> b0 = load(right + k * pane<T>), b1 = load(right + k * pane<T> + w);
#pragma GCC unroll 8
        for (int r = 0; r < R; ++r) {
            const T a = left[r * tile_depth + k];
            if constexpr (Max) {
                acc[r][0] = larger<T>(acc[r][0], a + b0);
                acc[r][1] = larger<T>(acc[r][1], a + b1);
            } else {
                acc[r][0] += a * b0;
                acc[r][1] += a * b1;
            }
        }
    }
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
        store(out + r * tile_cols, acc[r][0]);
        store(out + r * tile_cols + w, acc[r][1]);
    }
}

// All of a tile from packed blocks, which `pack_left(i, k)` and `pack_right(k, j)` give a vector at a time.
template <class T, bool Max, class Left, class Right>
DEBLAI_HD void multiply_packed(const Tile<T>& q, T none, const Left& pack_left, const Right& pack_right) {
    constexpr int R = rows_at_once;
    constexpr index_t w = lanes<T>;
    const index_t whole = (q.rows + R - 1) / R * R;
    for (index_t i = 0; i < whole; ++i)
        for (index_t j = 0; j < q.cols; j += w) store(q.out + i * tile_cols + j, splat(none));
    for (index_t begin = 0; begin < q.inner; begin += tile_depth) {
        const index_t depth = q.inner - begin < tile_depth ? q.inner - begin : tile_depth;
        for (index_t i = 0; i < whole; ++i)
            for (index_t k = 0; k < depth; k += w)
                store(q.packed_left + i * tile_depth + k, i < q.rows ? pack_left(i, begin + k) : splat(none));
        for (index_t j = 0; j < q.cols; j += w)
            for (index_t k = 0; k < depth; ++k)
                store(q.packed_right + j / pane<T> * pane<T> * tile_depth + k * pane<T> + j % pane<T>,
                      pack_right(begin + k, j));
        for (index_t j = 0; j < q.cols; j += pane<T>)
            for (index_t i = 0; i < whole; i += R)
                multiply<T, R, Max>(depth, q.packed_left + i * tile_depth, q.packed_right + j * tile_depth,
                                    q.out + i * tile_cols + j);
    }
}

template <class T>
void largest(const Tile<T>& q) {
    multiply_packed<T, true>(
        q, -infinite<T>,
        [&](index_t i, index_t k) __attribute__((always_inline)) { return load(q.left + i * q.ld_inner + k); },
        [&](index_t k, index_t j) __attribute__((always_inline)) { return load(q.right + k * tile_cols + j); });
}

// out(i, j) = sum_k exp(left(i, k) + right(k, j) - alpha(i) - delta(j)), as far as it does not underflow. lift(k) goes
// from the right block to the left one: the largest entries that k has in both become equal.
template <class T>
DEBLAI_HD void scaled(const Tile<T>& q, T* alpha, T* delta) {
    constexpr index_t w = lanes<T>;
    for (index_t k = 0; k < q.ld_inner; k += w) {
        Vec<T> most = splat<T>(-infinite<T>);
        for (index_t i = 0; i < q.rows; ++i) most = larger<T>(most, load(q.left + i * q.ld_inner + k));
        store(q.lift + k, most);
    }
    for (index_t k = 0; k < q.inner; ++k) {
        Vec<T> v = splat<T>(-infinite<T>);
        for (index_t j = 0; j < q.cols; j += w) v = larger<T>(v, load(q.right + k * tile_cols + j));
        const T most = largest_of<T>(v), there = q.lift[k];
        const bool alive = most > -infinite<T> && there > -infinite<T>;
        q.share[k] = alive ? (most - there) / 2 : T(0);
        q.lift[k] = alive ? q.share[k] : -infinite<T>;
    }
    for (index_t k = q.inner; k < q.ld_inner; ++k) q.lift[k] = -infinite<T>;
    for (index_t i = 0; i < q.rows; ++i) alpha[i] = top(q.left + i * q.ld_inner, q.lift, q.ld_inner);
    for (index_t j = 0; j < q.cols; j += w) {
        Vec<T> most = splat<T>(-infinite<T>);
        for (index_t k = 0; k < q.inner; ++k)
            if (q.lift[k] > -infinite<T>) most = larger<T>(most, load(q.right + k * tile_cols + j) - q.share[k]);
        store(delta + j, most);
    }
    multiply_packed<T, false>(
        q, T(0),
        [&](index_t i, index_t k) __attribute__((always_inline)) {
            const T shift = alpha[i] > -infinite<T> ? alpha[i] : T(0);
            return vexp<T>(load(q.left + i * q.ld_inner + k) + load(q.lift + k) - shift);
        },
        [&](index_t k, index_t j) __attribute__((always_inline)) {
            if (!(q.lift[k] > -infinite<T>)) return Vec<T>{};  // nothing that it would meet
            const Vec<T> most = load(delta + j);
            return vexp<T>(load(q.right + k * tile_cols + j) - q.share[k] - (most > -infinite<T> ? most : Vec<T>{}));
        });
}

// Whether underflow may have touched any of the sums at (i, j...): each of the terms lost less than what is tiny, once
// for each factor and once for itself.
template <class T>
DEBLAI_HD bool touched(const Tile<T>& q, index_t i, index_t j, const T* alpha, const T* delta) {
    const T least = 4 * static_cast<T>(q.inner) * (tiny<T> / rounding<T>);
    const auto low = !(load(q.out + i * tile_cols + j) >= least) && load(delta + j) + alpha[i] > -infinite<T>;
    bool any = false;
    for (index_t k = 0; k < lanes<T>; ++k) any |= low[k] != 0;
    return any;
}

template <class T>
DEBLAI_HD index_t finish(const Tile<T>& q, const T* alpha, const T* delta) {
    index_t exact = 0;
    for (index_t i = 0; i < q.rows; ++i)
        for (index_t j = 0; j < q.cols; j += lanes<T>) {
            T* const out = q.out + i * tile_cols + j;
            const Vec<T> scale = load(delta + j) + alpha[i];
            if (touched(q, i, j, alpha, delta)) {
                store(out, log_sums(q, i, j));
                exact += lanes<T>;
            } else {
                store(out, scale > -infinite<T> ? scale + vlog<T>(load(out)) : scale);
            }
        }
    return exact;
}

// Where many sums of a small block are touched, the block gets scales of its own; where few are, or still are then,
// they are summed in the log domain.
template <class T>
index_t product(const Tile<T>& q) {
    constexpr index_t few = 3;
    index_t exact = 0;
    T alpha[tile_rows], delta[tile_cols], own_alpha[rows_at_once], own_delta[pane<T>];
    const unsigned before = flush_denormals();
    scaled(q, alpha, delta);
    for (index_t i = 0; i < q.rows; i += rows_at_once)
        for (index_t j = 0; j < q.cols; j += pane<T>) {
            Tile<T> block = q;
            block.rows = q.rows - i < rows_at_once ? q.rows - i : rows_at_once;
            block.cols = pane<T>;
            block.left += i * q.ld_inner;
            block.right += j;
            block.out += i * tile_cols + j;
            index_t count = 0;
            for (index_t r = 0; r < block.rows; ++r)
                for (index_t c = 0; c < pane<T>; c += lanes<T>) count += touched(block, r, c, alpha + i, delta + j);
            if (count > few) scaled(block, own_alpha, own_delta);
            exact += finish(block, count > few ? own_alpha : alpha + i, count > few ? own_delta : delta + j);
        }
    restore(before);
    return exact;
}

}  // namespace

extern const multimarginal::GraphKernels<float> multimarginal_graph_f32 = {product<float>, sums<float>, largest<float>,
                                                                           top<float>};
extern const multimarginal::GraphKernels<double> multimarginal_graph_f64 = {product<double>, sums<double>,
                                                                            largest<double>, top<double>};

}  // namespace deblai::DEBLAI_LEVEL
