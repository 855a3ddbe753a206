// A row of sums for each parent, then a block of threads for each particle that looks for its best site.
#include "call.cuh"
#include "deblai/cuda/columns.hpp"
#include "deblai/hd.hpp"

namespace deblai::cuda::columns {
namespace {

constexpr int threads = 128;

struct Arrays {
    Matrix<const double> costs;
    const double* potential;
    const std::int32_t* parents;
    index_t n, count, first;  // of the parents of this launch
    double* rest;             // (m, n): f(b) - sum_k C(s_k, b), -inf where blocked
    double* gain;
    std::int32_t* to;

    __device__ const std::int32_t* sites(index_t j) const { return parents + j * count; }

    // f(b) - the cost of b with all particles but k.
    __device__ double without(index_t j, index_t b, index_t k) const {
        double sum = 0;
        for (index_t l = 0; l < count; ++l)
            if (l != k) sum += costs(sites(j)[l], b);
        return potential[b] - sum;
    }
};

__global__ void __launch_bounds__(threads) add_up(Arrays q) {
    const index_t j = q.first + blockIdx.y, b = static_cast<index_t>(blockIdx.x) * threads + threadIdx.x;
    if (b >= q.n) return;
    double sum = 0;
    for (index_t l = 0; l < q.count; ++l) sum += q.costs(q.sites(j)[l], b);
    q.rest[j * q.n + b] = q.potential[b] - sum;
}

__global__ void __launch_bounds__(threads) best_moves(Arrays q) {
    __shared__ double values[threads];
    __shared__ index_t places[threads];
    const index_t j = q.first + blockIdx.y, k = blockIdx.x, here = q.sites(j)[k];
    const double* const rest = q.rest + j * q.n;
    double best = -INFINITY;
    index_t at = q.n;
    for (index_t b = threadIdx.x; b < q.n; b += threads) {
        const double c = q.costs(here, b);
        const double v = c == INFINITY ? q.without(j, b, k) : rest[b] + c;
        if (v > best && b != here) {
            best = v;
            at = b;
        }
    }
    values[threadIdx.x] = best;
    places[threadIdx.x] = at;
    __syncthreads();
    for (int half = threads / 2; half > 0; half /= 2) {
        if (threadIdx.x < static_cast<unsigned>(half)) {
            const double other = values[threadIdx.x + half];
            const index_t place = places[threadIdx.x + half];
            if (other > values[threadIdx.x] || (other == values[threadIdx.x] && place < places[threadIdx.x])) {
                values[threadIdx.x] = other;
                places[threadIdx.x] = place;
            }
        }
        __syncthreads();
    }
    if (threadIdx.x > 0) return;
    const bool none = places[0] == q.n;
    q.gain[j * q.count + k] = none ? -INFINITY : values[0] - q.without(j, here, k);
    q.to[j * q.count + k] = none ? -1 : static_cast<std::int32_t>(places[0]);
}

}  // namespace

void price(const deblai::columns::Problem& problem, double* gain, std::int32_t* to, void* stream, int device) {
    deblai::columns::require_shapes(problem);
    const Call call("multimarginal.genetic", stream, device);
    const index_t m = problem.parents.rows;
    Arrays q{problem.costs,
             problem.potential,
             problem.parents.data,
             problem.costs.rows,
             problem.parents.cols,
             0,
             nullptr,
             nullptr,
             nullptr};
    const std::size_t moves = static_cast<std::size_t>(m * q.count);
    const auto lay_out = [&](Arena& arena) {
        q.rest = arena.take<double>(m * q.n);
        q.gain = arena.take<double>(moves);
        q.to = arena.take<std::int32_t>(moves);
    };
    Arena size(nullptr);
    lay_out(size);
    const Memory memory(call, size.used());
    Arena arena(memory.data());
    lay_out(arena);
    constexpr index_t most = 32768;  // blocks of a launch in y
    for (q.first = 0; q.first < m; q.first += most) {
        const unsigned rows = static_cast<unsigned>(m - q.first < most ? m - q.first : most);
        const unsigned across = static_cast<unsigned>((q.n + threads - 1) / threads);
        call.launch("add_up", add_up, dim3(across, rows), threads, q);
        call.launch("best_moves", best_moves, dim3(static_cast<unsigned>(q.count), rows), threads, q);
    }
    call.check(cudaMemcpyAsync(gain, q.gain, moves * sizeof(double), cudaMemcpyDeviceToHost, call.stream()), "gain");
    call.check(cudaMemcpyAsync(to, q.to, moves * sizeof(std::int32_t), cudaMemcpyDeviceToHost, call.stream()), "to");
    call.wait();
}

}  // namespace deblai::cuda::columns
