// Sums over all marginals but one or two, at given potentials: tables where products carry them
// (multimarginal-table.hpp), rows term by term in the log domain where they do not.
#pragma once

#include <cmath>
#include <memory>
#include <vector>

#include "multimarginal-table.hpp"

namespace deblai::multimarginal {

struct LogSum {
    double top = -std::numeric_limits<double>::infinity();
    double sum = 0;

    void add(double t, double s) {
        if (!(s > 0)) return;
        if (t <= top) {
            sum += s * std::exp(t - top);
        } else {
            sum = sum * std::exp(top - t) + s;
            top = t;
        }
    }
    double value() const { return top + std::log(sum); }
};

template <class T>
class Sums final : public Conditionals {
public:
    static std::size_t bytes(const Problem<T>& problem, int threads);

    // Checks entries; throws InvalidValue.
    Sums(const Problem<T>& problem, const Kernels<T>& kernels, Team& team);

    const Side<T>& side(int p) const { return store_.side(p); }
    const std::vector<double>& weights(int p) const override { return side(p).weights; }
    void set_potential(int p, const double* f) override { store_.set_potential(p, f); }
    bool conditional(int p, double drift, double* lse) override;
    // The plan of the pair p < q of three marginals or more, rows of side(q).ld, valid until the next call; null after
    // a stop.
    const T* pair(int p, int q);
    // Row i of the plan of two marginals, given that of M.
    void plan_row(int p, int q, index_t i, const T* M, T* out) const;
    // Row i of M, in the worker's scratch where it does not lie in one piece; another row of scratch.
    const T* row(int p, int q, index_t i, int worker) const;
    T* spare_row(int worker) const { return scratch(worker).plan; }
    // Rows summed term by term so far.
    index_t exact_rows() const { return exact_rows_; }

private:
    static constexpr index_t block_rows = 32;
    static constexpr index_t strip = 512;  // columns of one row at a time where nothing is stored

    struct Scratch {
        T *row, *plan, *x, *tops, *base, *inner, *outer;
    };
    static std::size_t scratch_bytes(const Problem<T>& problem);
    Scratch scratch(int worker) const;

    void streamed(int p, double* lse);
    bool redo(const Roles& roles, const std::vector<index_t>& rows, double* lse, T* plan);
    void exact(const Roles& roles, index_t i, int worker, double* lse, T* plan) const;

    const Problem<T>& problem_;
    const Kernels<T>& kernels_;
    Team& team_;
    Store<T> store_;
    index_t longest_ = 0;  // padded
    std::size_t scratch_bytes_;
    Buffer scratch_;
    std::unique_ptr<PairTable<T>> table_;  // of three marginals or more
    index_t exact_rows_ = 0;
};

}  // namespace deblai::multimarginal
