// Sums over all marginals but two, as a table that serves the updates of either while no other moves:
//   G(i,j) = 4^-lift exp(top(i) + top'(j)) values(i,j),   values(i,j) = sum_d left(d,i) right(d,j)
// with d the depth (multimarginal-depth.hpp) and factors stabilised by their columns' largest entries, 2^lift. Both
// lose what underflows; values that large sums come from have lost nothing that matters, and `sums` knows the others.
// Where points are looped over, factors are first tried as products of three stored exponentials: of M, of the point
// contracted beside a tuple, and of the tuple beside i. These lose more, and where that shows they are made anew.
#pragma once

#include <vector>

#include "multimarginal-depth.hpp"

namespace deblai::multimarginal {

// Rough costs in nanoseconds of one thread: of an exponential, of a multiplication in a product.
template <class T>
inline constexpr double exponential = sizeof(T) == 4 ? 0.4 : 0.8;
template <class T>
inline constexpr double multiplication = sizeof(T) == 4 ? 0.011 : 0.022;

template <class T>
class PairTable {
public:
    static std::size_t bytes(const Problem<T>& problem, int threads);

    PairTable(const Store<T>& store, const Kernels<T>& kernels, Team& team);

    // lse(i) = log of the sum over all marginals but p, and the rows in which underflow may have lost some of it; false
    // after a stop.
    bool conditional(int p, double* lse, std::vector<index_t>& doubtful);
    // The plan of the pair p < q, rows of side(q).ld, its doubtful rows wrong; null after a stop. Void with the next
    // call.
    T* plan(int p, int q, std::vector<index_t>& doubtful);

private:
    static constexpr index_t run = 128;  // depth of a product made at once

    // How tables are cut, by sizes alone.
    struct Cut {
        index_t capacity;                   // depth of a chunk, in whole runs
        index_t slices;                     // of the runs of a chunk; each adds up its own values
        index_t block_rows, block_columns;  // panels of a task
        bool deep;                          // the whole table is one block
    };
    static Cut cut(const Problem<T>& problem, const Roles& roles);
    static Roles roles_of(const Problem<T>& problem, int p, int q);

    bool serves(int p) const;
    int partner(int p) const;
    bool make(int p, int q, bool half, int weighed, double* lse, std::vector<index_t>& doubtful);
    bool fill(int p, int q, bool half);
    bool sums(int p, double* lse, std::vector<index_t>& doubtful) const;
    void highest(const Chunk<T>& chunk, int side, index_t panel_at);
    void pack(const Chunk<T>& chunk, int side, index_t panel_at);
    void scale(const Chunk<T>& chunk, int side, index_t panel_at, T* stored, bool tops, bool packs);
    void keep_kernel(int side, index_t begin, T* own, T* stored) const;
    void raise_tops(const Chunk<T>& chunk, int side, index_t begin, const T* own);
    void find_slab_tops(const Chunk<T>& chunk);
    void weigh_rows(const Chunk<T>& chunk);
    static std::size_t own_size(std::size_t columns);
    bool at_once(const Chunk<T>& chunk, bool tops, bool first);
    bool factors(const Chunk<T>& chunk, bool tops, bool packs);
    bool products(const Chunk<T>& chunk, bool first);
    bool add_slices();
    void beside(const Chunk<T>& chunk, std::size_t slab, int p, index_t begin, T* out) const;
    index_t panels(int side) const { return store_.side(side ? roles_.q : roles_.p).ld / panel<T>; }
    int factor(int side) const { return store_.problem().symmetric ? 0 : side; }
    void weights_beside(int q, const std::vector<T>& tops, std::vector<T>& z) const;

    const Store<T>& store_;
    const Kernels<T>& kernels_;
    Team& team_;
    Roles roles_{-1, -1, -1, {}};
    Cut cut_{};
    std::vector<std::uint64_t> versions_;  // of the potentials that went in
    bool half_ = false;                    // only panels on and above the diagonal hold anything
    int lift_ = 0;                         // each factor and weight is that power of two larger than it is
    double rows_ = 0;                      // of the depth, at most
    bool quick_ = false;                   // factors are products of stored exponentials
    int pause_ = 0, penalty_ = 1;          // tables until that is tried again, and after the next failure
    std::vector<T> zeros_, row_weights_, slab_tops_, own_tops_;
    std::vector<T> tops_[2];     // of columns of the factors
    std::vector<char> live_[2];  // runs of a panel that are not zero: panel * runs + run
    Buffer values_, slices_, factors_[2], stored_, kernel_;
    std::size_t stored_size_ = 0;  // of each thread
};

}  // namespace deblai::multimarginal
