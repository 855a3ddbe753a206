// Products of tiles of 32: which entries a thread of the block has, and float64 on the tensor cores. There a warp adds
// A B to C, A 16 x 16 and B 16 x 8, of which its thread T holds, with g = T / 4 and t = T % 4 (PTX ISA, "Matrix
// fragments for mma.m16n8k16", .f64):
//   a[i] = A(g + 8 (i % 2), t + 4 (i / 2)),   b[i] = B(t + 4 i, g),   c[i] = C(g + 8 (i / 2), 2 t + i % 2)
// An mma.m8n8k4 takes A(g, t), B(t, g) and C(g, 2 t + i): eight of them are the same product in the same registers.
// Goal: 15 % of the FP64 peak of the tensor cores. A tile is 256 clocks of theirs, 2048 exponentials, of some twenty
// instructions each at 64 a clock, and 16 KB from the L2 cache, at 24 bytes a clock: either bounds it at 40 %.
#pragma once

#include "multimarginal_tile.cuh"

namespace deblai::cuda::multimarginal {

// Entry n of a thread: eight rows of a column; in float64 what a warp's two products side by side leave in it.
template <class T>
struct Entry {
    int row, column;

    __device__ explicit Entry(int n) {
        const int lane = threadIdx.x % tile, warp = threadIdx.x / tile;
        if constexpr (sizeof(T) == 4) {
            row = warp * thread_rows + n;
            column = lane;
        } else {
            row = warp / 2 * 16 + lane / 4 + n / 2 % 2 * 8;
            column = warp % 2 * 16 + n / 4 * 8 + lane % 4 * 2 + n % 2;
        }
    }
};

// Of tiles that fragments are read from: four rows of eight meet all banks.
template <class T>
inline constexpr int tile_stride = sizeof(T) == 4 ? tile : tile + 4;

#if defined(DEBLAI_EMULATED)
using emulated::mma_16x8x16;
#else
__device__ inline void mma_8x8x4(double& c0, double& c1, double a, double b) {
    asm volatile("mma.sync.aligned.m8n8k4.row.col.f64.f64.f64.f64 {%0, %1}, {%2}, {%3}, {%0, %1};"
                 : "+d"(c0), "+d"(c1)
                 : "d"(a), "d"(b));
}

// Hopper has instructions of this shape, others run them as small ones.
__device__ inline void mma_16x8x16(double* c, const double* a, const double* b) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ == 900
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f64.f64.f64.f64 {%0, %1, %2, %3}, {%4, %5, %6, %7, %8, %9, %10, %11}, "
        "{%12, %13, %14, %15}, {%0, %1, %2, %3};"
        : "+d"(c[0]), "+d"(c[1]), "+d"(c[2]), "+d"(c[3])
        : "d"(a[0]), "d"(a[1]), "d"(a[2]), "d"(a[3]), "d"(a[4]), "d"(a[5]), "d"(a[6]), "d"(a[7]), "d"(b[0]), "d"(b[1]),
          "d"(b[2]), "d"(b[3]));
#else
#pragma unroll
    for (int k = 0; k < 4; ++k) {
        mma_8x8x4(c[0], c[1], a[2 * k], b[k]);
        mma_8x8x4(c[2], c[3], a[2 * k + 1], b[k]);
    }
#endif
}
#endif

// acc[n] = sum over k of left(k, row) * right(k, column) of entry n.
template <class T>
__device__ void multiply_tiles(const T (&left)[tile][tile_stride<T>], const T (&right)[tile][tile_stride<T>],
                               T (&acc)[thread_rows]) {
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 800
    if constexpr (sizeof(T) == 8) {
        const int lane = threadIdx.x % tile, warp = threadIdx.x / tile, g = lane / 4, t = lane % 4;
        const int row = warp / 2 * 16 + g, column = warp % 2 * 16 + g;
#pragma unroll
        for (int k = 0; k < tile; k += 16) {
            T a[8], b[4];
#pragma unroll
            for (int i = 0; i < 8; ++i) a[i] = left[k + t + i / 2 * 4][row + i % 2 * 8];
#pragma unroll
            for (int side = 0; side < 2; ++side) {
#pragma unroll
                for (int i = 0; i < 4; ++i) b[i] = right[k + t + i * 4][column + side * 8];
                mma_16x8x16(acc + 4 * side, a, b);
            }
        }
        return;
    }
#endif
    const Entry<T> first(0);
#pragma unroll 4
    for (int k = 0; k < tile; ++k) {
        if constexpr (sizeof(T) == 4) {
            const T m = right[k][first.column];
#pragma unroll
            for (int n = 0; n < thread_rows; ++n) acc[n] += left[k][first.row + n] * m;
        } else {
#pragma unroll
            for (int n = 0; n < thread_rows; ++n) acc[n] += left[k][Entry<T>(n).row] * right[k][Entry<T>(n).column];
        }
    }
}

}  // namespace deblai::cuda::multimarginal
