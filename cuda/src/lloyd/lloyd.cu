// Lloyd's step: check, label, sort by label, sum runs; see nearest.cuh and cluster.cuh.
#include "deblai/cuda/lloyd.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include <cub/device/device_radix_sort.cuh>

#include "cluster.cuh"
#include "deblai/error.hpp"
#include "nearest.cuh"
#include "validate.cuh"

namespace deblai::cuda::lloyd {

using deblai::lloyd::Output;
using deblai::lloyd::Problem;

namespace {

// The complement of the largest magnitude's bits: the order of bits is that of nonnegative numbers.
template <class T>
__global__ void __launch_bounds__(block_threads) find_largest(Matrix<const T> points, flat_index* inverted) {
    __shared__ flat_index least;
    if (threadIdx.x == 0) least = ~flat_index{0};
    __syncthreads();
    const index_t count = points.rows * points.cols, step = gridDim.x * index_t{block_threads};
    double most = 0;
    for (index_t e = blockIdx.x * index_t{block_threads} + threadIdx.x; e < count; e += step) {
        const double v = fabs(static_cast<double>(points(e / points.cols, e % points.cols)));
        if (v > most) most = v;
    }
    atomicMin(&least, ~static_cast<flat_index>(__double_as_longlong(most)));
    __syncthreads();
    if (threadIdx.x == 0) atomicMin(inverted, least);
}

struct Found {
    flat_index x, sites, weights, inverted;  // first bad entries; the largest magnitude
    double mass, energy;
};

template <class T>
struct Workspace {
    Found* found;
    std::uint32_t *label, *sorted, *index, *order;
    index_t* begin;
    double *parts, *gain, *partial, *total;
    std::byte* sorting;
    std::size_t sort_bytes = 0;
    index_t slices;
    int bits = 1;

    Workspace(Arena& arena, const Call& call, index_t n, index_t k, index_t width, bool powered) {
        while (bits < 32 && (index_t{1} << bits) < k) ++bits;
        slices = std::clamp<index_t>(n / (tile_size * k), 1, 64);
        found = arena.take<Found>(1);
        label = arena.take<std::uint32_t>(n);
        sorted = arena.take<std::uint32_t>(n);
        index = arena.take<std::uint32_t>(n);
        order = arena.take<std::uint32_t>(n);
        begin = arena.take<index_t>(k + 1);
        parts = arena.take<double>(tiles(n));
        gain = powered ? arena.take<double>(n) : nullptr;
        partial = arena.take<double>(k * slices * width);
        total = arena.take<double>(k * width);
        sort(call, n);
        sorting = arena.take<std::byte>(std::max<std::size_t>(sort_bytes, 1));
    }

    // Asks for the size where `sorting` is not there yet.
    void sort(const Call& call, index_t n, bool run = false) {
        call.check(cub::DeviceRadixSort::SortPairs(run ? sorting : nullptr, sort_bytes, label, sorted, index, order, n,
                                                   0, bits, call.stream()),
                   "cub::DeviceRadixSort");
    }
};

dim3 threads_over(index_t count) { return dim3(static_cast<unsigned>((count + block_threads - 1) / block_threads)); }

template <class V>
void fetch(const Call& call, V* to, const V* from, index_t count) {
    call.check(cudaMemcpyAsync(to, from, count * sizeof(V), cudaMemcpyDeviceToHost, call.stream()), "cudaMemcpyAsync");
    call.wait();
}

// Checks the entries; returns the power of two that brings the largest magnitude near 1.
template <class T>
T require_entries(const Call& call, const Problem<T>& q, const Workspace<T>& w) {
    call.check(cudaMemsetAsync(w.found, 0xFF, sizeof(Found), call.stream()), "cudaMemsetAsync");
    find_nonfinite(call, q.x, &w.found->x);
    find_nonfinite(call, q.sites, &w.found->sites);
    if (q.weights) weigh(call, q.weights, &w.found->weights, w.parts, &w.found->mass);
    const auto largest_of = [&](Matrix<const T> points) {
        const index_t blocks = std::min<index_t>(tiles(points.rows * points.cols), 4 * call.multiprocessors());
        call.launch("find_largest", find_largest<T>, dim3(static_cast<unsigned>(blocks)), block_threads, points,
                    &w.found->inverted);
    };
    largest_of(q.x);
    largest_of(q.sites);
    Found f;
    fetch(call, &f, w.found, 1);
    refuse_points(call, "x", q.x, f.x);
    refuse_points(call, "sites", q.sites, f.sites);
    refuse_weights(call, "weights", q.weights, f.weights, f.mass);
    const flat_index bits = ~f.inverted;
    double largest;
    static_assert(sizeof largest == sizeof bits);
    std::copy_n(reinterpret_cast<const char*>(&bits), sizeof bits, reinterpret_cast<char*>(&largest));
    constexpr int limit = std::numeric_limits<T>::max_exponent - 4;
    const int exponent = largest > 0 ? std::clamp(std::ilogb(largest), -limit, limit) : 0;
    return static_cast<T>(std::ldexp(1.0, -exponent));
}

}  // namespace

template <class T>
double assign(const Problem<T>& q, const Output<T>& out, void* stream, int device, bool (*poll)(void*), void* context) {
    deblai::lloyd::require_shapes(q);
    const Call call("quantization.lloyd", stream, device);
    const bool powered = q.p != 2;
    const index_t n = q.x.rows, d = q.x.cols, k = q.sites.rows, width = d + (powered ? 3 : 1);
    Arena size(nullptr);
    Workspace<T>(size, call, n, k, width, powered);
    const Memory memory(call, size.used());
    Arena arena(memory.data());
    Workspace<T> w(arena, call, n, k, width, powered);
    const T scale = require_entries(call, q, w);

    // About 30 ms of work between two polls.
    const double pair_work = static_cast<double>(k) * static_cast<double>(d + 8);
    const index_t chunk = std::max<index_t>(static_cast<index_t>(2e11 / pair_work) / product_cols, 1) * product_cols;
    for (index_t first = 0; first < n; first += chunk) {
        if (first > 0 && poll) {
            call.wait();
            if (poll(context)) return std::numeric_limits<double>::quiet_NaN();
        }
        const index_t count = std::min(chunk, n - first);
        const dim3 grid(static_cast<unsigned>((count + product_cols - 1) / product_cols));
        call.launch("nearest", nearest<T>, grid, product_threads, q.x, q.sites, scale, first, w.label);
    }
    call.launch("spend", spend<T>, tile_grid(n, 1), block_threads, q.x, q.weights, q.sites, w.label, w.index,
                out.labels, out.cost, q.p / 2 - 1, q.near * q.near, w.gain, w.parts);
    call.launch("sum_rows", sum_rows<double>, dim3(1), block_threads, w.parts, tiles(n), 1.0, &w.found->energy);
    w.sort(call, n, true);
    call.launch("find_runs", find_runs, threads_over(k + 1), block_threads, w.sorted, n, k, w.begin);
    call.launch("sum_runs", sum_runs<T>, dim3(static_cast<unsigned>(k), static_cast<unsigned>(w.slices)), block_threads,
                q.x, q.weights, w.order, w.begin, static_cast<const double*>(w.gain), w.partial);
    call.launch("add_slices", add_slices, threads_over(k * width), block_threads, w.partial, k, w.slices, width,
                w.total);

    double energy;
    std::vector<double> total(k * width);
    fetch(call, total.data(), w.total, k * width);
    fetch(call, &energy, &w.found->energy, 1);
    for (index_t j = 0; j < k; ++j) {
        out.mass[j] = total[j * width];
        std::copy_n(total.data() + (j + 1) * width - d, d, out.sum + j * d);
        if (powered) std::copy_n(total.data() + j * width + 1, 2, out.pull + 2 * j);
    }
    if (!std::isfinite(energy)) throw InvalidValue("[quantization.lloyd] x: the energy overflows; rescale the samples");
    return energy;
}

template double assign(const Problem<float>&, const Output<float>&, void*, int, bool (*)(void*), void*);
template double assign(const Problem<double>&, const Output<double>&, void*, int, bool (*)(void*), void*);

}  // namespace deblai::cuda::lloyd
