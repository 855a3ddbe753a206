// Nearest sites by tiles: samples along the lanes, eight sites at a time, the minimum kept in registers.
#pragma once

#include "cluster-inl.hpp"
#include "gather-inl.hpp"

namespace deblai::DEBLAI_LEVEL {
namespace {

using lloyd::panel;
using lloyd::Panels;
using lloyd::tile_block;

// The lowest score of each of two vectors of samples, its site, and the second lowest score.
template <class T>
struct Best {
    Vec<T> score[2], second[2];
    Bits<T> site[2];
};

// Scores of rows [r, r + R) of one panel. Direct: squared distances; else half + <negated, x>.
template <class T, int R, bool Direct>
DEBLAI_HD void score(index_t d, const T* sites, const T* half, const T* tile, Vec<T> (&acc)[R][2]) {
    constexpr index_t w = lanes<T>;
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) acc[r][0] = acc[r][1] = Direct ? Vec<T>{} : splat(half[r]);
    for (index_t k = 0; k < d; ++k) {
        const Vec<T> x0 = load(tile + k * tile_block), x1 = load(tile + k * tile_block + w);
#pragma GCC unroll 8
        for (int r = 0; r < R; ++r) {
            const T y = sites[k * panel + r];
            if constexpr (Direct) {
                const Vec<T> r0 = x0 - y, r1 = x1 - y;
                acc[r][0] += r0 * r0;
                acc[r][1] += r1 * r1;
            } else {
                acc[r][0] += y * x0;
                acc[r][1] += y * x1;
            }
        }
    }
}

template <class T, bool Direct>
DEBLAI_HD void search(index_t d, const Panels<T>& p, const T* tile, Best<T>& best) {
    constexpr int R = DEBLAI_VECTOR_BYTES == 64 ? 8 : 4;
    const T infinity = T(__builtin_inf());
#pragma GCC unroll 2
    for (int v = 0; v < 2; ++v) {
        best.score[v] = best.second[v] = splat(infinity);
        best.site[v] = Bits<T>{};
    }
    Vec<T> low0 = best.score[0], low1 = best.score[1], next0 = low0, next1 = low1;
    Bits<T> at0 = {}, at1 = {};
    const T* sites = Direct ? p.direct : p.negated;
    for (index_t j = 0; j < p.count * panel; j += R) {
        const index_t within = j % panel;
        const T* const rows = sites + (j - within) * d + within;
        Vec<T> acc[R][2];
        score<T, R, Direct>(d, rows, Direct ? nullptr : p.half + j, tile, acc);
#pragma GCC unroll 8
        for (int r = 0; r < R; ++r) {
            const Bits<T> here = Bits<T>{} + static_cast<Word<T>>(j + r);
            const Vec<T> s0 = acc[r][0], s1 = acc[r][1];
            const auto closer0 = s0 < low0, closer1 = s1 < low1;
            const Vec<T> lost0 = closer0 ? low0 : s0, lost1 = closer1 ? low1 : s1;
            next0 = lost0 < next0 ? lost0 : next0;
            next1 = lost1 < next1 ? lost1 : next1;
            low0 = closer0 ? s0 : low0;
            low1 = closer1 ? s1 : low1;
            at0 = closer0 ? here : at0;
            at1 = closer1 ? here : at1;
        }
    }
    best = {{low0, low1}, {next0, next1}, {at0, at1}};
}

// tile(k, i) = scale x(row(i), k) - offset(k); the rest of the tile holds the last sample again.
template <class T, class Row>
DEBLAI_HD void pack_scaled(Matrix<const T> x, index_t count, const Row& row, const T* centre, T scale, T* tile) {
    constexpr index_t block = 16;
    for (index_t k0 = 0; k0 < x.cols; k0 += block) {
        const index_t k1 = k0 + block < x.cols ? k0 + block : x.cols;
        for (index_t i = 0; i < tile_block; ++i) {
            const T* const p = &x(row(i < count ? i : count - 1), 0);
            for (index_t k = k0; k < k1; ++k)
                tile[k * tile_block + i] = (p[k * x.col_stride] - (centre ? centre[k] : T(0))) * scale;
        }
    }
}

// Labels by direct differences in T, and where rounding may have chosen them in float64.
template <class T, class Row>
DEBLAI_HD void direct_labels(const Task<T>& q, const Panels<T>& p, index_t count, const Row& row, T* tile,
                             Word<T>* label, T* space) {
    constexpr index_t w = lanes<T>;
    const index_t d = q.x.cols;
    const T share = lloyd::sure_share<T>(d), none = static_cast<T>(d) * lloyd::least_normal<T>;
    pack_scaled(q.x, count, row, static_cast<const T*>(nullptr), p.scale, tile);
    for (index_t i = 0; i < count; i += 2 * w) {
        Best<T> best;
        search<T, true>(d, p, tile + i, best);
        std::memcpy(label + i, best.site, sizeof best.site);
#pragma GCC unroll 2
        for (int v = 0; v < 2; ++v) {
            const Bits<T> unsure = (Bits<T>)(best.second[v] * share - none <= best.score[v]);
            if (!any<T>(unsure)) continue;
            for (index_t l = 0, at = i + v * w; l < w && at < count; ++l, ++at)
                if (unsure[l]) {
                    const T* const x = contiguous_row(q.x, row(at), space);
                    label[at] =
                        static_cast<Word<T>>(q.exactly(x, q.sites, d, static_cast<const Word<T>*>(nullptr), q.k));
                }
        }
    }
}

// Samples whose two lowest scores are closer than rounding can tell; returns how many.
// Rounding of a score: d + 8 roundings of terms that sum to at most reach (reach / 2 + |x|).
template <class T>
index_t score_labels(index_t d, const Panels<T>& p, index_t count, const T* tile, Word<T>* label, Word<T>* doubtful) {
    constexpr index_t w = lanes<T>;
    const T unit = T(sizeof(T) == 4 ? 0x1p-23 : 0x1p-52) * static_cast<T>(d + 8);
    index_t found = 0;
    for (index_t i = 0; i < count; i += 2 * w) {
        Best<T> best;
        search<T, false>(d, p, tile + i, best);
        std::memcpy(label + i, best.site, sizeof best.site);
#pragma GCC unroll 2
        for (int v = 0; v < 2; ++v) {
            Vec<T> squared = {};
            for (index_t k = 0; k < d; ++k) {
                const Vec<T> x = load(tile + k * tile_block + i + v * w);
                squared += x * x;
            }
            // |x| <= (1 + |x|^2) / 2 and reach is about 1: no root.
            const Vec<T> bound = (squared * T(0.5) + (T(0.5) + T(0.5) * p.reach)) * (p.reach * unit);
            const auto sure = best.second[v] - best.score[v] > bound;
            const Bits<T> unsure = (Bits<T>)~sure;
            if (!any<T>(unsure)) continue;
            for (index_t l = 0; l < w; ++l)
                if (unsure[l] && i + v * w + l < count) doubtful[found++] = static_cast<Word<T>>(i + v * w + l);
        }
    }
    return found;
}

template <class T>
void assign_tiles(Task<T>& q, const Panels<T>& p) {
    const index_t d = q.x.cols;
    T* const tile = q.scratch;
    T* const again = tile + tile_block * d;
    T* const row = again + tile_block * d;
    Word<T>* const label = reinterpret_cast<Word<T>*>(row + d);
    Word<T>* const doubtful = label + tile_block;
    Word<T>* const settled = doubtful + tile_block;
    for (index_t i = q.begin; i < q.end && !q.stop->requested(q.worker); i += tile_block) {
        const index_t count = q.end - i < tile_block ? q.end - i : tile_block;
        const auto sample = [&](index_t l) { return i + l; };
        if (!p.negated) {
            direct_labels(q, p, count, sample, tile, label, row);
        } else {
            pack_scaled(q.x, count, sample, p.centre, p.scale, tile);
            const index_t doubts = score_labels(d, p, count, tile, label, doubtful);
            if (doubts > 0) {
                direct_labels(q, p, doubts, [&](index_t l) { return i + doubtful[l]; }, again, settled, row);
                for (index_t l = 0; l < doubts; ++l) label[doubtful[l]] = settled[l];
            }
        }
        cluster_rows(q, i, count, label, row);
    }
}

}  // namespace
}  // namespace deblai::DEBLAI_LEVEL
