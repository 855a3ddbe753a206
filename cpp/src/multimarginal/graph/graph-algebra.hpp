// The elimination of a variable on the CPU. Entries of tables are T whatever the problem's type S is.
#pragma once

#include <vector>

#include "buffer.hpp"
#include "deblai/multimarginal-graph.hpp"
#include "deblai/parallel.hpp"
#include "graph-kernels.hpp"
#include "multimarginal/complete/multimarginal-kernels.hpp"

namespace deblai::multimarginal {

template <class T>
struct Instructions {
    const Kernels<T>& pairs;
    const GraphKernels<T>& tables;
};
template <class T>
Instructions<T> instructions(const char* simd);

template <class T, class S>
class Algebra final : public GraphAlgebra {
public:
    // Of one thread, where no table has more than `width` variables.
    static std::size_t scratch_bytes(const Problem<S>& problem, int width);
    // Of what threads share.
    static std::size_t shared_bytes(const Problem<S>& problem);

    // Checks entries; throws InvalidValue. `scale`: what costs are divided by.
    Algebra(const Problem<S>& problem, double scale, Semiring semiring, int width, const char* simd, Team& team);

    bool stopped() override { return team_.stopped(); }
    void add_at(const Factor& f, int v, const index_t* at, std::vector<double>& to) override;

    index_t padded_size(int p) const { return padded<T>(sizes_[p]); }
    // Sums of tables that no product could be trusted with, so far.
    index_t exact() const;
    // Row i of an edge's -cost / scale from p to q, and what the tables over both add to a row; both are padded.
    void edge_row(int edge, int p, index_t i, int q, int worker, T* out) const;
    void add_tables(const Factors& list, int p, index_t i, int q, T* out) const;
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

    static Scratch layout(std::byte* base, const Problem<S>& problem, int width);
    Scratch scratch(int worker) const { return layout(scratch_.get() + scratch_bytes_ * worker, problem_, width_); }
    void fill(int p);
    void require_costs() const;
    void lift(int variable, const std::vector<double>& lifted);
    void to_line(const Step& step, const Factors& used, const std::vector<double>& lifted, Table& out) override;
    void to_table(const Step& step, const Factors& used, const std::vector<double>& lifted, Table& out) override;
    void add(const Factor& f, Range rows, Range cols, const index_t* at, bool fresh, const Scratch& s, T* out,
             index_t ld) const;
    void add_all(const Factors& list, Range rows, Range cols, const index_t* at, const Scratch& s, T* out,
                 index_t ld) const;
    // Returns how many of its sums a product could not be trusted with.
    index_t tile(const Roles& roles, Range rows, Range cols, int variable, const std::vector<Factors>& parts,
                 const Scratch& s) const;

    const Problem<S>& problem_;
    const double scale_;
    const int width_;
    const Instructions<T> instructions_;
    Team& team_;
    std::vector<std::vector<T>> points_;  // coordinate-major, padded
    Buffer scratch_;
    std::size_t scratch_bytes_ = 0;
    std::vector<index_t> exact_;  // of each thread
    std::vector<T> lifted_;       // the lines of the variable that is being eliminated, at most 0
};

}  // namespace deblai::multimarginal
