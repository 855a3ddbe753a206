// Plans of pairs from factors around them, row by row.
#pragma once

#include "graph_terms.cuh"

namespace deblai::cuda::multimarginal {

// -cost of an edge between two marginals, with the points that it is of; nothing where there is no edge.
template <class T, class S>
struct EdgeCosts {
    Term<T, S> term;
    CostScale<T> scale;
    const T *x, *y;
    index_t ld_x, ld, d;

    __device__ T operator()(index_t i, index_t j) const {
        return term.x || term.costs ? term(scale, i * term.row, j) : T(0);
    }
};

template <class T, class S>
struct PairPlan {
    EdgeCosts<T, S> M;
    const Term<T, S>* tables;  // over both
    int count;
    const double *g_p, *g_q;  // what else there is, in powers of two

    __device__ T operator()(index_t i, index_t j) const {
        double e = g_p[i] + g_q[j] + static_cast<double>(M(i, j));
        for (int t = 0; t < count; ++t)
            e += static_cast<double>(tables[t].table[i * tables[t].row + j * tables[t].inner]);
        return power(static_cast<T>(e));
    }
};

// A matrix of a caller, whose rows and columns stand elsewhere.
template <class T>
struct Placed {
    Matrix<T> to;
    const int *row, *column;  // null: where they are

    explicit __device__ operator bool() const { return to.data != nullptr; }
    __device__ T& operator()(index_t i, index_t j) const { return to(row ? row[i] : i, column ? column[j] : j); }
};

}  // namespace deblai::cuda::multimarginal
