// The scene of the cells of a plane or of space on the device: checks, order along the curve, leaves and nodes; see
// deblai/laguerre_scene.hpp and deblai/laguerre3_scene.hpp.
#pragma once

#include <cub/device/device_radix_sort.cuh>

#include <cmath>
#include <utility>

#include "deblai/laguerre.hpp"
#include "deblai/laguerre3_scene.hpp"
#include "laguerre/laguerre_items.cuh"

namespace deblai::cuda::laguerre {

using deblai::laguerre::Leaf;
using deblai::laguerre::Node;
using deblai::laguerre::Problem;
using deblai::laguerre::Scene;
using deblai::laguerre::Shape;

constexpr flat_index none = ~flat_index{0};

// What leaves and nodes are in each dimension, and a curve; a second curve for sites that share a place of the first.
template <int D>
struct Kind;

template <>
struct Kind<2> {
    using Leaf = deblai::laguerre::Leaf;
    using Node = deblai::laguerre::Node;
    using Scene = deblai::laguerre::Scene;
    static constexpr int curve_levels = 31, fine_levels = 16;

    template <class L>
    static DEBLAI_HD auto& at(L& leaf, int k) {
        return k == 0 ? leaf.x : leaf.y;
    }
    template <class N>
    static DEBLAI_HD auto& low(N& node, int k) {
        return k == 0 ? node.low_x : node.low_y;
    }
    template <class N>
    static DEBLAI_HD auto& high(N& node, int k) {
        return k == 0 ? node.high_x : node.high_y;
    }
    static DEBLAI_HD std::uint64_t curve(std::uint32_t (&x)[2], int levels) {
        return deblai::laguerre::hilbert(x[0], x[1], levels);
    }
};

template <>
struct Kind<3> {
    using Leaf = deblai::laguerre3::Leaf;
    using Node = deblai::laguerre3::Node;
    using Scene = deblai::laguerre3::Scene;
    static constexpr int curve_levels = 21, fine_levels = 10;

    template <class L>
    static DEBLAI_HD auto& at(L& leaf, int k) {
        return leaf.at[k];
    }
    template <class N>
    static DEBLAI_HD auto& low(N& node, int k) {
        return node.low[k];
    }
    template <class N>
    static DEBLAI_HD auto& high(N& node, int k) {
        return node.high[k];
    }
    static DEBLAI_HD std::uint64_t curve(std::uint32_t (&x)[3], int levels) {
        return deblai::laguerre3::hilbert3(x, levels);
    }
};

// What a pass over the input finds: first bad entries, and the sites' box as keys whose least is the answer.
template <int D>
struct Found {
    flat_index sites, psi, density, low[D], high[D];
};

template <class T, int D>
struct Points {
    Matrix<const T> sites;
    Vector<const T> psi;
    double lower[D], upper[D];
    bool periodic;

    template <class Q>
    static Points of(const Q& q) {
        Points p{q.sites, q.psi, {}, {}, q.periodic};
        for (int k = 0; k < D; ++k) p.lower[k] = q.lower[k], p.upper[k] = q.upper[k];
        return p;
    }

    __device__ double at(index_t i, int k) const {
        const double x = static_cast<double>(sites(i, k));
        return periodic ? deblai::laguerre::wrapped(x, lower[k], upper[k]) : x;
    }
};

// Where the curve begins, and the places of its grid in a unit of length; 0 for a single point.
template <int D>
struct Grid {
    double low[D], scale;

    // From keys of the least coordinates and of the least of their negatives.
    static DEBLAI_HD Grid around(const flat_index* low, const flat_index* high, index_t stride, int levels) {
        Grid g{};
        double size = 0;
        for (int k = 0; k < D; ++k) {
            g.low[k] = unordered(low[k * stride]);
            size = fmax(size, -unordered(high[k * stride]) - g.low[k]);
        }
        g.scale = static_cast<double>(std::uint32_t{1} << levels) / size;
        if (!(size > 0 && g.scale < HUGE_VAL)) g.scale = 0;
        return g;
    }
    template <class T>
    __device__ std::uint64_t curve(const Points<T, D>& q, index_t i, int levels) const {
        const double most = static_cast<double>((std::uint32_t{1} << levels) - 1);
        std::uint32_t x[D];
        for (int k = 0; k < D; ++k) x[k] = static_cast<std::uint32_t>(fmin((q.at(i, k) - low[k]) * scale, most));
        return Kind<D>::curve(x, levels);
    }
};

template <class T, int D>
__global__ void __launch_bounds__(block_threads) inspect(Points<T, D> q, Found<D>* found) {
    const index_t i = item();
    const bool here = i < q.sites.rows;
    const auto bad = [](double v, double most) { return !(fabs(v) < most); };
    flat_index first = none;
    for (int k = D - 1; k >= 0; --k)
        if (here && bad(q.sites(i, k), deblai::laguerre::most_site)) first = D * i + k;
    block_least(first, &found->sites);
    block_least(here && q.psi && bad(q.psi(i), deblai::laguerre::most_psi) ? static_cast<flat_index>(i) : none,
                &found->psi);
    for (int k = 0; k < D; ++k) {
        block_least(here ? ordered(q.at(i, k)) : none, &found->low[k]);
        block_least(here ? ordered(-q.at(i, k)) : none, &found->high[k]);
    }
}

// Keys along the curve of the sites that `index` names; of all in their own order where that is null.
template <class T, int D>
__global__ void __launch_bounds__(block_threads)
    place(Points<T, D> q, Grid<D> grid, const std::uint32_t* index, std::uint64_t* key, std::uint32_t* out) {
    const index_t at = item();
    if (at >= q.sites.rows) return;
    const index_t i = index ? index[at] : at;
    key[at] = grid.curve(q, i, Kind<D>::curve_levels);
    if (!index) out[at] = static_cast<std::uint32_t>(i);
}

// Do sites share a place of the curve?
template <int D>
__global__ void __launch_bounds__(block_threads) look_for_ties(const std::uint64_t* key, index_t n, int* any) {
    const index_t at = item();
    if (at + 1 < n && key[at] == key[at + 1]) *any = 1;
}

// Keys that rise as psi falls.
template <class T, int D>
__global__ void __launch_bounds__(block_threads)
    place_by_psi(Points<T, D> q, std::uint64_t* key, std::uint32_t* index) {
    const index_t i = item();
    if (i >= q.sites.rows) return;
    key[i] = ~ordered(static_cast<double>(q.psi(i)) + 0.0);
    index[i] = static_cast<std::uint32_t>(i);
}

// Where the entries that equal the one at `at` begin.
__device__ inline index_t first_of(const std::uint64_t* key, index_t at) {
    index_t low = 0, high = at;
    while (low < high) {
        const index_t middle = (low + high) / 2;
        if (key[middle] < key[at])
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

// The boxes of sites with equal keys, where these begin: row k of `box` has low[k], row D + k has -high[k].
template <class T, int D>
__global__ void __launch_bounds__(block_threads)
    box_ties(Points<T, D> q, const std::uint64_t* key, const std::uint32_t* index, flat_index* box) {
    const index_t at = item(), n = q.sites.rows;
    if (at >= n) return;
    const index_t first = first_of(key, at);
    if (first == at && (at + 1 == n || key[at + 1] != key[at])) return;
    for (int k = 0; k < D; ++k) {
        const double x = q.at(index[at], k);
        atomicMin(box + k * n + first, ordered(x));
        atomicMin(box + (D + k) * n + first, ordered(-x));
    }
}

// Orders sites with equal keys along a curve through their own box; `any`, where that is no single point.
template <class T, int D>
__global__ void __launch_bounds__(block_threads)
    part_ties(Points<T, D> q, const std::uint64_t* key, const std::uint32_t* index, const flat_index* box,
              std::uint64_t* finer, int* any) {
    const index_t at = item(), n = q.sites.rows;
    if (at >= n) return;
    const index_t first = first_of(key, at);
    std::uint64_t within = 0;
    if (box[first] != none) {
        const Grid<D> grid = Grid<D>::around(box + first, box + D * n + first, n, Kind<D>::fine_levels);
        if (grid.scale > 0) {
            within = grid.curve(q, index[at], Kind<D>::fine_levels);
            *any = 1;
        }
    }
    finer[at] = static_cast<std::uint64_t>(first) << 32 | within;
}

template <class T, int D>
__global__ void __launch_bounds__(block_threads) fill_leaves(Points<T, D> q, const std::uint32_t* index, index_t leaves,
                                                             typename Kind<D>::Leaf* leaf, std::int32_t* id) {
    const index_t at = item(), l = at / deblai::laguerre::lanes, c = at % deblai::laguerre::lanes;
    if (l >= leaves) return;
    const bool here = at < q.sites.rows;
    const index_t i = here ? index[at] : 0;
    for (int k = 0; k < D; ++k) Kind<D>::at(leaf[l], k)[c] = here ? q.at(i, k) : HUGE_VAL;
    leaf[l].psi[c] = here && q.psi ? static_cast<double>(q.psi(i)) : 0.0;
    if (here) id[at] = static_cast<std::int32_t>(i);
}

// One thread a child, which has `below_child` sites; `below` is null for the parents of leaves.
template <int D>
__global__ void __launch_bounds__(block_threads)
    fill_nodes(const typename Kind<D>::Leaf* leaf, const typename Kind<D>::Node* below, index_t children, index_t sites,
               index_t parents, int level, index_t below_child, bool weighted, typename Kind<D>::Node* node) {
    using K = Kind<D>;
    constexpr int lanes = deblai::laguerre::lanes;
    const index_t at = item(), p = at / lanes;
    const int c = static_cast<int>(at % lanes);
    if (p >= parents) return;
    double low[D], high[D], psi = -HUGE_VAL;
    for (int k = 0; k < D; ++k) low[k] = HUGE_VAL, high[k] = -HUGE_VAL;
    for (int l = 0; l < lanes && at < children; ++l) {
        if (!below && at * lanes + l >= sites) break;
        for (int k = 0; k < D; ++k) {
            low[k] = fmin(low[k], below ? K::low(below[at], k)[l] : K::at(leaf[at], k)[l]);
            high[k] = fmax(high[k], below ? K::high(below[at], k)[l] : K::at(leaf[at], k)[l]);
        }
        psi = fmax(psi, below ? below[at].psi[l] : leaf[at].psi[l]);
    }
    for (int k = 0; k < D; ++k) K::low(node[p], k)[c] = low[k], K::high(node[p], k)[c] = high[k];
    node[p].psi[c] = psi;
    fit_plane(leaf, min(sites, at * below_child), min(sites, (at + 1) * below_child),
              weighted ? level : deblai::laguerre::max_levels, node[p], c);
}

// Checks the sites, puts them in order and builds the nodes above them.
template <class T, int D>
class Tree {
public:
    using Leaf = typename Kind<D>::Leaf;
    using Node = typename Kind<D>::Node;
    using Scene = typename Kind<D>::Scene;

    Tree(const Call& call, const Points<T, D>& points) : call_(call), q_(points), n_(points.sites.rows), shape_(n_) {}

    // Lays out its arrays; from null, only to learn the size.
    void lay_out(Arena& arena) {
        leaf_ = arena.take<Leaf>(shape_.leaves);
        node_ = arena.take<Node>(shape_.nodes);
        id_ = arena.take<std::int32_t>(n_);
        found_ = arena.take<Found<D>>(1);
        any_ = arena.take<int>(1);
        for (auto*& k : key_) k = arena.take<std::uint64_t>(n_);
        for (auto*& i : index_) i = arena.take<std::uint32_t>(n_);
        sort_bytes_ = 0;
        sort(nullptr, 64);
        sorting_ = arena.take<std::byte>(std::max<std::size_t>(sort_bytes_, 1));
    }

    // Free once the tree is built: n numbers of 8 bytes, k = 0 or 1.
    double* spare(int k) const { return reinterpret_cast<double*>(key_[k]); }

    // Looks at all sites; others may add to what is found.
    Found<D>* inspect() const {
        call_.check(cudaMemsetAsync(found_, 0xFF, sizeof(Found<D>), call_.stream()), "cudaMemsetAsync");
        call_.launch("inspect", laguerre::inspect<T, D>, item_grid(n_), block_threads, q_, found_);
        return found_;
    }

    // Throws for bad sites; call it after `inspect`.
    Found<D> require_entries() const {
        using namespace deblai::laguerre;
        Found<D> found;
        fetch(call_, &found, found_, 1);
        const auto entry = [&](const T* at) {
            T v;
            fetch(call_, &v, at, 1);
            return static_cast<double>(v);
        };
        if (found.sites != none) {
            const index_t i = static_cast<index_t>(found.sites / D), k = static_cast<index_t>(found.sites % D);
            throw bad_entry("sites", most_site, entry(&q_.sites(i, k)), i, k);
        }
        if (found.psi != none) {
            const index_t i = static_cast<index_t>(found.psi);
            throw bad_entry("psi", most_psi, entry(&q_.psi(i)), i, 0);
        }
        return found;
    }

    // Sets what the scene knows of sites, nodes and the torus; its box is set.
    void build(const Found<D>& found, Scene& scene) {
        order(Grid<D>::around(found.low, found.high, 1, Kind<D>::curve_levels));
        constexpr int lanes = deblai::laguerre::lanes;
        call_.launch("fill_leaves", fill_leaves<T, D>, item_grid(shape_.leaves * lanes), block_threads, q_, index_[0],
                     shape_.leaves, leaf_, id_);
        index_t children = shape_.leaves, below_child = lanes;
        for (int level = 0; level < shape_.levels; ++level, below_child *= lanes) {
            const index_t parents = (children + lanes - 1) / lanes;
            call_.launch("fill_nodes", fill_nodes<D>, item_grid(parents * lanes), block_threads, leaf_,
                         level > 0 ? node_ + shape_.first[level - 1] : nullptr, children, n_, parents, level,
                         below_child, static_cast<bool>(q_.psi), node_ + shape_.first[level]);
            children = parents;
        }
        scene.leaf = leaf_;
        scene.node = node_;
        scene.id = id_;
        scene.size = n_;
        scene.levels = shape_.levels;
        for (int level = 0; level < shape_.levels; ++level) scene.level[level] = shape_.first[level];
        scene.weighted = static_cast<bool>(q_.psi);
        scene.periodic = q_.periodic;
        Node root;
        fetch(call_, &root, node_ + shape_.first[shape_.levels - 1], 1);
        set_images(scene, root);
    }

private:
    // Sorts key_[1] with index_[0] into key_[0] and index_[0].
    void sort(void* temporary, int bits) {
        call_.check(cub::DeviceRadixSort::SortPairs(temporary, sort_bytes_, const_cast<const std::uint64_t*>(key_[1]),
                                                    key_[0], const_cast<const std::uint32_t*>(index_[0]), index_[1], n_,
                                                    0, bits, call_.stream()),
                    "cub::DeviceRadixSort");
        if (temporary) std::swap(index_[0], index_[1]);
    }

    template <class... Wanted, class... Given>
    bool any(const char* what, void (*kernel)(Wanted...), Given... given) const {
        int found = 0;
        call_.check(cudaMemsetAsync(any_, 0, sizeof(int), call_.stream()), "cudaMemsetAsync");
        call_.launch(what, kernel, item_grid(n_), block_threads, given..., any_);
        fetch(call_, &found, any_, 1);
        return found != 0;
    }

    // Along the curve. Sites at one point follow one another, first the one that has the cell, as hidden_by and owner
    // want it: sorts are stable.
    void order(const Grid<D>& grid) {
        constexpr int bits = D * Kind<D>::curve_levels;
        const std::uint32_t* const own = nullptr;
        call_.launch("place", place<T, D>, item_grid(n_), block_threads, q_, grid, own, key_[1], index_[0]);
        sort(sorting_, bits);
        if (!any("look_for_ties", look_for_ties<D>, key_[0], n_)) return;
        if (q_.psi) {
            call_.launch("place_by_psi", place_by_psi<T, D>, item_grid(n_), block_threads, q_, key_[1], index_[0]);
            sort(sorting_, 64);
            call_.launch("place", place<T, D>, item_grid(n_), block_threads, q_, grid, index_[0], key_[1], index_[1]);
            sort(sorting_, bits);
        }
        const std::size_t bytes = 2 * D * sizeof(flat_index) * static_cast<std::size_t>(n_);
        const Memory boxes(call_, bytes);
        auto* const box = reinterpret_cast<flat_index*>(boxes.data());
        for (;;) {
            call_.check(cudaMemsetAsync(box, 0xFF, bytes, call_.stream()), "cudaMemsetAsync");
            call_.launch("box_ties", box_ties<T, D>, item_grid(n_), block_threads, q_, key_[0], index_[0], box);
            if (!any("part_ties", part_ties<T, D>, q_, key_[0], index_[0], box, key_[1])) return;
            sort(sorting_, 64);
        }
    }

    const Call& call_;
    const Points<T, D> q_;
    const index_t n_;
    const Shape shape_;
    Leaf* leaf_;
    Node* node_;
    std::int32_t* id_;
    Found<D>* found_;
    int* any_;
    std::uint64_t* key_[2];
    std::uint32_t* index_[2];
    void* sorting_;
    std::size_t sort_bytes_;
};

}  // namespace deblai::cuda::laguerre
