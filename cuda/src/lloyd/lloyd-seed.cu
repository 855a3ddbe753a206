// k-means++ on the device: a draw and a pass over the samples for each seed, without a word to the host between.
#include <algorithm>
#include <cmath>
#include <vector>

#include "deblai/cuda/lloyd.hpp"
#include "deblai/error.hpp"
#include "tile.cuh"
#include "validate.cuh"

namespace deblai::cuda::lloyd {
namespace {

template <class T>
struct Draws {
    Matrix<const T> x;
    Vector<const T> weights;
    T* least;         // (n,) squared distance to the nearest seed
    double* odds;     // of each tile: sums of weight times least
    double* weighed;  // of each tile: sums of weights
    const double* uniforms;
    std::int32_t* chosen;
    int* overflow;

    __device__ double weight(index_t i) const { return weights ? static_cast<double>(weights(i)) : 1.0; }
};

// The first of `count` places where the running sum of value exceeds `target`, else the last of positive value;
// `target` becomes what is left of it there. A share of places a thread, then the shares one after the other.
template <class F>
__device__ index_t invert(index_t count, double& target, const F& value) {
    __shared__ double share[block_threads];
    __shared__ index_t found;
    __shared__ double rest;
    const index_t each = (count + block_threads - 1) / block_threads, begin = threadIdx.x * each;
    double sum = 0;
    for (index_t i = begin; i < begin + each && i < count; ++i) sum += value(i);
    share[threadIdx.x] = sum;
    __syncthreads();
    if (threadIdx.x == 0) {
        double sum_before = 0, below = 0;
        int mine = 0;
        for (int t = 0; t < block_threads; ++t) {
            if (!(share[t] > 0)) continue;
            mine = t;
            below = sum_before;
            sum_before += share[t];
            if (sum_before > target) break;
        }
        index_t last = mine * each;
        double before = below;
        for (index_t i = mine * each; i < (mine + 1) * each && i < count; ++i) {
            const double v = value(i);
            if (!(v > 0)) continue;
            last = i;
            before = below;
            below += v;
            if (below > target) break;
        }
        found = last;
        rest = target - before;
    }
    __syncthreads();
    target = rest;
    const index_t at = found;
    __syncthreads();
    return at;
}

// One block: chosen[j], by weight for the first and where all odds are 0.
template <class T>
__global__ void __launch_bounds__(block_threads) draw(Draws<T> q, index_t j) {
    const index_t n = q.x.rows, count = (n + tile_size - 1) / tile_size;
    __shared__ double sum;
    __shared__ bool by_weight;
    const auto add = [&](const double* parts) {
        double mine = 0;
        for (index_t t = threadIdx.x; t < count; t += block_threads) mine += parts[t];
        mine = block_sum(mine);
        if (threadIdx.x == 0) sum = mine;
        __syncthreads();
    };
    if (threadIdx.x == 0) sum = 0;
    __syncthreads();
    if (j > 0) add(q.odds);
    if (threadIdx.x == 0) {
        by_weight = !(sum > 0);
        if (!(sum - sum == 0)) *q.overflow = 1;
    }
    __syncthreads();
    if (by_weight) add(q.weighed);
    const double* const parts = by_weight ? q.weighed : q.odds;
    double target = q.uniforms[j] * sum;
    const index_t tile = invert(count, target, [&](index_t t) { return parts[t]; });
    const index_t begin = tile * tile_size, size = n - begin < tile_size ? n - begin : tile_size;
    const index_t at = invert(size, target, [&](index_t i) {
        const double w = q.weight(begin + i);
        return by_weight ? w : w * static_cast<double>(q.least[begin + i]);
    });
    if (threadIdx.x == 0) q.chosen[j] = static_cast<std::int32_t>(begin + at);
}

// Distances to seed j, or none with j < 0: then the weights alone are added up.
template <class T>
__global__ void __launch_bounds__(block_threads) closer(Draws<T> q, index_t j) {
    const index_t n = q.x.rows, begin = blockIdx.x * tile_size, end = begin + tile_size < n ? begin + tile_size : n;
    double sum = 0;
    for (index_t i = begin + threadIdx.x; i < end; i += block_threads) {
        if (j < 0) {
            q.least[i] = T(INFINITY);
            sum += q.weight(i);
            continue;
        }
        const index_t centre = q.chosen[j];
        T squared = 0;
        for (index_t a = 0; a < q.x.cols; ++a) {
            const T r = q.x(i, a) - q.x(centre, a);
            squared += r * r;
        }
        const T before = q.least[i], now = squared < before ? squared : before;
        q.least[i] = now;
        sum += q.weight(i) * static_cast<double>(now);
    }
    sum = block_sum(sum);
    if (threadIdx.x == 0) (j < 0 ? q.weighed : q.odds)[blockIdx.x] = sum;
}

struct Found {
    flat_index x, weights;
    double mass;
};

}  // namespace

template <class T>
index_t seed(Matrix<const T> x, Vector<const T> weights, Vector<const double> uniforms, Vector<std::int32_t> chosen,
             void* stream, int device, bool (*poll)(void*), void* context) {
    deblai::lloyd::require_shapes<T>({x, weights, {x.data, 1, x.cols, x.row_stride, x.col_stride}});
    if (uniforms.size != chosen.size) throw InvalidValue("[quantization.lloyd] uniforms: expected one for each seed");
    const Call call("quantization.lloyd", stream, device);
    const index_t n = x.rows, k = uniforms.size;
    Draws<T> q{x, weights, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr};
    Found* found = nullptr;
    double* given = nullptr;
    const auto lay_out = [&](Arena& arena) {
        found = arena.take<Found>(1);
        q.overflow = arena.take<int>(1);
        q.least = arena.take<T>(n);
        q.odds = arena.take<double>(tiles(n));
        q.weighed = arena.take<double>(tiles(n));
        q.uniforms = given = arena.take<double>(k);
        q.chosen = arena.take<std::int32_t>(k);
    };
    Arena size(nullptr);
    lay_out(size);
    const Memory memory(call, size.used());
    Arena arena(memory.data());
    lay_out(arena);
    const auto copy = [&](void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind) {
        call.check(cudaMemcpyAsync(to, from, bytes, kind, call.stream()), "cudaMemcpyAsync");
    };

    call.check(cudaMemsetAsync(found, 0xFF, sizeof(Found), call.stream()), "cudaMemsetAsync");
    call.check(cudaMemsetAsync(q.overflow, 0, sizeof(int), call.stream()), "cudaMemsetAsync");
    find_nonfinite(call, x, &found->x);
    if (weights) weigh(call, weights, &found->weights, q.odds, &found->mass);
    Found f;
    copy(&f, found, sizeof f, cudaMemcpyDeviceToHost);
    call.wait();
    refuse_points(call, "x", x, f.x);
    refuse_weights(call, "weights", weights, f.weights, f.mass);

    std::vector<double> draws(k);
    for (index_t j = 0; j < k; ++j) draws[j] = uniforms(j);
    copy(given, draws.data(), k * sizeof(double), cudaMemcpyHostToDevice);
    call.launch("closer", closer<T>, tile_grid(n, 1), block_threads, q, index_t{-1});
    index_t done = 0;
    const index_t between = std::max<index_t>(1, static_cast<index_t>(2e9 / static_cast<double>(n * x.cols + 100000)));
    for (; done < k; ++done) {
        if (done > 0 && done % between == 0 && poll) {
            call.wait();
            if (poll(context)) break;
        }
        call.launch("draw", draw<T>, dim3(1), block_threads, q, done);
        call.launch("closer", closer<T>, tile_grid(n, 1), block_threads, q, done);
    }
    std::vector<std::int32_t> indices(k);
    int overflow = 0;
    copy(indices.data(), q.chosen, k * sizeof(std::int32_t), cudaMemcpyDeviceToHost);
    copy(&overflow, q.overflow, sizeof overflow, cudaMemcpyDeviceToHost);
    call.wait();
    if (overflow) throw InvalidValue("[quantization.lloyd] x: squared distances overflow; rescale the samples");
    for (index_t j = 0; j < done; ++j) chosen(j) = indices[j];
    return done;
}

template index_t seed(Matrix<const float>, Vector<const float>, Vector<const double>, Vector<std::int32_t>, void*, int,
                      bool (*)(void*), void*);
template index_t seed(Matrix<const double>, Vector<const double>, Vector<const double>, Vector<std::int32_t>, void*,
                      int, bool (*)(void*), void*);

}  // namespace deblai::cuda::lloyd
