#include "laguerre-tree.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <utility>

namespace deblai::laguerre {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr index_t site_task = 8192;

struct Box {
    double low[2] = {infinity, infinity}, high[2] = {-infinity, -infinity};

    void add(const double (&p)[2]) {
        for (int k = 0; k < 2; ++k) {
            low[k] = std::min(low[k], p[k]);
            high[k] = std::max(high[k], p[k]);
        }
    }
    double size() const { return std::max(high[0] - low[0], high[1] - low[1]); }
};

// Sites in the caller's order as doubles, on the torus wrapped into the box.
template <class T>
struct Sites {
    const Problem<T>& q;

    void get(index_t i, double (&p)[2]) const {
        for (int k = 0; k < 2; ++k) {
            p[k] = static_cast<double>(q.sites(i, k));
            if (q.periodic) p[k] = wrapped(p[k], q.lower[k], q.upper[k]);
        }
    }
    double psi(index_t i) const { return q.psi ? static_cast<double>(q.psi(i)) : 0.0; }
};

using Entry = std::uint64_t;  // key, then site
constexpr std::uint32_t site_of(Entry e) { return static_cast<std::uint32_t>(e); }
constexpr std::uint32_t key_of(Entry e) { return static_cast<std::uint32_t>(e >> 32); }

// Stable, by digits of the key.
void radix_sort(Entry* entry, Entry* other, index_t count, int bits) {
    constexpr int digit = 11;
    Entry* const home = entry;
    for (int shift = 32; shift < 32 + bits; shift += digit) {
        index_t start[1 << digit] = {};
        for (index_t i = 0; i < count; ++i) ++start[entry[i] >> shift & ((1 << digit) - 1)];
        index_t sum = 0;
        for (index_t& s : start) sum += std::exchange(s, sum);
        for (index_t i = 0; i < count; ++i) other[start[entry[i] >> shift & ((1 << digit) - 1)]++] = entry[i];
        std::swap(entry, other);
    }
    if (entry != home) std::copy(entry, entry + count, home);
}

// Orders the sites that entries name along the curve through their own bounding box; those that share a place of the
// curve once more among themselves, so that clusters of any size and depth are resolved.
template <class T>
class Order {
public:
    Order(const Sites<T>& sites, Entry* other, Team& team) : sites_(sites), other_(other), team_(team) {}

    void sort(Entry* entry, index_t count) {
        if (count <= lanes) return group(entry, count);
        const Box box = bounds(entry, count);
        const int levels =
            std::clamp(static_cast<int>(std::bit_width(static_cast<std::uint64_t>(count))) / 2 + 2, 3, 16);
        const double scale = std::ldexp(1.0, levels) / box.size(), most = std::ldexp(1.0, levels) - 1;
        if (team_.stopped()) return;
        if (!(scale < infinity)) return group(entry, count);  // one point
        each_task(count, [&](index_t begin, index_t end) {
            for (index_t i = begin; i < end; ++i) {
                double p[2];
                sites_.get(site_of(entry[i]), p);
                const auto place = [&](int k) {
                    return static_cast<std::uint32_t>(std::min((p[k] - box.low[k]) * scale, most));
                };
                entry[i] = hilbert(place(0), place(1), levels) << 32 | site_of(entry[i]);
            }
        });
        radix_sort(entry, other_, count, 2 * levels);
        for (index_t i = 0, end = 0; i < count; i = end) {
            while (end < count && key_of(entry[end]) == key_of(entry[i])) ++end;
            if (end - i > 1) end - i > 2 * lanes ? sort(entry + i, end - i) : group(entry + i, end - i);
        }
    }

private:
    // Sites at one point follow one another, first the one that has the cell; see hidden_by.
    void group(Entry* entry, index_t count) const {
        std::sort(entry, entry + count, [this](Entry a, Entry b) {
            double p[2], q[2];
            sites_.get(site_of(a), p);
            sites_.get(site_of(b), q);
            for (int k = 0; k < 2; ++k)
                if (p[k] != q[k]) return p[k] < q[k];
            const double psi = sites_.psi(site_of(a)), other = sites_.psi(site_of(b));
            return psi != other ? psi > other : site_of(a) < site_of(b);
        });
    }

    template <class F>
    void each_task(index_t count, const F& f) {
        if (count <= site_task) return f(0, count);
        team_.run((count + site_task - 1) / site_task,
                  [&](index_t task, int) { f(task * site_task, std::min(count, (task + 1) * site_task)); });
    }

    Box bounds(const Entry* entry, index_t count) const {
        Box box;
        double p[2];
        for (index_t i = 0; i < count; ++i) {
            sites_.get(site_of(entry[i]), p);
            box.add(p);
        }
        return box;
    }

    const Sites<T>& sites_;
    Entry* other_;
    Team& team_;
};

template <class Child>
void fill(Node& node, index_t first, index_t count, const Child& child) {
    for (int k = 0; k < lanes; ++k) {
        Box box;
        double psi = -infinity;
        if (first + k < count) child(first + k, box, psi);
        node.low_x[k] = box.low[0];
        node.low_y[k] = box.low[1];
        node.high_x[k] = box.high[0];
        node.high_y[k] = box.high[1];
        node.psi[k] = psi;
    }
}

void summarize(const Node& n, Box& box, double& psi) {
    for (int k = 0; k < lanes; ++k) {
        box.add({n.low_x[k], n.low_y[k]});
        box.add({n.high_x[k], n.high_y[k]});
        psi = std::max(psi, n.psi[k]);
    }
}

}  // namespace

std::size_t Tree::bytes(index_t sites) {
    const Shape shape(sites);
    return sizeof(Leaf) * shape.leaves + sizeof(Node) * shape.nodes + sizeof(std::int32_t) * sites +
           2 * sizeof(Entry) * sites;
}

template <class T>
Tree::Tree(const Problem<T>& q, Scene& scene, Team& team) {
    const index_t n = q.sites.rows;
    const Shape shape(n);
    const Sites<T> sites{q};
    leaves_ = allocate(sizeof(Leaf) * shape.leaves);
    nodes_ = allocate(sizeof(Node) * shape.nodes);
    ids_ = allocate(sizeof(std::int32_t) * n);
    Leaf* const leaf = reinterpret_cast<Leaf*>(leaves_.get());
    Node* const node = reinterpret_cast<Node*>(nodes_.get());
    std::int32_t* const id = reinterpret_cast<std::int32_t*>(ids_.get());
    scene.leaf = leaf;
    scene.node = node;
    scene.id = id;
    scene.size = n;
    if (scene.known) {
        for (index_t i = 0; i < n; ++i) id[i] = static_cast<std::int32_t>(i);
    } else {
        const Buffer entries = allocate(2 * sizeof(Entry) * n);
        Entry* const entry = reinterpret_cast<Entry*>(entries.get());
        for (index_t i = 0; i < n; ++i) entry[i] = i;
        Order<T>(sites, entry + n, team).sort(entry, n);
        for (index_t i = 0; i < n; ++i) id[i] = static_cast<std::int32_t>(site_of(entry[i]));
    }
    constexpr index_t leaf_task = site_task / lanes;
    team.run((shape.leaves + leaf_task - 1) / leaf_task, [&](index_t task, int) {
        for (index_t l = task * leaf_task; l < std::min(shape.leaves, (task + 1) * leaf_task); ++l)
            for (index_t k = 0; k < lanes; ++k) {
                const index_t place = l * lanes + k;
                double p[2] = {infinity, infinity};
                if (place < n) sites.get(id[place], p);
                leaf[l].x[k] = p[0];
                leaf[l].y[k] = p[1];
                leaf[l].psi[k] = place < n ? sites.psi(id[place]) : 0.0;
            }
    });
    if (scene.known) {
        set_shifts(scene);
        return;
    }
    index_t count = shape.leaves, below_child = lanes;  // sites below a child
    for (int level = 0; level < shape.levels; ++level, below_child *= lanes) {
        const Node* const below = level > 0 ? node + shape.first[level - 1] : nullptr;
        const index_t parents = (count + lanes - 1) / lanes;
        constexpr index_t node_task = 64;
        team.run((parents + node_task - 1) / node_task, [&](index_t task, int) {
            for (index_t p = task * node_task; p < std::min(parents, (task + 1) * node_task); ++p) {
                Node& parent = node[shape.first[level] + p];
                fill(parent, p * lanes, count, [&](index_t c, Box& box, double& psi) {
                    if (below) return summarize(below[c], box, psi);
                    for (index_t k = 0; k < std::min<index_t>(lanes, n - c * lanes); ++k) {
                        box.add({leaf[c].x[k], leaf[c].y[k]});
                        psi = std::max(psi, leaf[c].psi[k]);
                    }
                });
                for (index_t c = p * lanes; c < std::min(count, (p + 1) * lanes); ++c)
                    fit_plane(leaf, c * below_child, std::min(n, (c + 1) * below_child), q.psi ? level : max_levels,
                              parent, static_cast<int>(c % lanes));
            }
        });
        count = parents;
    }
    std::copy_n(shape.first, shape.levels, scene.level);
    scene.levels = shape.levels;
    set_images(scene, node[shape.first[shape.levels - 1]]);
}

template Tree::Tree(const Problem<float>&, Scene&, Team&);
template Tree::Tree(const Problem<double>&, Scene&, Team&);

}  // namespace deblai::laguerre
