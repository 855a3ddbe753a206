// The scene of laguerre on the device: checks, order along the curve, leaves and nodes; see deblai/laguerre_scene.hpp.
#pragma once

#include <cub/device/device_radix_sort.cuh>

#include <cmath>

#include "deblai/laguerre.hpp"
#include "deblai/laguerre_scene.hpp"
#include "laguerre/laguerre_items.cuh"

namespace deblai::cuda::laguerre {

using deblai::laguerre::Leaf;
using deblai::laguerre::Node;
using deblai::laguerre::Problem;
using deblai::laguerre::Scene;
using deblai::laguerre::Shape;

constexpr int curve_levels = 31;

// What a pass over the input finds: first bad entries, and the sites' box as keys whose least is the answer.
struct Findings {
    flat_index sites, psi, density, low[2], high[2];
};

template <class T>
struct Sites {
    Matrix<const T> sites;
    Vector<const T> psi;
    double lower[2], upper[2];
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
    for (int k = 1; k >= 0; --k)
        if (here && bad(q.sites(i, k), deblai::laguerre::most_site)) first = 2 * i + k;
    block_least(first, &found->sites);
    block_least(here && q.psi && bad(q.psi(i), deblai::laguerre::most_psi) ? static_cast<flat_index>(i) : none,
                &found->psi);
    for (int k = 0; k < 2; ++k) {
        block_least(here ? ordered(q.at(i, k)) : none, &found->low[k]);
        block_least(here ? ordered(-q.at(i, k)) : none, &found->high[k]);
    }
}

template <class T>
__global__ void __launch_bounds__(block_threads)
    place(Sites<T> q, double low_x, double low_y, double scale, std::uint64_t* key, std::uint32_t* index) {
    const index_t i = item();
    if (i >= q.sites.rows) return;
    const double most = 2147483647.0;  // 2^31 - 1
    const double x = fmin((q.at(i, 0) - low_x) * scale, most), y = fmin((q.at(i, 1) - low_y) * scale, most);
    key[i] = deblai::laguerre::hilbert(static_cast<std::uint32_t>(x), static_cast<std::uint32_t>(y), curve_levels);
    index[i] = static_cast<std::uint32_t>(i);
}

template <class T>
__global__ void __launch_bounds__(block_threads)
    fill_leaves(Sites<T> q, const std::uint32_t* index, index_t leaves, Leaf* leaf, std::int32_t* id) {
    const index_t at = item(), l = at / deblai::laguerre::lanes, k = at % deblai::laguerre::lanes;
    if (l >= leaves) return;
    const bool here = at < q.sites.rows;
    const index_t i = here ? index[at] : 0;
    leaf[l].x[k] = here ? q.at(i, 0) : HUGE_VAL;
    leaf[l].y[k] = here ? q.at(i, 1) : HUGE_VAL;
    leaf[l].psi[k] = here && q.psi ? static_cast<double>(q.psi(i)) : 0.0;
    if (here) id[at] = static_cast<std::int32_t>(i);
}

// One thread a child, which has `below_child` sites; `below` is null for the parents of leaves.
__global__ void __launch_bounds__(block_threads)
    fill_nodes(const Leaf* leaf, const Node* below, index_t children, index_t sites, index_t parents, int level,
               index_t below_child, bool weighted, Node* node) {
    const index_t at = item(), p = at / deblai::laguerre::lanes;
    const int k = static_cast<int>(at % deblai::laguerre::lanes);
    if (p >= parents) return;
    double lx = HUGE_VAL, hx = -HUGE_VAL, ly = HUGE_VAL, hy = -HUGE_VAL, psi = -HUGE_VAL;
    for (int c = 0; c < deblai::laguerre::lanes && at < children; ++c) {
        if (!below && at * deblai::laguerre::lanes + c >= sites) break;
        lx = fmin(lx, below ? below[at].low_x[c] : leaf[at].x[c]);
        hx = fmax(hx, below ? below[at].high_x[c] : leaf[at].x[c]);
        ly = fmin(ly, below ? below[at].low_y[c] : leaf[at].y[c]);
        hy = fmax(hy, below ? below[at].high_y[c] : leaf[at].y[c]);
        psi = fmax(psi, below ? below[at].psi[c] : leaf[at].psi[c]);
    }
    node[p].low_x[k] = lx;
    node[p].high_x[k] = hx;
    node[p].low_y[k] = ly;
    node[p].high_y[k] = hy;
    node[p].psi[k] = psi;
    fit_plane(leaf, at * below_child, min(sites, (at + 1) * below_child),
              weighted ? level : deblai::laguerre::max_levels, node[p], k);
}

// Copies pixels as rows of constant y, finds the first bad one, and leaves the sum of each tile.
template <class T>
__global__ void __launch_bounds__(block_threads)
    lay_out(Matrix<const T> values, double* out, flat_index* first, double* parts) {
    const index_t count = values.rows * values.cols, end = min(count, (blockIdx.x + 1) * tile_size);
    double sum = 0;
    for (index_t at = blockIdx.x * tile_size + threadIdx.x; at < end; at += block_threads) {
        const index_t i = at / values.cols, j = at % values.cols;
        const double v = static_cast<double>(values(i, j));
        if (!(v >= 0 && v - v == 0)) atomicMin(first, static_cast<flat_index>(at));
        sum += out[j * values.rows + i] = v;
    }
    sum = block_sum(sum);
    if (threadIdx.x == 0) parts[blockIdx.x] = sum;
}

__global__ void __launch_bounds__(block_threads) divide(double* values, index_t count, double by) {
    if (item() < count) values[item()] /= by;
}

}  // namespace deblai::cuda::laguerre
