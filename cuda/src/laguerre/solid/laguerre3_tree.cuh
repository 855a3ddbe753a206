// The scene of laguerre3 on the device: checks, order along the curve, leaves and nodes; see
// deblai/laguerre3_scene.hpp.
#pragma once

#include <cub/device/device_radix_sort.cuh>

#include "deblai/laguerre3.hpp"
#include "deblai/laguerre3_scene.hpp"
#include "laguerre/laguerre_items.cuh"

namespace deblai::cuda::laguerre3 {

using deblai::laguerre3::Leaf;
using deblai::laguerre3::Node;
using deblai::laguerre3::Problem;
using deblai::laguerre3::Scene;
using laguerre::block_least;
using laguerre::flat_index;
using laguerre::item;
using laguerre::item_grid;

constexpr int curve_levels = 21;

// What a pass over the input finds: first bad entries, and the sites' box as keys whose least is the answer.
struct Findings {
    flat_index sites, psi, low[3], high[3];
};

template <class T>
struct Sites {
    Matrix<const T> sites;
    Vector<const T> psi;
    double lower[3], upper[3];
    bool periodic;

    __device__ double at(index_t i, int k) const {
        const double x = static_cast<double>(sites(i, k));
        return periodic ? deblai::laguerre::wrapped(x, lower[k], upper[k]) : x;
    }
};

template <class T>
__global__ void __launch_bounds__(block_threads) inspect(Sites<T> q, Findings* found) {
    const index_t i = item();
    const bool here = i < q.sites.rows;
    constexpr flat_index none = ~flat_index{0};
    const auto bad = [](double v, double most) { return !(fabs(v) < most); };
    flat_index first = none;
    for (int k = 2; k >= 0; --k)
        if (here && bad(q.sites(i, k), deblai::laguerre::most_site)) first = 3 * i + k;
    block_least(first, &found->sites);
    block_least(here && q.psi && bad(q.psi(i), deblai::laguerre::most_psi) ? static_cast<flat_index>(i) : none,
                &found->psi);
    for (int k = 0; k < 3; ++k) {
        block_least(here ? laguerre::ordered(q.at(i, k)) : none, &found->low[k]);
        block_least(here ? laguerre::ordered(-q.at(i, k)) : none, &found->high[k]);
    }
}

struct Origin {
    double low[3], scale;
};

template <class T>
__global__ void __launch_bounds__(block_threads) place(Sites<T> q, Origin o, std::uint64_t* key, std::uint32_t* index) {
    const index_t i = item();
    if (i >= q.sites.rows) return;
    const double most = 2097151.0;  // 2^21 - 1
    std::uint32_t at[3];
    for (int k = 0; k < 3; ++k) at[k] = static_cast<std::uint32_t>(fmin((q.at(i, k) - o.low[k]) * o.scale, most));
    key[i] = deblai::laguerre3::hilbert3(at, curve_levels);
    index[i] = static_cast<std::uint32_t>(i);
}

template <class T>
__global__ void __launch_bounds__(block_threads)
    fill_leaves(Sites<T> q, const std::uint32_t* index, index_t leaves, Leaf* leaf, std::int32_t* id) {
    const index_t at = item(), l = at / deblai::laguerre3::lanes, c = at % deblai::laguerre3::lanes;
    if (l >= leaves) return;
    const bool here = at < q.sites.rows;
    const index_t i = here ? index[at] : 0;
    for (int k = 0; k < 3; ++k) leaf[l].at[k][c] = here ? q.at(i, k) : HUGE_VAL;
    leaf[l].psi[c] = here && q.psi ? static_cast<double>(q.psi(i)) : 0.0;
    if (here) id[at] = static_cast<std::int32_t>(i);
}

// One thread a child, which has `below_child` sites; `below` is null for the parents of leaves. (T: one copy a file.)
template <class T>
__global__ void __launch_bounds__(block_threads)
    fill_nodes(Sites<T> q, const Leaf* leaf, const Node* below, index_t children, index_t parents, int level,
               index_t below_child, Node* node) {
    constexpr int lanes = deblai::laguerre3::lanes;
    const index_t at = item(), p = at / lanes, sites = q.sites.rows;
    const int c = static_cast<int>(at % lanes);
    if (p >= parents) return;
    double low[3] = {HUGE_VAL, HUGE_VAL, HUGE_VAL}, high[3] = {-HUGE_VAL, -HUGE_VAL, -HUGE_VAL}, psi = -HUGE_VAL;
    for (int l = 0; l < lanes && at < children; ++l) {
        if (!below && at * lanes + l >= sites) break;
        for (int k = 0; k < 3; ++k) {
            low[k] = fmin(low[k], below ? below[at].low[k][l] : leaf[at].at[k][l]);
            high[k] = fmax(high[k], below ? below[at].high[k][l] : leaf[at].at[k][l]);
        }
        psi = fmax(psi, below ? below[at].psi[l] : leaf[at].psi[l]);
    }
    for (int k = 0; k < 3; ++k) node[p].low[k][c] = low[k], node[p].high[k][c] = high[k];
    node[p].psi[c] = psi;
    fit_plane(leaf, min(sites, at * below_child), min(sites, (at + 1) * below_child),
              q.psi ? level : deblai::laguerre3::max_levels, node[p], c);
}

}  // namespace deblai::cuda::laguerre3
