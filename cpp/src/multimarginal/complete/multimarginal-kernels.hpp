// What each instruction set provides for multimarginal. Rows and columns of matrices are padded to whole panels;
// M = -cost / epsilon is -inf in the padding, so that it adds nothing to any sum.
#pragma once

#include "deblai/cost.hpp"
#include "deblai/view.hpp"

namespace deblai::multimarginal {

template <class T>
inline constexpr index_t panel = 128 / sizeof(T);  // rows and columns of a product made at once
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

// A padded matrix whose entry (i, j) is at data[i * ld + j], or at data[j * ld + i] where it is turned.
template <class T>
struct Grid {
    const T* data;
    index_t ld;
    bool turned;
};

// One panel of one factor of a product: the columns [begin, begin + panel) of a matrix whose rows k are contracted.
// Where the matrix is turned, `first` is a multiple of the stretch, and so is `last` unless it is the end.
template <class T>
struct Operand {
    Grid<T> M;
    index_t first, last, begin;
    const T* t;  // of row k at t[k - first]; finite or -inf a stretch beyond the last
    int lift;
};

// One panel of rows i of M and of a table of the same shape:
//   total(i) = sum_j 2^lift exp(M(i,j) + z(j) - top(i)) table(i,j),   top(i) = max_j M(i,j) + z(j)
// M and the table are turned or not together. Of a symmetric table only panels on and above the diagonal are read.
template <class T>
struct Weighing {
    Grid<T> M, table;
    index_t begin, columns;  // columns are padded
    bool symmetric;
    const T* z;
    int lift;
    T* top;
    double* total;
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
    T* plan;                // += scale exp(term - total's top), over k into plan(j); `inner`: over j into plan(k)
    bool inner;
    double scale;
};

template <class T>
struct Kernels {
    // row(j) = -cost(|x - y_j|^2) / epsilon for j in [begin, end); y is coordinate-major, (d, ld)
    void (*costs)(const PairCost& cost, double epsilon, const T* x, index_t d, const T* y, index_t ld, index_t begin,
                  index_t end, T* row);
    // top(c) = max(top(c), beside(c) + max_k M(k,c) + t(k))
    void (*highest)(const Operand<T>& operand, const T* beside, T* top);
    // out(k,c) = 2^lift exp(M(k,c) + t(k) - below(c)), rows of a panel; false where all of them are zero
    bool (*pack)(const Operand<T>& operand, const T* below, T* out);
    // out(k) = 2^lift exp(a(k) - top), whole vectors; top is not exceeded by more than rounding
    void (*lifted)(const T* a, index_t n, T top, int lift, T* out);
    // out(k,c) = E(k,c) u(k) v(c), rows of a panel
    void (*scale)(const T* E, const T* u, const T* v, index_t rows, T* out);
    // table(i,j) += sum_k left(k,i) right(k,j) for the first rows of one panel and the columns of one
    void (*product)(const T* left, const T* right, index_t depth, index_t rows, T* table, index_t ld);
    void (*weigh)(const Weighing<T>& weighing);
    // row(j) <- (2^-lift row(j)) (2^-lift exp(M(j) + z(j) + shift))
    void (*plan)(const T* M, const T* z, index_t n, double shift, int lift, T* row);
    // tops(b) = the largest of stretch b of a row of ld; -inf beyond
    void (*tops)(const T* row, index_t ld, T* tops);
    void (*row)(const Row<T>& row);
    // sum_k exp(a(k) + b(k)); n is padded
    Scaled (*sum)(const T* a, const T* b, index_t n);
    // out(k) = exp(a(k) + b(k) + shift)
    void (*exps)(const T* a, const T* b, index_t n, double shift, T* out);
};

}  // namespace deblai::multimarginal
