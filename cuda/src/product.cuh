// Dense products with points along the columns: C(r, c) = sum over k of A(r, k) B(c, k), any strides; with Add, added
// to what C holds. One thread sums one entry over ascending k, as the CPU kernel does: no split of the inner index,
// so the result depends neither on the grid nor on how a long sum over directions is cut into calls.
#pragma once

#include <algorithm>

#include "call.cuh"
#include "deblai/view.hpp"

namespace deblai::cuda {

inline constexpr int product_threads = 256, product_rows = 32, product_cols = 128, product_depth = 16;

// tile[k][w] = M(origin + w, begin + k), zero outside. Neighbouring threads read along whichever stride is 1.
template <class T, int width, int padded>
__device__ void load_tile(Matrix<const T> M, index_t origin, index_t begin, T (&tile)[product_depth][padded]) {
    const bool along_rows = M.row_stride == 1 && M.col_stride != 1;
#pragma unroll
    for (int e = threadIdx.x; e < product_depth * width; e += product_threads) {
        const int w = along_rows ? e % width : e / product_depth;
        const int k = along_rows ? e / width : e % product_depth;
        tile[k][w] = origin + w < M.rows && begin + k < M.cols ? M(origin + w, begin + k) : T(0);
    }
}

template <class T, bool Add>
__global__ void __launch_bounds__(product_threads, 2) product(Matrix<const T> A, Matrix<const T> B, Matrix<T> C) {
    // The padding keeps rows 16-byte aligned and spreads stores along k over the banks.
    alignas(16) __shared__ T a[product_depth][product_rows + 4];
    alignas(16) __shared__ T b[product_depth][product_cols + 4];
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    const index_t c0 = blockIdx.x * index_t{product_cols};
    for (index_t r0 = blockIdx.y * index_t{product_rows}; r0 < C.rows; r0 += gridDim.y * index_t{product_rows}) {
        T sum[4][4];
#pragma unroll
        for (int i = 0; i < 4; ++i)
#pragma unroll
            for (int j = 0; j < 4; ++j) {
                const index_t r = r0 + 4 * warp + i, c = c0 + lane + 32 * j;
                sum[i][j] = Add && r < C.rows && c < C.cols ? C(r, c) : T(0);
            }
        for (index_t k0 = 0; k0 < A.cols; k0 += product_depth) {
            load_tile<T, product_rows>(A, r0, k0, a);
            load_tile<T, product_cols>(B, c0, k0, b);
            __syncthreads();
            const int depth = A.cols - k0 < product_depth ? static_cast<int>(A.cols - k0) : product_depth;
            for (int k = 0; k < depth; ++k)
#pragma unroll
                for (int i = 0; i < 4; ++i)
#pragma unroll
                    for (int j = 0; j < 4; ++j) sum[i][j] += a[k][4 * warp + i] * b[k][lane + 32 * j];
            __syncthreads();
        }
#pragma unroll
        for (int i = 0; i < 4; ++i)
#pragma unroll
            for (int j = 0; j < 4; ++j) {
                const index_t r = r0 + 4 * warp + i, c = c0 + lane + 32 * j;
                if (r < C.rows && c < C.cols) C(r, c) = sum[i][j];
            }
    }
}

template <class T, bool Add>
void launch_product(const Call& call, const char* what, Matrix<const T> A, Matrix<const T> B, Matrix<T> C) {
    const index_t rows = (C.rows + product_rows - 1) / product_rows;
    const dim3 grid(static_cast<unsigned>((C.cols + product_cols - 1) / product_cols),
                    static_cast<unsigned>(std::min<index_t>(rows, 65535)));
    call.launch(what, product<T, Add>, grid, product_threads, A, B, C);
}

}  // namespace deblai::cuda
