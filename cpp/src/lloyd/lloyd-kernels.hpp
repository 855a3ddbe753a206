// What each instruction set provides for lloyd: steps over a range of samples, each the work of one thread.
#pragma once

#include <cstddef>
#include <cstdint>

#include "deblai/nearest.hpp"
#include "deblai/stop.hpp"
#include "deblai/view.hpp"

namespace deblai::lloyd {

inline constexpr index_t panel = 8;         // sites that are multiplied at a time
inline constexpr index_t tile_block = 64;   // samples that are packed at a time, with tiles
inline constexpr index_t grid_block = 256;  // and with a grid
inline constexpr index_t max_grid_dims = 3;
inline constexpr index_t max_direct_dims = 4;

template <class T>
struct WordOf;
template <>
struct WordOf<float> {
    using type = std::int32_t;
};
template <>
struct WordOf<double> {
    using type = std::int64_t;
};
template <class T>
using Word = typename WordOf<T>::type;

// The first site of least |x - y|^2 among `count` sites (k, d) that `ids` lists in ascending order; null: the first
// `count`. Sums over ascending coordinates of rounded squares of differences, in float64: what brute force finds.
template <class T>
index_t nearest_exactly(const T* x, const T* sites, index_t d, const Word<T>* ids, index_t count);

// A range of samples, and what is found of it.
template <class T>
struct Task {
    Matrix<const T> x;
    Vector<const T> weights;
    const T* sites;  // (k, d), contiguous
    index_t k;
    index_t begin, end;
    double* partial;  // (k, d + 1): mass and sums, added to; with powers (k, d + 3): mass, pull, still and sums
    double power;     // (p - 2) / 2
    double near;      // squared
    double energy;    // out
    bool bad_weight;  // out
    Vector<std::int32_t> labels;
    Vector<T> cost;
    decltype(nearest_exactly<T>)* exactly;  // compiled once, without fused multiply-adds
    T* scratch;
    const Stop* stop;
    int worker;
};

// Distances are taken in units of a power of two near the size of the data, so that squares neither overflow nor
// vanish. Panels hold the sites coordinate by coordinate; the last one is filled with sites that are never nearest.
template <class T>
struct Panels {
    index_t count;
    T scale;
    const T* direct;   // (count, d, panel): scale y
    const T* negated;  // (count, d, panel): -scale (y - centre); null: no scores, direct differences at once
    const T* half;     // (count, panel): half the squared norm of those
    const T* centre;   // (d,)
    T reach;           // the largest norm of a centred site
};

// 2^bits cells along each axis; each has a list of candidates, some of them the same list.
template <class T>
struct Grid {
    T scale;
    T low[max_grid_dims], inverse[max_grid_dims];  // of the box of samples, scaled; cells a unit
    int bits[max_grid_dims];
    const Word<T>* lists;               // (cells, 2): first and last place; axis 0 is the fastest
    const Word<T>* id;                  // (places,): sites in ascending order within a list
    const T* candidate[max_grid_dims];  // (places,): their coordinates, scaled
};

template <class T>
struct Kernels {
    // Widens low and high (d,) to the samples in [begin, end); false where an entry is not finite.
    bool (*bounds)(Matrix<const T> x, index_t begin, index_t end, T* low, T* high, T* scratch);
    void (*assign_tiles)(Task<T>& task, const Panels<T>& panels);
    void (*assign_grid)(Task<T>& task, const Grid<T>& grid);
    // least(i) = min(least(i), |x_i - centre|^2) for i in [begin, end); returns the sum of w_i least(i).
    double (*closer)(Matrix<const T> x, Vector<const T> weights, const T* centre, index_t begin, index_t end, T* least);
};

// Numbers of scratch that a worker needs.
DEBLAI_HD index_t bounds_scratch(index_t d) { return 2 * 16 * d; }
DEBLAI_HD index_t tile_scratch(index_t d) { return 2 * tile_block * d + d + 4 * tile_block; }
DEBLAI_HD index_t grid_scratch(index_t d) { return grid_block * d; }

}  // namespace deblai::lloyd
