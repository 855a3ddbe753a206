// The sorts of one type of keys; sort_f32.cu and sort_f64.cu compile it.
#include <thrust/iterator/counting_iterator.h>
#include <thrust/iterator/transform_iterator.h>
#include <cub/device/device_radix_sort.cuh>
#include <cub/device/device_segmented_radix_sort.cuh>

#include <algorithm>
#include <cmath>
#include <limits>

#include "sort_block.cuh"
#include "tile.cuh"

namespace deblai::cuda {
namespace {

struct Begin {
    Segments rows;
    DEBLAI_HD int operator()(index_t row) const { return static_cast<int>(rows.begin(row)); }
};

struct End {
    Segments rows;
    DEBLAI_HD int operator()(index_t row) const { return static_cast<int>(rows.begin(row) + rows.length(row)); }
};

template <class F>
auto over_rows(F f) {
    return thrust::make_transform_iterator(thrust::make_counting_iterator(index_t{0}), f);
}

__global__ void __launch_bounds__(block_threads) count_up(Segments rows, std::uint32_t* index) {
    const index_t begin = rows.begin(blockIdx.y), size = rows.length(blockIdx.y);
    for (index_t i = blockIdx.x * tile_size + threadIdx.x; i < size && i < (blockIdx.x + 1) * tile_size;
         i += block_threads)
        index[begin + i] = static_cast<std::uint32_t>(i);
}

// Runs the sort, or only asks for its bytes where `temporary` is null; returns which half holds the result.
template <class T>
int sort_segmented(const Call& call, const Segments& rows, const SortBuffers<T>& buffers, void* temporary,
                   std::size_t& bytes) {
    cub::DoubleBuffer<T> keys(buffers.key[0], buffers.key[1]);
    cub::DoubleBuffer<std::uint32_t> index(buffers.index[0], buffers.index[1]);
    const int size = static_cast<int>(rows.size()), count = static_cast<int>(rows.rows());
    const auto begins = over_rows(Begin{rows});
    const auto ends = over_rows(End{rows});
    using Sort = cub::DeviceSegmentedRadixSort;
    const cudaError_t status =
        buffers.ranked
            ? Sort::SortPairs(temporary, bytes, keys, index, size, count, begins, ends, 0, 8 * sizeof(T), call.stream())
            : Sort::SortKeys(temporary, bytes, keys, size, count, begins, ends, 0, 8 * sizeof(T), call.stream());
    call.check(status, "cub::DeviceSegmentedRadixSort");
    return keys.selector;
}

template <class T>
void sort_row(const Call& call, const SortBuffers<T>& buffers, index_t begin, index_t size, void* temporary,
              std::size_t& bytes) {
    T *const from = buffers.key[0] + begin, *const to = buffers.key[1] + begin;
    using Sort = cub::DeviceRadixSort;
    const cudaError_t status = buffers.ranked
                                   ? Sort::SortPairs(temporary, bytes, from, to, buffers.index[0] + begin,
                                                     buffers.index[1] + begin, size, 0, 8 * sizeof(T), call.stream())
                                   : Sort::SortKeys(temporary, bytes, from, to, size, 0, 8 * sizeof(T), call.stream());
    call.check(status, "cub::DeviceRadixSort");
}

// Rough times in nanoseconds: one block takes 6 a key, two of them share a multiprocessor; a sort by the whole device
// takes 0.1 a key behind 30 us of launches.
bool prefer_segmented(const Call& call, const Segments& rows) {
    if (rows.size() > std::numeric_limits<int>::max()) return false;
    const double n = static_cast<double>(rows.longest()), count = static_cast<double>(rows.rows());
    return std::ceil(count / (2.0 * call.multiprocessors())) * 6.0 * n <= count * (3e4 + 0.1 * n);
}

}  // namespace

template <class T>
std::size_t sort_bytes(const Call& call, const Segments& rows, bool ranked) {
    if (rows.longest() <= block_sort_most) return 0;
    const SortBuffers<T> none{{nullptr, nullptr}, {nullptr, nullptr}, ranked};
    std::size_t segmented = 0, device = 0;
    if (rows.size() <= std::numeric_limits<int>::max()) sort_segmented(call, rows, none, nullptr, segmented);
    sort_row(call, none, 0, rows.longest(), nullptr, device);
    return std::max(segmented, device);
}

template <class T>
int sort(const Call& call, const Segments& rows, const SortBuffers<T>& buffers, void* temporary, std::size_t bytes) {
    if (rows.longest() <= block_sort_most) {
        sort_blocks(call, rows, buffers);
        return 1;
    }
    if (buffers.ranked)
        call.launch("count_up", count_up, tile_grid(rows.longest(), rows.rows()), block_threads, rows,
                    buffers.index[0]);
    if (prefer_segmented(call, rows)) return sort_segmented(call, rows, buffers, temporary, bytes);
    for (index_t row = 0; row < rows.rows(); ++row)
        sort_row(call, buffers, rows.begin(row), rows.length(row), temporary, bytes);
    return 1;
}

}  // namespace deblai::cuda
