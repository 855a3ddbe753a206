// What each instruction set provides for sums on graphs: log-domain products of two blocks, over one variable.
#pragma once

#include "deblai/view.hpp"

namespace deblai::multimarginal {

inline constexpr index_t tile_rows = 128;  // of one block of a table
inline constexpr index_t group = 8;        // rows of a product made at once
inline constexpr index_t tile_cols = 128;  // whole panels of every instruction set
inline constexpr index_t tile_depth = 128;

// out(i, j) = log sum_k exp(left(i, k) + right(k, j)), or max_k; i < rows <= tile_rows, j < cols <= tile_cols, k <
// inner.
template <class T>
struct Tile {
    index_t rows, cols, inner, ld_inner;  // cols: whole panels; left is -inf from inner on
    const T* left;                        // rows of ld_inner
    const T* right;                       // inner rows of tile_cols; -inf where there is no column
    T *lift, *share;                      // scratch: ld_inner each
    T *packed_left, *packed_right;        // scratch: tile_rows x tile_depth, tile_depth x tile_cols
    T* out;                               // tile_rows of tile_cols
};

template <class T>
struct GraphKernels {
    // Products of exponentials, each k scaled so that both blocks have its largest terms within reach; entries that
    // underflow may have touched are summed again in the log domain. Returns how many were, whole vectors of them.
    index_t (*product)(const Tile<T>& tile);
    // The same entry by entry in the log domain: for blocks that another row of left has not seen.
    void (*sums)(const Tile<T>& tile);
    void (*largest)(const Tile<T>& tile);
    // max_k a(k) + b(k); n is a multiple of a vector
    T (*top)(const T* a, const T* b, index_t n);
};

}  // namespace deblai::multimarginal
