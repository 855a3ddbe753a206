// Rows of up to block_sort_most keys, each sorted by one block of threads in shared memory.
#pragma once

#include <cub/block/block_radix_sort.cuh>

#include "sort.cuh"

namespace deblai::cuda {

// Sorts behind every other key; where that is a tie, later places come last.
__device__ inline float last_key(float) { return __int_as_float(0x7fffffff); }
__device__ inline double last_key(double) { return __longlong_as_double(0x7fffffffffffffffll); }

template <class T, int threads, int items, bool ranked>
__global__ void __launch_bounds__(threads) sort_block(Segments rows, const T* keys, T* sorted, std::uint32_t* index) {
    using Value = std::conditional_t<ranked, std::uint32_t, cub::NullType>;
    using Sort = cub::BlockRadixSort<T, threads, items, Value>;
    __shared__ typename Sort::TempStorage storage;
    const index_t begin = rows.begin(blockIdx.x);
    const int size = static_cast<int>(rows.length(blockIdx.x));
    T key[items];
    Value place[items];
#pragma unroll
    for (int k = 0; k < items; ++k) {
        const int i = threadIdx.x * items + k;
        key[k] = i < size ? keys[begin + i] : last_key(T{});
        if constexpr (ranked) place[k] = i;
    }
    if constexpr (ranked)
        Sort(storage).SortBlockedToStriped(key, place);
    else
        Sort(storage).SortBlockedToStriped(key);
#pragma unroll
    for (int k = 0; k < items; ++k) {
        const int i = k * threads + threadIdx.x;
        if (i >= size) break;
        sorted[begin + i] = key[k];
        if constexpr (ranked) index[begin + i] = place[k];
    }
}

template <class T, int threads, int items>
void sort_blocks(const Call& call, const Segments& rows, const SortBuffers<T>& buffers) {
    const dim3 grid(static_cast<unsigned>(rows.rows()));
    const auto kernel = buffers.ranked ? sort_block<T, threads, items, true> : sort_block<T, threads, items, false>;
    call.launch("sort_block", kernel, grid, threads, rows, buffers.key[0], buffers.key[1], buffers.index[1]);
}

template <class T>
void sort_blocks(const Call& call, const Segments& rows, const SortBuffers<T>& buffers) {
    if (rows.longest() <= 256)
        sort_blocks<T, 128, 2>(call, rows, buffers);
    else if (rows.longest() <= 1024)
        sort_blocks<T, 128, 8>(call, rows, buffers);
    else
        sort_blocks<T, 256, 16>(call, rows, buffers);
}

}  // namespace deblai::cuda
