// Lloyd's algorithm on samples: bounds, nearest sites, and the squared distance to the nearest seed so far.
#include "grid-inl.hpp"
#include "nearest-inl.hpp"

namespace deblai::DEBLAI_LEVEL {
namespace {

// Contiguous rows are read as one long one: its entries at distance d * lanes are of the same column and lane.
template <class T>
bool bounds(Matrix<const T> x, index_t begin, index_t end, T* low, T* high, T* scratch) {
    constexpr index_t w = lanes<T>;
    const index_t d = x.cols;
    Vec<T> wrong = {};  // NaN once an entry is not finite
    index_t i = begin;
    const bool dense = x.col_stride == 1 && x.row_stride == d;
    if (dense && end - begin >= 2 * w) {
        T* const least = scratch;
        T* const most = scratch + d * w;
        std::memcpy(least, x.data + i * d, d * w * sizeof(T));
        std::memcpy(most, least, d * w * sizeof(T));
        for (; i + w <= end; i += w) {
            const T* const p = x.data + i * d;
            for (index_t k = 0; k < d; ++k) {
                const Vec<T> v = load(p + k * w), a = load(least + k * w), b = load(most + k * w);
                wrong += v - v;
                store(least + k * w, v < a ? v : a);
                store(most + k * w, v > b ? v : b);
            }
        }
        for (index_t e = 0; e < d * w; ++e) {
            const index_t k = e % d;
            low[k] = least[e] < low[k] ? least[e] : low[k];
            high[k] = most[e] > high[k] ? most[e] : high[k];
        }
    }
    T rest = 0;
    for (; i < end; ++i)
        for (index_t k = 0; k < d; ++k) {
            const T v = x(i, k);
            rest += v - v;
            low[k] = v < low[k] ? v : low[k];
            high[k] = v > high[k] ? v : high[k];
        }
    for (index_t l = 0; l < w; ++l) rest += wrong[l];
    return rest == T(0);
}

template <int D, class T>
double closer_columns(Matrix<const T> x, Vector<const T> weights, const T* centre, index_t begin, index_t end,
                      T* least) {
    constexpr index_t w = lanes<T>, block = 64;
    alignas(64) T tile[D * block];
    double total = 0;
    for (index_t i = begin; i < end; i += block) {
        const index_t count = end - i < block ? end - i : block;
        pack_columns<D>(x, i, count, block, tile);
        alignas(64) T now[block];
        std::memcpy(now, least + i, count * sizeof(T));
        for (index_t l = 0; l < block; l += w) {
            Vec<T> s = {};
            for (int k = 0; k < D; ++k) {
                const Vec<T> r = load(tile + k * block + l) - centre[k];
                s += r * r;
            }
            const Vec<T> before = load(now + l);
            store(now + l, s < before ? s : before);
        }
        for (index_t l = count; l < block; ++l) now[l] = 0;
        std::memcpy(least + i, now, count * sizeof(T));
        if (weights) {
            for (index_t l = 0; l < count; ++l) total += static_cast<double>(weights(i + l)) * now[l];
        } else {
            Vec<double> sums = {};
            for (index_t l = 0; l < block; l += lanes<double>) sums += load_double(now + l);
            total += sum(sums);
        }
    }
    return total;
}

template <class T>
double closer_rows(Matrix<const T> x, Vector<const T> weights, const T* centre, index_t begin, index_t end, T* least) {
    constexpr index_t w = lanes<T>;
    const index_t d = x.cols, step = x.col_stride;
    double total = 0;
    for (index_t i = begin; i < end; ++i) {
        const T* const p = &x(i, 0);
        T squared = 0;
        index_t k = 0;
        if (step == 1) {
            Vec<T> s = {};
            for (; k + w <= d; k += w) {
                const Vec<T> r = load(p + k) - load(centre + k);
                s += r * r;
            }
            for (index_t l = 0; l < w; ++l) squared += s[l];
        }
        for (; k < d; ++k) {
            const T r = p[k * step] - centre[k];
            squared += r * r;
        }
        least[i] = squared < least[i] ? squared : least[i];
        total += (weights ? static_cast<double>(weights(i)) : 1.0) * static_cast<double>(least[i]);
    }
    return total;
}

template <class T>
double closer(Matrix<const T> x, Vector<const T> weights, const T* centre, index_t begin, index_t end, T* least) {
    if (x.cols == 1) return closer_columns<1>(x, weights, centre, begin, end, least);
    if (x.cols == 2) return closer_columns<2>(x, weights, centre, begin, end, least);
    if (x.cols == 3) return closer_columns<3>(x, weights, centre, begin, end, least);
    return closer_rows(x, weights, centre, begin, end, least);
}

}  // namespace

extern const lloyd::Kernels<float> lloyd_f32 = {bounds<float>, assign_tiles<float>, assign_grid<float>, closer<float>};
extern const lloyd::Kernels<double> lloyd_f64 = {bounds<double>, assign_tiles<double>, assign_grid<double>,
                                                 closer<double>};

}  // namespace deblai::DEBLAI_LEVEL
