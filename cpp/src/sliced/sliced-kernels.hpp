// What each instruction set provides for sliced: three steps, each the work of one thread.
#pragma once

#include <cstddef>

#include "deblai/stop.hpp"
#include "deblai/view.hpp"

namespace deblai::sliced {

inline constexpr index_t tile_points = 64;

// One of the two clouds, seen along one direction.
template <class T>
struct Side {
    index_t size;
    T* row;                // in: projections; out: derivative of the cost in each of them, where `slope`
    T* potential;          // out: centred dual potential; null: not wanted
    Vector<const T> mass;  // null: equal weights
    double total_mass;
    bool slope;

    DEBLAI_HD bool ranked() const { return slope || potential || mass; }
};

template <class T>
struct Slice {
    Side<T> x, y;
    double p;
    double scale;  // of slopes and potentials
    std::byte* scratch;
    const Stop* stop;
    int worker;
};

template <class T>
struct Kernels {
    // rows(l, i) = <points(i), theta(l)> for i in [begin, end); theta is (count, d), contiguous.
    void (*project)(Matrix<const T> points, index_t begin, index_t end, const T* theta, index_t count, T* rows,
                    index_t ld, T* tile);
    // Writes the cost of one direction and what else is wanted; nothing after a stop.
    void (*slice)(const Slice<T>& slice, double* cost);
    // grad(i, :) += sum over l of rows(l, i) theta(l) for i in [begin, end)
    void (*spread)(const T* rows, index_t ld, index_t begin, index_t end, const T* theta, index_t count, Matrix<T> grad,
                   T* tile);
};

// Scratch of one slice: per side two rows of (value, index) pairs when ranked, one of values when not,
// and one of cumulative masses when weighted.
template <class T>
DEBLAI_HD std::size_t side_scratch(index_t size, bool ranked, bool weighted) {
    const std::size_t n = (static_cast<std::size_t>(size) + 15) / 16 * 16;
    return n * ((ranked ? 4 : 1) * sizeof(T) + (weighted ? sizeof(double) : 0));
}

}  // namespace deblai::sliced
