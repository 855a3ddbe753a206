// Sums over all marginals but one or two, at given potentials. Everything is in units of epsilon: M = -c / epsilon,
// log-weights g = log a + f / epsilon; a sum over the other marginals is log sum exp(g + ... + M + ...).
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "buffer.hpp"
#include "deblai/multimarginal-host.hpp"
#include "deblai/parallel.hpp"
#include "multimarginal-kernels.hpp"

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

// One marginal, padded: log-weights in both precisions, points coordinate-major.
template <class T>
struct Side {
    index_t size, ld;
    std::vector<double> weights, log_weights, g;
    std::vector<T> lifted, points;
};

template <class T>
class Sums final : public Conditionals {
public:
    struct Sizes {                                  // bytes
        std::size_t sides, costs, panels, scratch;  // scratch: of each thread
    };
    static Sizes sizes(const Problem<T>& problem);

    // Checks entries; throws InvalidValue.
    Sums(const Problem<T>& problem, const Kernels<T>& kernels, Team& team);

    const Side<T>& side(int p) const { return sides_[problem_.symmetric ? 0 : p]; }
    const std::vector<double>& weights(int p) const override { return side(p).weights; }
    void set_potential(int p, const double* f) override;
    bool conditional(int p, double drift, double* lse) override;
    // plan(i, j), rows of side(q).ld: the plan of the pair (p, q). For three marginals or more.
    void pair(int p, int q, T* plan);
    // Row i of the plan of two marginals, given that of M.
    void plan_row(int p, int q, index_t i, const T* M, T* out) const;
    // Row i of M, in the worker's scratch where it is not stored; another row of scratch.
    const T* row(int p, int q, index_t i, int worker) const;
    T* spare_row(int worker) const { return scratch(worker).plan; }

private:
    static constexpr index_t block_rows = 32;
    static constexpr index_t strip = 512;  // columns of one row at a time where nothing is stored

    struct Scratch {
        T *row, *plan, *x, *a_tops, *t, *z, *left, *side;
        double *shift, *floor, *total, *scale, *weight;
    };

    const T* stored(int p, int q) const { return costs_.empty() ? nullptr : costs_[index(p, q)]; }
    std::size_t index(int p, int q) const { return problem_.symmetric ? 0 : std::size_t(p) * problem_.n_marginals + q; }
    Scratch scratch(int worker) const;
    void fill(int p);
    void fill_row(int p, int q, index_t i, const Scratch& s, T* out) const;
    void strip_of(int p, int q, index_t i, index_t begin, index_t end, const Scratch& s, T* out) const;
    void store_costs(std::size_t bytes);
    void require_symmetric() const;

    void streamed(int p, double* lse);
    void pack(const Roles& roles);
    template <class Visit>
    void tuples(const Roles& roles, index_t first, int worker, const Visit& visit) const;
    void beside(const Roles& roles, const Tuple& tuple, T* t, T* z) const;
    double shift(const Roles& roles, const Tuple& tuple, double log_weight, index_t i) const;
    void sum(const Roles& roles, double drift, double* lse, T* plan);
    void exact(const Roles& roles, index_t i, int worker, double* lse, T* plan) const;

    const Problem<T>& problem_;
    const Kernels<T>& kernels_;
    Team& team_;
    std::vector<Side<T>> sides_;
    std::vector<T*> costs_, tops_;  // p * N + q; bounds of stretches of their rows
    Buffer cost_memory_, panels_, scratch_;
    std::size_t scratch_bytes_ = 0;
    index_t longest_ = 0;  // padded
    std::vector<T> share_, delta_;
};

}  // namespace deblai::multimarginal
