// What one call of multimarginal keeps on the device.
#pragma once

#include <algorithm>
#include <vector>

#include "call.cuh"
#include "deblai/multimarginal-host.hpp"
#include "multimarginal_tile.cuh"

namespace deblai::cuda::multimarginal {

using deblai::multimarginal::Problem;
using deblai::multimarginal::Roles;

// What one launch takes on: terms for some milliseconds, and tuples of fixed points. Tests make them small.
#if !defined(DEBLAI_MOST_TERMS)
#define DEBLAI_MOST_TERMS 7e10
#define DEBLAI_MOST_TUPLES 65536
#endif
inline constexpr double most_terms = DEBLAI_MOST_TERMS, most_tuples = DEBLAI_MOST_TUPLES;
inline constexpr index_t enough_blocks = 1024;

// Into how many parts the work of each tile of rows (and columns) is cut; sizes alone decide.
inline index_t chunks_of(index_t grid, index_t items) {
    return std::max<index_t>(1, std::min(items, (enough_blocks + grid - 1) / grid));
}

template <class T>
struct Workspace {
    // Of ordered pairs, p * count + q.
    struct Arrays {
        T *M = nullptr, *kernel = nullptr, *tops = nullptr, *highest = nullptr;
    };

    std::vector<Side<T>> sides;
    std::vector<double*> masses;
    std::vector<Arrays> pairs;
    T* staging;  // as long as the longest array of points or weights
    const T** M_table;
    const double** g_table;
    index_t* ld_table;
    Scaled *parts, *total;
    int* tuples;
    double* tuple_weights;
    unsigned long long* first;
    // For `evaluate` alone.
    T* plan = nullptr;
    char* exact = nullptr;
    double *row_mass = nullptr, *row_linear = nullptr;
    std::vector<double*> gradients;

    Workspace(Arena& arena, const Problem<T>& q, bool evaluates, bool gradients_wanted) {
        const int count = q.distinct();
        const bool many = q.n_marginals > 2;
        const index_t d = q.costs ? 0 : q.marginals[0].points.cols;
        index_t longest = 0, total_size = 0, most_parts = 0, most_plan = 0;
        for (int p = 0; p < count; ++p) {
            const index_t n = q.marginals[p].size, ld = padded(n);
            Side<T> s{n, ld, q.costs ? nullptr : arena.take<T>(d * ld), arena.take<double>(2 * ld), nullptr, nullptr};
            s.g = s.f ? s.f + ld : nullptr;
            masses.push_back(arena.take<double>(n));
            s.masses = masses.back();
            sides.push_back(s);
            longest = std::max(longest, ld);
            total_size += n;
            gradients.push_back(gradients_wanted ? arena.take<double>(n * d) : nullptr);
        }
        pairs.resize(count * count);
        for (int p = 0; p < count; ++p)
            for (int r = 0; r < count; ++r) {
                if (p == r && !q.symmetric) continue;
                const index_t n = sides[p].size, ld = sides[r].ld;
                Arrays& a = pairs[p * count + r];
                if (many || q.costs) a.M = arena.take<T>(n * ld);
                most_plan = std::max(most_plan, n * ld);
                if (!many) continue;
                a.kernel = arena.take<T>(padded(n) * ld);
                a.tops = arena.take<T>(tiles_of(n) * ld);
                a.highest = arena.take<T>(tiles_of(n) * tiles_of(ld));
            }
        for (int p = 0; p < count; ++p) {
            const index_t rows = tiles_of(sides[p].size);
            for (int r = 0; r < count; ++r) {
                const index_t columns = many ? tiles_of(sides[r].size) : 1;
                const index_t chunks = (enough_blocks + rows * columns - 1) / (rows * columns);
                most_parts = std::max(most_parts, columns * chunks * sides[p].size);
            }
        }
        staging = arena.take<T>(longest);
        M_table = arena.take<const T*>(count * count);
        g_table = arena.take<const double*>(count);
        ld_table = arena.take<index_t>(count);
        parts = arena.take<Scaled>(most_parts);
        total = arena.take<Scaled>(longest);
        const index_t depth = std::max(0, q.n_marginals - 3);
        tuples = arena.take<int>(depth * (1 + tuple_batch(q)));
        tuple_weights = arena.take<double>(tuple_batch(q));
        first = arena.take<unsigned long long>(q.pairs() + 1);
        if (!evaluates) return;
        if (many) plan = arena.take<T>(most_plan);
        if (many) exact = arena.take<char>(longest);
        row_mass = arena.take<double>(total_size);
        row_linear = arena.take<double>(total_size);
    }

    static std::size_t bytes(const Problem<T>& q, bool evaluates, bool gradients_wanted) {
        Arena arena(nullptr);
        Workspace(arena, q, evaluates, gradients_wanted);
        return arena.used();
    }

    // At most so many tuples of fixed points are looked at in one go.
    static index_t tuple_batch(const Problem<T>& q) {
        double tuples = 1;
        for (int p = 0; p + 3 < q.n_marginals; ++p) {
            index_t most = 0;
            for (int r = 0; r < q.distinct(); ++r) most = std::max(most, q.marginals[r].size);
            tuples *= static_cast<double>(most);
        }
        return static_cast<index_t>(std::min(tuples, most_tuples));
    }
};

}  // namespace deblai::cuda::multimarginal
