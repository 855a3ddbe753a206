// Marginals and costs as the kernels read them. Everything is in units of epsilon: M = -c / epsilon, log-weights
// g = log a + f / epsilon. Of three marginals or more each pair's matrix is stored once; of two what is given.
#pragma once

#include <limits>
#include <vector>

#include "buffer.hpp"
#include "deblai/multimarginal-host.hpp"
#include "deblai/parallel.hpp"
#include "multimarginal-kernels.hpp"

namespace deblai::multimarginal {

// One marginal, padded: log-weights in both precisions, points coordinate-major. The version changes with the
// potential.
template <class T>
struct Side {
    index_t size, ld;
    std::vector<double> weights, log_weights, g;
    std::vector<T> lifted, points;
    std::uint64_t version;
};

template <class T>
class Store {
public:
    struct Sizes {  // bytes
        std::size_t sides, costs;
    };
    static Sizes sizes(const Problem<T>& problem);

    // Checks entries; throws InvalidValue.
    Store(const Problem<T>& problem, const Kernels<T>& kernels, Team& team);

    const Problem<T>& problem() const { return problem_; }
    const Side<T>& side(int p) const { return sides_[problem_.symmetric ? 0 : p]; }
    void set_potential(int p, const double* f);

    // M of a pair of three marginals or more: rows are those of p.
    Grid<T> grid(int p, int q) const {
        const bool turned = p > q && !problem_.symmetric;
        return turned ? Grid<T>{costs_[index(q, p)], side(p).ld, true}
                      : Grid<T>{costs_[index(p, q)], side(q).ld, false};
    }
    T entry(int p, int q, index_t i, index_t j) const {
        const Grid<T> M = grid(p, q);
        return M.turned ? M.data[j * M.ld + i] : M.data[i * M.ld + j];
    }
    // Bounds of stretches of rows of such a matrix that is not turned.
    const T* tops(int p, int q) const { return tops_[index(p, q)]; }
    // Of two marginals, null where nothing is stored.
    const T* stored(int p, int q) const { return costs_.empty() ? nullptr : costs_[index(p, q)]; }
    // out(j) = M(i, j) for j in [begin, end), from the points; x is scratch.
    void strip(int p, int q, index_t i, index_t begin, index_t end, T* x, T* out) const;
    // Row i of M: where it lies, or computed into out.
    const T* row(int p, int q, index_t i, T* x, T* out) const;
    // out(j) += M(i, j)
    void add_row(int p, int q, index_t i, T* out) const;

private:
    std::size_t index(int p, int q) const { return problem_.symmetric ? 0 : std::size_t(p) * problem_.n_marginals + q; }
    static bool stores(const Problem<T>& problem, int p, int q);
    void fill(int p);
    void fill_row(int p, int q, index_t i, T* x, T* out) const;
    void store_costs(std::size_t bytes);
    void require_symmetric() const;

    const Problem<T>& problem_;
    const Kernels<T>& kernels_;
    Team& team_;
    std::vector<Side<T>> sides_;
    std::vector<T*> costs_, tops_;  // p * N + q
    Buffer cost_memory_;
};

}  // namespace deblai::multimarginal
