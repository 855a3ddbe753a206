// Nearest sites by a grid: each lane finds the cell of its sample and goes through the candidates of that cell.
#pragma once

#include "cluster-inl.hpp"
#include "gather-inl.hpp"

namespace deblai::DEBLAI_LEVEL {
namespace {

using lloyd::Grid;
using lloyd::grid_block;

// The cell of scaled samples. A sample on a border may go either way: both lists hold its nearest site.
template <int D, class T>
DEBLAI_HD Bits<T> cell_of(const Grid<T>& g, const Vec<T> (&u)[D]) {
    constexpr T round = T(sizeof(T) == 4 ? 0x1p23 : 0x1p52);
    Bits<T> cell = {};
    int shift = 0;
#pragma GCC unroll 3
    for (int k = 0; k < D; ++k) {
        const T last = static_cast<T>((Word<T>{1} << g.bits[k]) - 1);
        Vec<T> at = (u[k] - g.low[k]) * g.inverse[k] - T(0.5);
        at = at < last ? at : splat(last);
        at = at > T(0) ? at : Vec<T>{};
        cell += (as_bits<T>(at + round) - as_bits<T>(splat(round))) << shift;
        shift += g.bits[k];
    }
    return cell;
}

template <int D, class T>
DEBLAI_HD Vec<T> squared_distance(const Grid<T>& g, const Vec<T> (&u)[D], Bits<T> at) {
    Vec<T> s = {};
#pragma GCC unroll 3
    for (int k = 0; k < D; ++k) {
        const Vec<T> r = u[k] - gather(g.candidate[k], at);
        s += r * r;
    }
    return s;
}

template <int D, class T>
DEBLAI_HD Bits<T> nearest(const Grid<T>& g, const Vec<T> (&u)[D]) {
    const Bits<T> cell = cell_of<D>(g, u) << 1;
    Bits<T> at = gather_words<T>(g.lists, cell);
    const Bits<T> last = gather_words<T>(g.lists + 1, cell);
    Bits<T> best = at;
    Vec<T> least = squared_distance<D>(g, u, at);
    for (auto more = at < last; any<T>(more); more = at < last) {
        at -= more;  // true is -1
        const Vec<T> s = squared_distance<D>(g, u, at);
        const auto closer = s < least;
        least = closer ? s : least;
        best = closer ? at : best;
    }
    return gather_words<T>(g.id, best);
}

template <int D, class T>
void assign_columns(Task<T>& q, const Grid<T>& g) {
    constexpr index_t w = lanes<T>;
    T* const tile = q.scratch;
    alignas(64) Word<T> label[grid_block];
    for (index_t i = q.begin; i < q.end && !q.stop->requested(q.worker); i += grid_block) {
        const index_t count = q.end - i < grid_block ? q.end - i : grid_block;
        pack_columns<D>(q.x, i, count, grid_block, tile);
        for (index_t l = 0; l < count; l += w) {
            Vec<T> u[D];
#pragma GCC unroll 3
            for (int k = 0; k < D; ++k) u[k] = load(tile + k * grid_block + l) * g.scale;
            const Bits<T> found = nearest<D>(g, u);
            std::memcpy(label + l, &found, sizeof found);
        }
        if (q.weights)
            cluster_columns<D, true>(q, i, count, grid_block, tile, label);
        else
            cluster_columns<D, false>(q, i, count, grid_block, tile, label);
    }
}

template <class T>
void assign_grid(Task<T>& q, const Grid<T>& g) {
    if (q.x.cols == 1) return assign_columns<1>(q, g);
    if (q.x.cols == 2) return assign_columns<2>(q, g);
    assign_columns<3>(q, g);
}

}  // namespace
}  // namespace deblai::DEBLAI_LEVEL
