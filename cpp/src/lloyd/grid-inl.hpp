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

// Sites of the lowest distance in T, and the lanes where rounding may have chosen them.
template <int D, class T>
DEBLAI_HD Bits<T> nearest(const Grid<T>& g, const Vec<T> (&u)[D], Bits<T>& cell, Bits<T>& unsure) {
    cell = cell_of<D>(g, u) << 1;
    Bits<T> at = gather_words<T>(g.lists, cell);
    const Bits<T> last = gather_words<T>(g.lists + 1, cell);
    Bits<T> best = at;
    Vec<T> least = squared_distance<D>(g, u, at), second = splat(T(__builtin_inf()));
    for (auto more = at < last; any<T>(more); more = at < last) {
        at -= more;  // true is -1
        const Vec<T> s = squared_distance<D>(g, u, at);
        const auto closer = s < least;
        const Vec<T> lost = closer ? least : s;
        second = (lost < second) & more ? lost : second;
        least = closer ? s : least;
        best = closer ? at : best;
    }
    unsure = (Bits<T>)(second * lloyd::sure_share<T>(D) - D * lloyd::least_normal<T> <= least);
    return gather_words<T>(g.id, best);
}

// The same of one sample, as brute force has it.
template <class T>
__attribute__((noinline)) Word<T> exactly(const Task<T>& q, const Grid<T>& g, index_t i, Word<T> cell) {
    T row[lloyd::max_grid_dims];
    const Word<T> first = g.lists[cell], count = g.lists[cell + 1] - first + 1;
    return static_cast<Word<T>>(
        q.exactly(contiguous_row(q.x, i, row), q.sites, q.x.cols, g.id + first, index_t{count}));
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
            Bits<T> cell, unsure;
            const Bits<T> found = nearest<D>(g, u, cell, unsure);
            std::memcpy(label + l, &found, sizeof found);
            if (!any<T>(unsure)) continue;
            for (index_t v = 0; v < w && l + v < count; ++v)
                if (unsure[v]) label[l + v] = exactly(q, g, i + l + v, static_cast<Word<T>>(cell[v]));
        }
        if (q.power != 0)
            cluster_columns_powered<D>(q, i, count, grid_block, tile, label);
        else if (q.weights)
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
