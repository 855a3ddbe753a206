// What each instruction set provides for multimarginal. Rows are padded to whole panels; M = -cost / epsilon is -inf
// in the padding, so that it adds nothing to any sum.
#pragma once

#include "deblai/cost.hpp"
#include "deblai/view.hpp"

namespace deblai::multimarginal {

template <class T>
inline constexpr index_t panel = 128 / sizeof(T);  // columns of a product made at once
inline constexpr index_t group = 8;                // rows of a product made at once
inline constexpr index_t stretch = 16;             // terms that share a bound

template <class T>
DEBLAI_HD index_t padded(index_t n) {
    return (n + panel<T> - 1) / panel<T> * panel<T>;
}

// Bounds of a padded row, in whole vectors.
DEBLAI_HD index_t stretches(index_t ld) { return (ld / stretch + stretch - 1) / stretch * stretch; }

// exp(top) * sum
struct Scaled {
    double top, sum;
};

// Rows of one marginal against a side (columns j) and a contraction (k), all other indices fixed:
//   total(i) exp(scale(i)) = sum_{j,k} exp(pq(i,j) + z(j) + pr(i,k) + t(k)) panels(j,k)
template <class T>
struct Block {
    index_t rows, n_side, n_inner;
    const T *pq, *pr;  // first row of the block
    index_t ld_side, ld_inner;
    const T *z, *t;
    const T* panels;
    const double* floor;  // a block whose scales all stay below is skipped: weight -1
    double *total, *scale;
    double* weight;  // sum_j exp(pq(i,j) + z(j)) exp(-its top): what underflow of the product is held against
    T* left;         // scratch: rows (in whole groups) x ld_inner
    T* side;         // scratch: rows (in whole groups) x ld_side; with `products`, the summands over k of total(i)
    bool products;
};

// One row against a side and a contraction, exactly: terms a(k) + base(j) + qr(j,k), looked at where the largest of a
// stretch of them can matter.
template <class T>
struct Row {
    index_t n_side, ld_inner, ld_tops;
    const T *a, *a_tops;    // (ld_inner), (ld_tops)
    const T* base;          // (n_side)
    const T *qr, *qr_tops;  // rows of ld_inner, of ld_tops
    double cut;             // terms this far below the sum do not matter
    Scaled* total;          // adds to it; with a plan, what its row sums to
    T* plan;                // += scale exp(term - total's top)
    double scale;
};

template <class T>
struct Kernels {
    // row(j) = -cost(|x - y_j|^2) / epsilon for j in [begin, end); y is coordinate-major, (d, ld)
    void (*costs)(const PairCost& cost, double epsilon, const T* x, index_t d, const T* y, index_t ld, index_t begin,
                  index_t end, T* row);
    // Columns of one panel: delta(j) = max_k qr(j,k) + share(k) and out(k,j) = exp(rq(k,j) + share(k) - delta(j))
    void (*pack)(const T* qr, index_t ld_inner, const T* rq, index_t ld_side, const T* share, index_t n_inner,
                 index_t n_side, index_t begin, T* delta, T* out);
    void (*block)(const Block<T>& block);
    // tops(b) = the largest of stretch b of a row of ld; -inf beyond
    void (*tops)(const T* row, index_t ld, T* tops);
    void (*row)(const Row<T>& row);
    // sum_k exp(a(k) + b(k)); n is padded
    Scaled (*sum)(const T* a, const T* b, index_t n);
    // out(k) = exp(a(k) + b(k) + shift)
    void (*exps)(const T* a, const T* b, index_t n, double shift, T* out);
};

}  // namespace deblai::multimarginal
