// Stable sorts of many rows of floating-point keys, with or without the places that they came from. -0 equals +0;
// NaN must not occur, but harms nothing beyond its row. Three ways, one result:
//   up to block_sort_most keys, a block of threads a row, in shared memory (sort_block.cuh)
//   many rows: cub::DeviceSegmentedRadixSort, a block a row, many rows at once
//   few long rows: cub::DeviceRadixSort, all blocks on one row after the other
#pragma once

#include <cstdint>

#include "call.cuh"
#include "deblai/hd.hpp"

namespace deblai::cuda {

inline constexpr index_t block_sort_most = 4096;

// `count` rows of n keys, then `count` rows of m (m may be 0), without gaps.
struct Segments {
    index_t count, n, m;

    index_t size() const { return count * (n + m); }
    index_t rows() const { return m > 0 ? 2 * count : count; }
    index_t longest() const { return n > m ? n : m; }
    DEBLAI_HD index_t begin(index_t row) const { return row < count ? row * n : count * n + (row - count) * m; }
    DEBLAI_HD index_t length(index_t row) const { return row < count ? n : m; }
};

// Two halves, of which the first holds the keys. With `ranked`, index tells for each sorted key its place in its row.
template <class T>
struct SortBuffers {
    T* key[2];
    std::uint32_t* index[2];  // written, never read
    bool ranked;
};

// Bytes of temporary storage that do for these rows or fewer of them.
template <class T>
std::size_t sort_bytes(const Call& call, const Segments& rows, bool ranked);

// Returns which half holds the sorted rows; the other half is free.
template <class T>
int sort(const Call& call, const Segments& rows, const SortBuffers<T>& buffers, void* temporary, std::size_t bytes);

}  // namespace deblai::cuda
