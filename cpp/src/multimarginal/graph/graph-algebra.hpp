// Factors over few variables, in the log domain and in units of epsilon, and the elimination of a variable from their
// sum: log sum exp, or the maximum. Entries are T whatever the problem's type S is.
#pragma once

#include <memory>
#include <vector>

#include "buffer.hpp"
#include "deblai/parallel.hpp"
#include "graph-kernels.hpp"
#include "graph-tree.hpp"
#include "multimarginal/complete/multimarginal-kernels.hpp"

namespace deblai::multimarginal {

// A number (no variables), a line (one), or a table, row-major in the order of its scope; `offset` adds to all entries.
template <class T>
struct Table {
    Scope scope;
    double offset = 0;
    std::vector<double> line;
    Buffer memory;

    T* values() const { return reinterpret_cast<T*>(memory.get()); }
};

// A table, or the scaled cost of an edge, which is never stored.
template <class T>
struct Factor {
    std::shared_ptr<const Table<T>> table;
    int edge = -1;
};
template <class T>
using Factors = std::vector<Factor<T>>;

enum class Semiring { sum, largest };

template <class T>
struct Instructions {
    const Kernels<T>& pairs;
    const GraphKernels<T>& tables;
};
template <class T>
Instructions<T> instructions(const char* simd);

template <class T, class S>
class Algebra {
public:
    // Of one thread, where no table has more than `width` variables.
    static std::size_t scratch_bytes(const Problem<S>& problem, int width);
    // Of what threads share.
    static std::size_t shared_bytes(const Problem<S>& problem);

    // Checks entries; throws InvalidValue. `scale`: what costs are divided by.
    Algebra(const Problem<S>& problem, double scale, Semiring semiring, int width, const char* simd, Team& team);

    const std::vector<index_t>& sizes() const { return sizes_; }
    index_t padded_size(int p) const { return padded<T>(sizes_[p]); }
    // Tables list points that are near each other together: the k-th of p is the natural(p, k)-th of those given.
    index_t natural(int p, index_t k) const { return order_[p].empty() ? k : order_[p][k]; }
    template <class V>
    void to_natural(int p, const V* from, V* to) const {
        for (index_t k = 0; k < sizes_[p]; ++k) to[natural(p, k)] = from[k];
    }
    template <class V>
    void from_natural(int p, const V* from, V* to) const {
        for (index_t k = 0; k < sizes_[p]; ++k) to[k] = from[natural(p, k)];
    }
    Scope scope_of(const Factor<T>& f) const;
    // Sums of tables that no product could be trusted with, so far.
    index_t exact() const;
    // Eliminates all variables but those to keep. Void after a stop.
    Factors<T> reduce(Factors<T> list, const Scope& keep);
    // What the lines of p add up to, and what all tables add to every entry.
    std::vector<double> line(const Factors<T>& list, int p) const;
    double constant(const Factors<T>& list) const;
    // Row i of an edge's -cost / scale from p to q, and what the tables over both add to a row; both are padded.
    void edge_row(int edge, int p, index_t i, int q, int worker, T* out) const;
    void add_tables(const Factors<T>& list, int p, index_t i, int q, T* out) const;
    // to(i) += what a factor says of i as variable v, the others being at[].
    void add_at(const Factor<T>& f, int v, const index_t* at, std::vector<double>& to) const;
    // A padded row of the worker's scratch.
    T* spare(int worker, int k) const;

private:
    static constexpr index_t strip_rows = 16, strip_cols = 256;

    struct Range {
        int variable;  // -1: none
        index_t begin, count;
    };
    struct Scratch {
        T *row, *x, *strip, *lift, *share, *inner, *spare[4], *left, *right, *coupled, *packed_left, *packed_right,
            *out;
        index_t* at;
        std::size_t bytes;
    };
    struct Roles {
        int a, b;
        Scope fixed;
        bool coupled;  // whether a factor has a and b both
    };

    static Scratch layout(std::byte* base, const Problem<S>& problem, int width);
    Scratch scratch(int worker) const { return layout(scratch_.get() + scratch_bytes_ * worker, problem_, width_); }
    void fill(int p);
    void require_costs() const;
    Factor<T> eliminate(const Step& step, const Factors<T>& list);
    double lift(int variable, const Factors<T>& used);
    void to_line(const Step& step, const Factors<T>& used, Table<T>& out);
    void to_table(const Step& step, const Factors<T>& used, Table<T>& out);
    Roles roles(const Step& step, const Factors<T>& used) const;
    void add(const Factor<T>& f, Range rows, Range cols, const index_t* at, bool fresh, const Scratch& s, T* out,
             index_t ld) const;
    void add_all(const Factors<T>& list, Range rows, Range cols, const index_t* at, const Scratch& s, T* out,
                 index_t ld) const;
    // Returns how many of its sums a product could not be trusted with.
    index_t tile(const Roles& roles, Range rows, Range cols, int variable, const std::vector<Factors<T>>& parts,
                 const Scratch& s) const;

    const Problem<S>& problem_;
    const double scale_;
    const Semiring semiring_;
    const int width_;
    const Instructions<T> instructions_;
    Team& team_;
    std::vector<index_t> sizes_;
    std::vector<std::vector<T>> points_;       // coordinate-major, padded
    std::vector<std::vector<index_t>> order_;  // empty: as given
    Buffer scratch_;
    std::size_t scratch_bytes_ = 0;
    std::vector<index_t> exact_;  // of each thread
    std::vector<T> lifted_;       // the lines of the variable that is being eliminated, at most 0
};

}  // namespace deblai::multimarginal
