// Small dense products with the points along the lanes. A tile holds `tile_points` points of d coordinates,
// coordinate-major, so that any strides of the caller's array cost one pass of packing.
#pragma once

#include "deblai/view.hpp"
#include "sliced-kernels.hpp"
#include "vec-inl.hpp"

namespace deblai::DEBLAI_LEVEL {
namespace {

using sliced::tile_points;

// C (R x 2 vectors) = sum over k of A(r, k) B(k, :)
template <class T, int R>
DEBLAI_HD void micro(index_t inner, const T* A, index_t row, index_t step, const T* B, index_t ldb, T* C, index_t ldc) {
    constexpr index_t w = lanes<T>;
    Vec<T> acc[R][2] = {};
    for (index_t k = 0; k < inner; ++k) {
        const Vec<T> b0 = load(B + k * ldb), b1 = load(B + k * ldb + w);
#pragma GCC unroll 8
        for (int r = 0; r < R; ++r) {
            const T a = A[r * row + k * step];
            acc[r][0] += a * b0;
            acc[r][1] += a * b1;
        }
    }
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
        store(C + r * ldc, acc[r][0]);
        store(C + r * ldc + w, acc[r][1]);
    }
}

// C (rows x tile_points) = A (rows x inner, strides row and step) B (inner x tile_points)
template <class T>
void product(index_t rows, index_t inner, const T* A, index_t row, index_t step, const T* B, index_t ldb, T* C,
             index_t ldc) {
    constexpr int R = DEBLAI_VECTOR_BYTES == 64 ? 8 : 4;
    static_assert(tile_points % (2 * lanes<T>) == 0);
    for (index_t i = 0; i < tile_points; i += 2 * lanes<T>) {
        index_t r = 0;
        for (; r + R <= rows; r += R) micro<T, R>(inner, A + r * row, row, step, B + i, ldb, C + r * ldc + i, ldc);
        for (; r < rows; ++r) micro<T, 1>(inner, A + r * row, row, step, B + i, ldb, C + r * ldc + i, ldc);
    }
}

// tile(k, i) = points(begin + i, k); points past `end` are zero.
template <class T>
void pack(Matrix<const T> points, index_t begin, index_t end, T* tile) {
    const index_t count = end - begin < tile_points ? end - begin : tile_points;
    const index_t d = points.cols;
    if (count < tile_points) std::memset(tile, 0, d * tile_points * sizeof(T));
    constexpr index_t block = 16;
    for (index_t k0 = 0; k0 < d; k0 += block) {
        const index_t k1 = k0 + block < d ? k0 + block : d;
        for (index_t i = 0; i < count; ++i) {
            const T* const p = &points(begin + i, 0);
            for (index_t k = k0; k < k1; ++k) tile[k * tile_points + i] = p[k * points.col_stride];
        }
    }
}

// points(begin + i, k) += tile(k, i)
template <class T>
void unpack_add(const T* tile, index_t begin, index_t end, Matrix<T> points) {
    const index_t count = end - begin < tile_points ? end - begin : tile_points;
    constexpr index_t block = 16;
    for (index_t k0 = 0; k0 < points.cols; k0 += block) {
        const index_t k1 = k0 + block < points.cols ? k0 + block : points.cols;
        for (index_t i = 0; i < count; ++i)
            for (index_t k = k0; k < k1; ++k) points(begin + i, k) += tile[k * tile_points + i];
    }
}

}  // namespace
}  // namespace deblai::DEBLAI_LEVEL
