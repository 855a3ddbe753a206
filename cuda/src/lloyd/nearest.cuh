// The nearest site of each sample: 128 samples a block, 32 sites of shared memory at a time, 4 by 4 squared distances a
// thread, by direct differences over ascending coordinates. Where rounding may have chosen, float64 decides, as on the
// CPU: labels are those of brute force.
#pragma once

#include "deblai/nearest.hpp"
#include "product.cuh"

namespace deblai::cuda {

// tile[k][w] = scale M(origin + w, begin + k), zero outside.
template <class T, int width, int padded>
__device__ void load_scaled(Matrix<const T> M, index_t origin, index_t begin, T scale,
                            T (&tile)[product_depth][padded]) {
    const bool along_rows = M.row_stride == 1 && M.col_stride != 1;
#pragma unroll
    for (int e = threadIdx.x; e < product_depth * width; e += product_threads) {
        const int w = along_rows ? e % width : e / product_depth;
        const int k = along_rows ? e / width : e % product_depth;
        tile[k][w] = origin + w < M.rows && begin + k < M.cols ? scale * M(origin + w, begin + k) : T(0);
    }
}

// The first site of least |x - y|^2: rounded squares of differences, added in float64 over ascending coordinates.
template <class T>
__device__ std::uint32_t nearest_exactly(Matrix<const T> x, index_t i, Matrix<const T> sites) {
    double least = INFINITY;
    index_t best = 0;
    for (index_t j = 0; j < sites.rows; ++j) {
        double s = 0;
        for (index_t a = 0; a < x.cols && !(s > least); ++a) {
            const double r = static_cast<double>(x(i, a)) - static_cast<double>(sites(j, a));
#ifdef __CUDA_ARCH__
            s = __dadd_rn(s, __dmul_rn(r, r));
#else
            s += r * r;
#endif
        }
        if (s < least) {
            least = s;
            best = j;
        }
    }
    return static_cast<std::uint32_t>(best);
}

// Labels of the samples from `first` on, one block for product_cols of them.
template <class T>
__global__ void __launch_bounds__(product_threads, 2)
    nearest(Matrix<const T> x, Matrix<const T> sites, T scale, index_t first, std::uint32_t* label) {
    alignas(16) __shared__ T a[product_depth][product_rows + 4];
    alignas(16) __shared__ T b[product_depth][product_cols + 4];
    constexpr int warps = product_threads / 32;
    __shared__ T distance[warps][product_cols], further[warps][product_cols];
    __shared__ std::uint32_t site[warps][product_cols];
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    const index_t c0 = first + blockIdx.x * index_t{product_cols};
    T least[4], second[4];
    std::uint32_t at[4] = {};
#pragma unroll
    for (int j = 0; j < 4; ++j) least[j] = second[j] = T(INFINITY);
    for (index_t r0 = 0; r0 < sites.rows; r0 += product_rows) {
        T sum[4][4] = {};
        for (index_t k0 = 0; k0 < x.cols; k0 += product_depth) {
            load_scaled<T, product_rows>(sites, r0, k0, scale, a);
            load_scaled<T, product_cols>(x, c0, k0, scale, b);
            __syncthreads();
            const int depth = x.cols - k0 < product_depth ? static_cast<int>(x.cols - k0) : product_depth;
            for (int k = 0; k < depth; ++k)
#pragma unroll
                for (int i = 0; i < 4; ++i)
#pragma unroll
                    for (int j = 0; j < 4; ++j) {
                        const T r = b[k][lane + 32 * j] - a[k][4 * warp + i];
                        sum[i][j] += r * r;
                    }
            __syncthreads();
        }
#pragma unroll
        for (int i = 0; i < 4; ++i) {
            const index_t r = r0 + 4 * warp + i;
#pragma unroll
            for (int j = 0; j < 4; ++j)
                if (r < sites.rows) {
                    if (sum[i][j] < least[j]) {
                        second[j] = least[j];
                        least[j] = sum[i][j];
                        at[j] = static_cast<std::uint32_t>(r);
                    } else if (sum[i][j] < second[j]) {
                        second[j] = sum[i][j];
                    }
                }
        }
    }
#pragma unroll
    for (int j = 0; j < 4; ++j) {
        distance[warp][lane + 32 * j] = least[j];
        further[warp][lane + 32 * j] = second[j];
        site[warp][lane + 32 * j] = at[j];
    }
    __syncthreads();
    const int c = threadIdx.x;
    if (c >= product_cols || c0 + c >= x.rows) return;
    T best = distance[0][c], next = further[0][c];
    std::uint32_t where = site[0][c];
    for (int w = 1; w < warps; ++w) {
        const T here = distance[w][c];
        const bool closer = here < best;
        next = min(next, closer ? min(best, further[w][c]) : here);
        if (closer) {
            best = here;
            where = site[w][c];
        }
    }
    const bool unsure = next * deblai::lloyd::sure_share<T>(x.cols) - x.cols * deblai::lloyd::least_normal<T> <= best;
    label[c0 + c] = unsure ? nearest_exactly(x, c0 + c, sites) : where;
}

}  // namespace deblai::cuda
