// What one call on a graph keeps on the device: one allocation, from whose end tables are taken and given back.
#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <vector>

#include "call.cuh"
#include "deblai/multimarginal-graph.hpp"
#include "graph_terms.cuh"

namespace deblai::cuda::multimarginal {

using deblai::multimarginal::Problem;

// Tables of one call in a piece of memory; those that find no room in one piece there get their own. Outlives them.
class Pool {
public:
    Pool(const Call& call, std::byte* begin, std::size_t bytes) : call_(call), begin_(begin) { free_[0] = bytes; }
    Pool(const Pool&) = delete;

    std::shared_ptr<void> take(std::size_t bytes) {
        bytes = std::max<std::size_t>((bytes + 255) / 256 * 256, 256);
        for (auto room = free_.begin(); room != free_.end(); ++room) {
            if (room->second < bytes) continue;
            const std::size_t at = room->first, left = room->second - bytes;
            free_.erase(room);
            if (left > 0) free_[at + bytes] = left;
            return {begin_ + at, [this, at, bytes](void*) { give_back(at, bytes); }};
        }
        const auto own = std::make_shared<Memory>(call_, bytes);
        return {own, own->data()};
    }

private:
    void give_back(std::size_t at, std::size_t bytes) {
        auto room = free_.emplace(at, bytes).first;
        const auto next = std::next(room);
        if (next != free_.end() && next->first == at + bytes) {
            room->second += next->second;
            free_.erase(next);
        }
        if (room == free_.begin()) return;
        const auto before = std::prev(room);
        if (before->first + before->second != at) return;
        before->second += room->second;
        free_.erase(room);
    }

    const Call& call_;
    std::byte* begin_;
    std::map<std::size_t, std::size_t> free_;  // where pieces begin, and their bytes
};

// Arrays by variable, and those of one elimination.
template <class T>
struct GraphWorkspace {
    static constexpr index_t most_parts = 32768;  // beside those of each row
    static constexpr int top_blocks = 1024;

    struct Variable {
        index_t size, ld;
        T* points = nullptr;     // coordinate-major, (d, ld), in the order of tables; null where costs are given
        int* natural = nullptr;  // where points stand in the caller's order; null: there
    };

    std::vector<Variable> variables;
    T* tops;
    Scaled *parts, *total;
    unsigned long long *first, *exact;
    void* staging;  // as long as the longest array of points or weights
    // For plans alone.
    double *g_p = nullptr, *g_q = nullptr, *row_linear = nullptr;
    std::vector<double*> gradients;

    template <class S>
    GraphWorkspace(Arena& arena, const Problem<S>& q, int width, bool plans, bool gradients_wanted) {
        const index_t d = q.costs ? 0 : q.marginals[0].points.cols;
        index_t longest = 0, total_size = 0;
        for (int p = 0; p < q.n_marginals; ++p) {
            const index_t n = q.marginals[p].size, ld = padded(n);
            Variable v{n, ld};
            if (!q.costs) v.points = arena.take<T>(d * ld);
            if (!q.costs && width > 1) v.natural = arena.take<int>(n);
            variables.push_back(v);
            longest = std::max(longest, ld);
            total_size += n;
            gradients.push_back(gradients_wanted ? arena.take<double>(n * d) : nullptr);
        }
        tops = arena.take<T>(top_blocks);
        parts = arena.take<Scaled>(longest + most_parts);
        total = arena.take<Scaled>(longest);
        first = arena.take<unsigned long long>(q.edge_count + 1);
        exact = arena.take<unsigned long long>(1);
        staging = arena.take<double>(longest);
        if (!plans) return;
        g_p = arena.take<double>(longest);
        g_q = arena.take<double>(longest);
        row_linear = arena.take<double>(total_size);
    }
};

}  // namespace deblai::cuda::multimarginal
