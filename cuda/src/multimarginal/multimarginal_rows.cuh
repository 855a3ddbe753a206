// What the rows of a pair's plan say: mass, <c, plan>, gradients in points; and the plan itself, where it is wanted.
#pragma once

#include "multimarginal_tile.cuh"

namespace deblai::cuda::multimarginal {

// The plan of an ordered pair: stored with any strides, or that of two marginals.
template <class T>
struct Plan {
    const T* stored;
    index_t row_stride, col_stride;
    Pair<T> M;
    const double *g_p, *g_q;

    __device__ T operator()(index_t i, index_t j) const {
        return stored ? stored[i * row_stride + j * col_stride] : power(M(i, j) + static_cast<T>(g_p[i] + g_q[j]));
    }
};

struct RowOutputs {
    double *mass, *linear, *gradient;  // null where not wanted; the last two, (d) a row, are added to
};

// One block a row. P: plan(i, j), plan.M(i, j) and its points; To: a matrix.
template <class T, class P, class To>
__global__ void __launch_bounds__(block_threads)
    summarise_rows(P plan, index_t cols, PairCost cost, double unit, To to, RowOutputs out) {
    constexpr int some = 4;  // coordinates of a gradient at a time
    const index_t i = blockIdx.x;
    double mass = 0, linear = 0;
    for (index_t j = threadIdx.x; j < cols; j += block_threads) {
        const T share = plan(i, j);
        if (to) to(i, j) = share;
        if (!(share > T(0))) continue;
        mass += static_cast<double>(share);
        if (out.linear) linear -= unit * static_cast<double>(share) * static_cast<double>(plan.M(i, j));
    }
    mass = block_sum(mass);
    __syncthreads();
    linear = block_sum(linear);
    __syncthreads();
    if (threadIdx.x == 0) {
        if (out.mass) out.mass[i] = mass;
        if (out.linear && mass > 0) out.linear[i] += linear;
    }
    const auto& M = plan.M;
    for (index_t k0 = 0; out.gradient && k0 < M.d; k0 += some) {
        double sum[some] = {};
        for (index_t j = threadIdx.x; j < cols; j += block_threads) {
            const double share = plan(i, j);
            if (!(share > 0)) continue;
            double r2 = 0;
            const auto gap = [&](index_t k) {
                return static_cast<double>(M.x[k * M.ld_x + i]) - static_cast<double>(M.y[k * M.ld + j]);
            };
            for (index_t k = 0; k < M.d; ++k) r2 += gap(k) * gap(k);
            const double slope = share * cost.slope(r2);
#pragma unroll
            for (int k = 0; k < some; ++k)
                if (k0 + k < M.d) sum[k] += slope * gap(k0 + k);
        }
#pragma unroll
        for (int k = 0; k < some; ++k) {
            const double total = block_sum(sum[k]);
            __syncthreads();
            if (threadIdx.x == 0 && k0 + k < M.d) out.gradient[i * M.d + k0 + k] += total;
        }
    }
}

template <class T, class To>
__global__ void __launch_bounds__(block_threads)
    emit_gradient(const double* from, double factor, index_t count, index_t cols, To to) {
    const index_t at = blockIdx.x * index_t{block_threads} + threadIdx.x;
    if (at < count) to(at / cols, at % cols) = static_cast<T>(from[at] * factor);
}

}  // namespace deblai::cuda::multimarginal
