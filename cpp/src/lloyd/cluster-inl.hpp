// What samples with known labels add to their sites: mass, sum and energy, float64 whatever T is.
#pragma once

#include "lloyd-kernels.hpp"
#include "vec-inl.hpp"

namespace deblai::DEBLAI_LEVEL {
namespace {

using lloyd::Task;
using lloyd::Word;

// tile(k, i) = x(begin + i, k); the rest of the tile holds the last sample again.
template <int D, class T>
DEBLAI_HD void pack_columns(Matrix<const T> x, index_t begin, index_t count, index_t block, T* tile) {
    if (x.col_stride == 1 && x.row_stride == D) {
        const T* const p = x.data + begin * D;
        for (int k = 0; k < D; ++k)
            for (index_t i = 0; i < count; ++i) tile[k * block + i] = p[i * D + k];
    } else {
        for (int k = 0; k < D; ++k)
            for (index_t i = 0; i < count; ++i) tile[k * block + i] = x(begin + i, k);
    }
    for (int k = 0; k < D; ++k)
        for (index_t i = count; i < block; ++i) tile[k * block + i] = tile[k * block + count - 1];
}

// The row i of x, copied to `row` unless it is contiguous.
template <class T>
DEBLAI_HD const T* contiguous_row(Matrix<const T> x, index_t i, T* row) {
    if (x.col_stride == 1) return &x(i, 0);
    for (index_t k = 0; k < x.cols; ++k) row[k] = x(i, k);
    return row;
}

template <class T>
DEBLAI_HD double weight_of(Task<T>& q, index_t i) {
    if (!q.weights) return 1.0;
    const double w = q.weights(i);
    q.bad_weight |= !(w >= 0.0 && w - w == 0.0);
    return w;
}

template <class T>
DEBLAI_HD void write(const Task<T>& q, index_t i, std::int32_t label, double squared) {
    if (q.labels) q.labels(i) = label;
    if (q.cost) q.cost(i) = static_cast<T>(squared);
}

// gain[i] = squares[i]^((p - 2) / 2), 0 of samples at their sites; both have room for whole vectors.
template <class T>
DEBLAI_HD void set_gains(const Task<T>& q, index_t count, double* squares, double* gain) {
    constexpr index_t w = lanes<double>;
    for (index_t i = count; i % w; ++i) squares[i] = 1;
    for (index_t i = 0; i < count; i += w) {
        const Vec<double> s = load(squares + i), g = vexp<double>(q.power * vlog<double>(s));
        store(gain + i, s > q.near ? g : Vec<double>{});
    }
}

// Mass, pull or stillness, and energy of one sample; returns its pull.
template <class T>
DEBLAI_HD double add_powered(Task<T>& q, double* site, double weight, double squared, double gain) {
    const double g = weight * gain;
    site[0] += weight;
    site[1] += g;
    if (squared <= q.near) {
        site[2] += weight;
        q.energy += weight * __builtin_pow(squared, q.power + 1);
    } else {
        q.energy += g * squared;
    }
    return g;
}

// The same as below for powers other than squares: distances first, then what they weigh.
template <int D, class T>
void cluster_columns_powered(Task<T>& q, index_t begin, index_t count, index_t block, const T* tile,
                             const Word<T>* label) {
    alignas(64) double squares[lloyd::grid_block], gain[lloyd::grid_block];
    for (index_t i = 0; i < count; ++i) {
        const T* const y = q.sites + index_t{label[i]} * D;
        double squared = 0;
        for (int k = 0; k < D; ++k) {
            const double r = static_cast<double>(tile[k * block + i]) - static_cast<double>(y[k]);
            squared += r * r;
        }
        squares[i] = squared;
    }
    set_gains(q, count, squares, gain);
    for (index_t i = 0; i < count; ++i) {
        const index_t j = label[i];
        double* const site = q.partial + j * (D + 3);
        const double g = add_powered(q, site, weight_of(q, begin + i), squares[i], gain[i]);
        for (int k = 0; k < D; ++k) site[k + 3] += g * static_cast<double>(tile[k * block + i]);
        write(q, begin + i, static_cast<std::int32_t>(j), squares[i]);
    }
}

// Few coordinates: samples in columns, as pack_columns leaves them. Four sums, as one would wait for itself.
template <int D, bool Weighted, class T>
void cluster_columns(Task<T>& q, index_t begin, index_t count, index_t block, const T* tile, const Word<T>* label) {
    double energy[4] = {};
    for (index_t i = 0; i < count; ++i) {
        const index_t j = label[i];
        const double w = Weighted ? weight_of(q, begin + i) : 1.0;
        double* const site = q.partial + j * (D + 1);
        const T* const y = q.sites + j * D;
        double squared = 0;
        site[0] += w;
        for (int k = 0; k < D; ++k) {
            const double v = tile[k * block + i], r = v - static_cast<double>(y[k]);
            site[k + 1] += w * v;
            squared += r * r;
        }
        energy[i & 3] += w * squared;
        if (q.labels || q.cost) write(q, begin + i, static_cast<std::int32_t>(j), squared);
    }
    q.energy += (energy[0] + energy[1]) + (energy[2] + energy[3]);
}

template <class T>
DEBLAI_HD double squared_distance(const T* x, const T* y, index_t d) {
    constexpr index_t w = lanes<double>;
    Vec<double> squares = {};
    index_t k = 0;
    for (; k + w <= d; k += w) {
        const Vec<double> r = load_double(x + k) - load_double(y + k);
        squares += r * r;
    }
    double squared = sum(squares);
    for (; k < d; ++k) {
        const double r = static_cast<double>(x[k]) - static_cast<double>(y[k]);
        squared += r * r;
    }
    return squared;
}

// The same as below for powers other than squares.
template <class T>
void cluster_rows_powered(Task<T>& q, index_t begin, index_t count, const Word<T>* label, T* row) {
    constexpr index_t w = lanes<double>;
    const index_t d = q.x.cols;
    alignas(64) double squares[lloyd::tile_block], gain[lloyd::tile_block];
    for (index_t i = 0; i < count; ++i)
        squares[i] = squared_distance(contiguous_row(q.x, begin + i, row), q.sites + index_t{label[i]} * d, d);
    set_gains(q, count, squares, gain);
    for (index_t i = 0; i < count; ++i) {
        const T* const x = contiguous_row(q.x, begin + i, row);
        double* const site = q.partial + index_t{label[i]} * (d + 3);
        double* const to = site + 3;
        const double g = add_powered(q, site, weight_of(q, begin + i), squares[i], gain[i]);
        index_t k = 0;
        for (; k + w <= d; k += w) store(to + k, load(to + k) + g * load_double(x + k));
        for (; k < d; ++k) to[k] += g * static_cast<double>(x[k]);
        write(q, begin + i, static_cast<std::int32_t>(label[i]), squares[i]);
    }
}

// Any number of coordinates: samples in rows.
template <class T>
void cluster_rows(Task<T>& q, index_t begin, index_t count, const Word<T>* label, T* row) {
    if (q.power != 0) return cluster_rows_powered(q, begin, count, label, row);
    constexpr index_t w = lanes<double>;
    const index_t d = q.x.cols;
    for (index_t i = 0; i < count; ++i) {
        const index_t j = label[i];
        const double weight = weight_of(q, begin + i);
        const T* const x = contiguous_row(q.x, begin + i, row);
        const T* const y = q.sites + j * d;
        double* const site = q.partial + j * (d + 1);
        double* const to = site + 1;
        Vec<double> squares = {};
        index_t k = 0;
        for (; k + w <= d; k += w) {
            const Vec<double> v = load_double(x + k), r = v - load_double(y + k);
            store(to + k, load(to + k) + weight * v);
            squares += r * r;
        }
        double squared = sum(squares);
        for (; k < d; ++k) {
            const double v = x[k], r = v - static_cast<double>(y[k]);
            to[k] += weight * v;
            squared += r * r;
        }
        site[0] += weight;
        q.energy += weight * squared;
        write(q, begin + i, static_cast<std::int32_t>(j), squared);
    }
}

}  // namespace
}  // namespace deblai::DEBLAI_LEVEL
