// Stabilised kernels, their products, and exact sums of exponentials; sums over rows are float64 whatever T is.
#include "multimarginal-kernels.hpp"
#include "multimarginal/flush-inl.hpp"
#include "vec-inl.hpp"

namespace deblai::DEBLAI_LEVEL {
namespace {

using multimarginal::Operand;
using multimarginal::panel;
using multimarginal::Row;
using multimarginal::Scaled;
using multimarginal::stretch;
using multimarginal::Weighing;

template <class T>
inline constexpr T infinite = T(__builtin_inf());

template <class T>
DEBLAI_HD Vec<T> larger(Vec<T> a, Vec<T> b) {
    return a > b ? a : b;
}

template <class T>
DEBLAI_HD T largest(Vec<T> v) {
    T top = v[0];
    for (index_t k = 1; k < lanes<T>; ++k) top = v[k] > top ? v[k] : top;
    return top;
}

template <class T>
DEBLAI_HD Vec<T> root(Vec<T> v) {
    for (index_t k = 0; k < lanes<T>; ++k) v[k] = sizeof(T) == 4 ? __builtin_sqrtf(v[k]) : __builtin_sqrt(v[k]);
    return v;
}

DEBLAI_HD double total_of(Vec<double> v) { return sum(v); }
DEBLAI_HD double total_of(Vec<float> v) {
    float parts[lanes<float>];
    store(parts, v);
    return sum(load_double(parts) + load_double(parts + lanes<float> / 2));
}

// h(r2) with c = strength * h, but for logs: there it is log r2.
template <class T>
DEBLAI_HD Vec<T> shape(const PairCost& c, Vec<T> r2) {
    const T s = static_cast<T>(c.s);
    switch (c.kind) {
        case PairCost::Kind::log: return vlog<T>(r2);
        case PairCost::Kind::riesz:
            return c.s == 1.0 ? T(1) / root<T>(r2) : c.s == 2.0 ? T(1) / r2 : vexp<T>(T(-0.5) * s * vlog<T>(r2));
        case PairCost::Kind::yukawa: {
            const Vec<T> r = root<T>(r2);
            return vexp<T>(-s * r) / r;
        }
        case PairCost::Kind::soft: return T(1) / root<T>(r2 + s * s);
        case PairCost::Kind::power: return c.s == 1.0 ? root<T>(r2) : vexp<T>(T(0.5) * s * vlog<T>(r2));
        default: return r2;
    }
}

template <class T>
void costs(const PairCost& c, double epsilon, const T* x, index_t d, const T* y, index_t ld, index_t begin, index_t end,
           T* row) {
    constexpr index_t w = lanes<T>;
    const T factor = static_cast<T>(-(c.kind == PairCost::Kind::log ? -0.5 : 1.0) * c.strength / epsilon);
    for (index_t j = begin; j < end; j += w) {
        Vec<T> r2 = {};
        for (index_t k = 0; k < d; ++k) {
            const Vec<T> diff = load(y + k * ld + j) - x[k];
            r2 += diff * diff;
        }
        store(row + j, factor * shape<T>(c, r2));
    }
}

// 2^lift exp(x), below the largest number; zero below the smallest normal one.
template <class T>
struct LiftedExp {
    using C = Constants<T>;
    using Words = typename VecOf<T>::words;
    T least, round;

    DEBLAI_HD explicit LiftedExp(int lift)
        : least(static_cast<T>((C::bias - 1 + lift) * -0.6931471805599453) + T(0.006)),
          round(C::round + static_cast<T>(lift)) {}

    DEBLAI_HD Vec<T> operator()(Vec<T> x) const {
        const Vec<T> z = x > least ? x : splat<T>(least);
        const Vec<T> shifted = z * C::inv_ln2 + round;
        const Vec<T> k = shifted - round;
        const Vec<T> r = (z - k * C::ln2_hi) - k * C::ln2_lo;
        const Vec<T> y = r * r * horner(C::exp_poly, r) + r + T(1);
        const Vec<T> e = (Vec<T>)((Words)y + ((Words)shifted << C::mantissa));
        return x > least ? e : Vec<T>{};
    }
};

#if DEBLAI_VECTOR_BYTES == 64
DEBLAI_HD Vec<float> low(Vec<float> a, Vec<float> b) {
    return __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
}
DEBLAI_HD Vec<float> high(Vec<float> a, Vec<float> b) {
    return __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
}
DEBLAI_HD Vec<double> low(Vec<double> a, Vec<double> b) {
    return __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11);
}
DEBLAI_HD Vec<double> high(Vec<double> a, Vec<double> b) {
    return __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15);
}
#elif DEBLAI_VECTOR_BYTES == 32
DEBLAI_HD Vec<float> low(Vec<float> a, Vec<float> b) { return __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11); }
DEBLAI_HD Vec<float> high(Vec<float> a, Vec<float> b) {
    return __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15);
}
DEBLAI_HD Vec<double> low(Vec<double> a, Vec<double> b) { return __builtin_shufflevector(a, b, 0, 4, 1, 5); }
DEBLAI_HD Vec<double> high(Vec<double> a, Vec<double> b) { return __builtin_shufflevector(a, b, 2, 6, 3, 7); }
#else
DEBLAI_HD Vec<float> low(Vec<float> a, Vec<float> b) { return __builtin_shufflevector(a, b, 0, 4, 1, 5); }
DEBLAI_HD Vec<float> high(Vec<float> a, Vec<float> b) { return __builtin_shufflevector(a, b, 2, 6, 3, 7); }
DEBLAI_HD Vec<double> low(Vec<double> a, Vec<double> b) { return __builtin_shufflevector(a, b, 0, 2); }
DEBLAI_HD Vec<double> high(Vec<double> a, Vec<double> b) { return __builtin_shufflevector(a, b, 1, 3); }
#endif

// Rows of a square block become its columns: each round interleaves the two halves of the rows.
template <class T>
DEBLAI_HD void transpose(Vec<T> (&v)[lanes<T>]) {
    constexpr index_t w = lanes<T>;
#pragma GCC unroll 4
    for (index_t done = 1; done < w; done *= 2) {
        Vec<T> u[w];
#pragma GCC unroll 16
        for (index_t r = 0; r < w / 2; ++r) {
            u[2 * r] = low(v[r], v[r + w / 2]);
            u[2 * r + 1] = high(v[r], v[r + w / 2]);
        }
#pragma GCC unroll 16
        for (index_t r = 0; r < w; ++r) v[r] = u[r];
    }
}

// Vectors of a panel; the rows of a panel that lie far apart are asked for some steps before they are read.
template <class T>
inline constexpr index_t parts = panel<T> / lanes<T>;

template <class T>
DEBLAI_HD void ahead(const T* row, index_t ld) {
    constexpr index_t steps = 16;
    __builtin_prefetch(row + steps * ld);
    __builtin_prefetch(row + steps * ld + panel<T> / 2);
}

// top(c) = max over [first, last) of M(k,c) + t(k), at least what it was: rows k of a panel lie along the vectors.
template <class T>
DEBLAI_HD void top_across(const T* M, index_t ld, const T* t, index_t count, Vec<T> (&top)[parts<T>]) {
    for (index_t k = 0; k < count; ++k) {
        const T* const row = M + k * ld;
        ahead(row, ld);
        for (index_t v = 0; v < parts<T>; ++v) top[v] = larger<T>(top[v], load(row + v * lanes<T>) + t[k]);
    }
}

template <class T>
void highest(const Operand<T>& q, const T* beside, T* top) {
    constexpr index_t w = lanes<T>;
    Vec<T> most[parts<T>];
    for (index_t v = 0; v < parts<T>; ++v) most[v] = splat<T>(-infinite<T>);
    if (!q.M.turned) top_across(q.M.data + q.first * q.M.ld + q.begin, q.M.ld, q.t, q.last - q.first, most);
    for (index_t v = 0; q.M.turned && v < parts<T>; ++v) {
        Vec<T> rows[w];
        for (index_t r = 0; r < w; ++r) {
            const T* const row = q.M.data + (q.begin + v * w + r) * q.M.ld;
            rows[r] = splat<T>(-infinite<T>);
            for (index_t k = q.first; k < q.last; k += w)
                rows[r] = larger<T>(rows[r], load(row + k) + load(q.t + k - q.first));
        }
        transpose<T>(rows);
        for (index_t r = 0; r < w; ++r) most[v] = larger<T>(most[v], rows[r]);
    }
    for (index_t v = 0; v < parts<T>; ++v)
        store(top + v * w, larger<T>(load(top + v * w), most[v] + load(beside + v * w)));
}

template <class T>
bool pack(const Operand<T>& q, const T* below, T* out) {
    constexpr index_t w = lanes<T>;
    const unsigned rounding = flush_denormals();
    const LiftedExp<T> lifted_exp(q.lift);
    Vec<T> most = {};
    const auto put = [&](Vec<T> M, index_t k, index_t v, Vec<T> shift) __attribute__((always_inline)) {
        const Vec<T> e = lifted_exp(M + q.t[k - q.first] - shift);
        store(out + (k - q.first) * panel<T> + v * w, e);
        most = larger<T>(most, e);
    };
    Vec<T> shift[parts<T>];
    for (index_t v = 0; v < parts<T>; ++v) shift[v] = load(below + v * w);
    for (index_t k = q.first; !q.M.turned && k < q.last; ++k) {
        const T* const row = q.M.data + k * q.M.ld + q.begin;
        ahead(row, q.M.ld);
        for (index_t v = 0; v < parts<T>; ++v) put(load(row + v * w), k, v, shift[v]);
    }
    for (index_t v = 0; q.M.turned && v < parts<T>; ++v)
        for (index_t k = q.first; k < q.last; k += w) {
            Vec<T> rows[w];
            for (index_t r = 0; r < w; ++r) rows[r] = load(q.M.data + (q.begin + v * w + r) * q.M.ld + k);
            transpose<T>(rows);
            const index_t count = q.last - k < w ? q.last - k : w;
            for (index_t r = 0; r < count; ++r) put(rows[r], k + r, v, shift[v]);
        }
    restore(rounding);
    return largest<T>(most) > 0;
}

template <class T>
void lifted(const T* a, index_t n, T top, int lift, T* out) {
    const unsigned rounding = flush_denormals();
    const LiftedExp<T> lifted_exp(lift);
    for (index_t k = 0; k < n; k += lanes<T>) store(out + k, lifted_exp(load(a + k) - top));
    restore(rounding);
}

template <class T>
void scale(const T* E, const T* u, const T* v, index_t rows, T* out) {
    const unsigned rounding = flush_denormals();
    for (index_t c = 0; c < panel<T>; c += lanes<T>) {
        const Vec<T> factor = load(v + c);
        for (index_t k = 0; k < rows; ++k) store(out + k * panel<T> + c, load(E + k * panel<T> + c) * (u[k] * factor));
    }
    restore(rounding);
}

// R rows and two vectors of columns.
template <class T, int R>
DEBLAI_HD void product_of(const T* left, const T* right, index_t depth, T* table, index_t ld) {
    constexpr index_t w = lanes<T>;
    Vec<T> acc[R][2] = {};
    for (index_t k = 0; k < depth; ++k) {
        const Vec<T> b0 = load(right + k * panel<T>), b1 = load(right + k * panel<T> + w);
#pragma GCC unroll 8
        for (int r = 0; r < R; ++r) {
            const T a = left[k * panel<T> + r];
            acc[r][0] += a * b0;
            acc[r][1] += a * b1;
        }
    }
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
        T* const to = table + r * ld;
        store(to, load(to) + acc[r][0]);
        store(to + w, load(to + w) + acc[r][1]);
    }
}

template <class T>
void product(const T* left, const T* right, index_t depth, index_t rows, T* table, index_t ld) {
    constexpr int R = DEBLAI_VECTOR_BYTES == 64 ? 8 : 4;
    const unsigned rounding = flush_denormals();
    for (index_t c = 0; c < panel<T>; c += 2 * lanes<T>)
        for (index_t i = 0; i < rows; i += R) product_of<T, R>(left + i, right + c, depth, table + i * ld + c, ld);
    restore(rounding);
}

template <class T>
DEBLAI_HD T top_of(const T* a, const T* b, index_t n) {
    constexpr index_t w = lanes<T>;
    Vec<T> top = splat<T>(-infinite<T>);
    for (index_t k = 0; k < n; k += w) top = larger<T>(top, load(a + k) + load(b + k));
    return largest<T>(top);
}

// sum over the columns [first, last) of one row, which lies along the vectors.
template <class T>
DEBLAI_HD double weigh_along(const T* M, const T* z, const T* table, index_t first, index_t last, T top,
                             const LiftedExp<T>& lifted_exp) {
    constexpr index_t w = lanes<T>;
    double total = 0;
    Vec<T> sum = {};
    for (index_t j = first; j < last; j += w) {
        sum += lifted_exp(load(M + j) + load(z + j) - top) * load(table + j);
        if ((j / w) % 32 == 31) total += total_of(sum), sum = Vec<T>{};
    }
    return total + total_of(sum);
}

// The same of columns [0, last), each of which lies along the vectors, for rows of a whole panel.
template <class T>
DEBLAI_HD void weigh_across(const Weighing<T>& q, index_t last, const T* below, const LiftedExp<T>& lifted_exp) {
    constexpr index_t w = lanes<T>, part = 32;
    for (index_t begin = 0; begin < last; begin += part) {
        const index_t end = begin + part < last ? begin + part : last;
        Vec<T> sum[parts<T>] = {};
        for (index_t j = begin; j < end; ++j) {
            const T *const M = q.M.data + j * q.M.ld + q.begin, *const table = q.table.data + j * q.table.ld + q.begin;
            ahead(M, q.M.ld);
            ahead(table, q.table.ld);
            for (index_t v = 0; v < parts<T>; ++v)
                sum[v] += lifted_exp(load(M + v * w) + q.z[j] - load(below + v * w)) * load(table + v * w);
        }
        T sums[panel<T>];
        for (index_t v = 0; v < parts<T>; ++v) store(sums + v * w, sum[v]);
        for (index_t i = 0; i < panel<T>; ++i) q.total[i] += static_cast<double>(sums[i]);
    }
}

template <class T>
void weigh(const Weighing<T>& q) {
    const unsigned rounding = flush_denormals();
    // Of a symmetric table, what is left of the diagonal's panel is read as what is above it.
    const index_t across = q.M.turned ? q.columns : q.symmetric ? q.begin : 0;
    Vec<T> most[parts<T>];
    for (index_t v = 0; v < parts<T>; ++v) most[v] = splat<T>(-infinite<T>);
    top_across(q.M.data + q.begin, q.M.ld, q.z, across, most);
    for (index_t v = 0; v < parts<T>; ++v) store(q.top + v * lanes<T>, most[v]);
    T below[panel<T>];
    for (index_t i = 0; i < panel<T>; ++i) {
        const T top = top_of(q.M.data + (q.begin + i) * q.M.ld + across, q.z + across, q.columns - across);
        if (top > q.top[i]) q.top[i] = top;
        below[i] = q.top[i] > -infinite<T> ? q.top[i] : T(0);
        q.total[i] = 0;
    }
    const LiftedExp<T> lifted_exp(q.lift);
    weigh_across(q, across, below, lifted_exp);
    for (index_t i = 0; across < q.columns && i < panel<T>; ++i)
        q.total[i] += weigh_along(q.M.data + (q.begin + i) * q.M.ld, q.z, q.table.data + (q.begin + i) * q.table.ld,
                                  across, q.columns, below[i], lifted_exp);
    restore(rounding);
}

template <class T>
void plan(const T* M, const T* z, index_t n, double shift, int lift, T* row) {
    constexpr index_t w = lanes<T>;
    using C = Constants<T>;
    const unsigned rounding = flush_denormals();
    const LiftedExp<T> lowered_exp(-lift);
    const T up = static_cast<T>(shift), most = static_cast<T>((C::bias + lift) * 0.6931471805599453);
    const Vec<T> down = (Vec<T>)((Bits<T>{} + C::bias - lift) << C::mantissa);
    for (index_t j = 0; j < n; j += w) {
        const Vec<T> x = load(M + j) + load(z + j) + up;
        store(row + j, load(row + j) * down * lowered_exp(x < most ? x : splat<T>(most)));
    }
    restore(rounding);
}

template <class T>
void tops(const T* row, index_t ld, T* out) {
    for (index_t b = 0; b < multimarginal::stretches(ld); ++b) {
        Vec<T> top = splat<T>(-infinite<T>);
        if (b * stretch < ld)
            for (index_t k = 0; k < stretch; k += lanes<T>) top = larger<T>(top, load(row + b * stretch + k));
        out[b] = largest<T>(top);
    }
}

template <class T>
void row(const Row<T>& q) {
    constexpr index_t w = lanes<T>;
    const unsigned rounding = flush_denormals();
    double top = q.total->top, sum = q.total->sum;
    for (index_t j = 0; j < q.n_side; ++j) {
        const T base = q.base[j];
        const T* const qr_tops = q.qr_tops + j * q.ld_tops;
        const T bound = top_of(q.a_tops, qr_tops, q.ld_tops) + base;
        if (!(bound > top - q.cut)) continue;
        const T* const qr = q.qr + j * q.ld_inner;
        // Calls f on the vectors of exponents that can matter.
        const auto each = [&](const auto& f) __attribute__((always_inline)) {
            const T least = static_cast<T>(top - q.cut);
            for (index_t b = 0; b < q.ld_inner / stretch; ++b) {
                if (!(q.a_tops[b] + qr_tops[b] + base > least)) continue;
                for (index_t k = b * stretch; k < (b + 1) * stretch; k += w) f(k, load(q.a + k) + load(qr + k) + base);
            }
        };
        if (!q.plan && bound > top + 20) {
            Vec<T> most = splat<T>(-infinite<T>);
            each([&](index_t, Vec<T> e) __attribute__((always_inline)) { most = larger<T>(most, e); });
            const double now = largest<T>(most);
            if (now > top) {
                sum *= vexp<double>(splat(top - now))[0];
                top = now;
            }
            if (!(top > -__builtin_inf())) continue;
        }
        const T reference = static_cast<T>(top);
        if (q.plan && q.inner) {
            const T scale = static_cast<T>(q.scale);
            each([&](index_t k, Vec<T> e) __attribute__((always_inline)) {
                store(q.plan + k, load(q.plan + k) + scale * vexp<T>(e - reference));
            });
            continue;
        }
        Vec<T> part = {};
        each([&](index_t, Vec<T> e) __attribute__((always_inline)) { part += vexp<T>(e - reference); });
        const double found = total_of(part);
        if (q.plan) {
            q.plan[j] += static_cast<T>(q.scale * found);
        } else {
            sum += found;
        }
    }
    if (!q.plan) *q.total = {top, sum};
    restore(rounding);
}

template <class T>
Scaled log_sum(const T* a, const T* b, index_t n) {
    constexpr index_t w = lanes<T>;
    const T top = top_of(a, b, n);
    if (!(top > -infinite<T>)) return {-__builtin_inf(), 0};
    const unsigned rounding = flush_denormals();
    double total = 0;
    Vec<T> part = {};
    for (index_t k = 0; k < n; k += w) {
        part += vexp<T>(load(a + k) + load(b + k) - top);
        if ((k / w) % 64 == 63) total += total_of(part), part = Vec<T>{};
    }
    total += total_of(part);
    restore(rounding);
    return {static_cast<double>(top), total};
}

template <class T>
void exps(const T* a, const T* b, index_t n, double shift, T* out) {
    constexpr index_t w = lanes<T>;
    for (index_t k = 0; k < n; k += w) store(out + k, vexp<T>(load(a + k) + load(b + k) + static_cast<T>(shift)));
}

}  // namespace

extern const multimarginal::Kernels<float> multimarginal_f32 = {
    costs<float>, highest<float>, pack<float>, lifted<float>, scale<float>,   product<float>,
    weigh<float>, plan<float>,    tops<float>, row<float>,    log_sum<float>, exps<float>};
extern const multimarginal::Kernels<double> multimarginal_f64 = {
    costs<double>, highest<double>, pack<double>, lifted<double>, scale<double>,   product<double>,
    weigh<double>, plan<double>,    tops<double>, row<double>,    log_sum<double>, exps<double>};

}  // namespace deblai::DEBLAI_LEVEL
