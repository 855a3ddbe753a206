// Stabilised kernels, their products, and exact sums of exponentials; sums over rows are float64 whatever T is.
#include "flush-inl.hpp"
#include "multimarginal-kernels.hpp"
#include "vec-inl.hpp"

namespace deblai::DEBLAI_LEVEL {
namespace {

using multimarginal::Block;
using multimarginal::group;
using multimarginal::panel;
using multimarginal::Row;
using multimarginal::Scaled;
using multimarginal::stretch;

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

template <class T>
void costs(const PairCost& c, double epsilon, const T* x, index_t d, const T* y, index_t ld, index_t begin, index_t end,
           T* row) {
    constexpr index_t w = lanes<T>;
    const T factor = static_cast<T>(-(c.kind == PairCost::Kind::log ? -0.5 : 1.0) * c.strength / epsilon);
    const T power = static_cast<T>(-0.5 * c.s);
    for (index_t j = begin; j < end; j += w) {
        Vec<T> r2 = {};
        for (index_t k = 0; k < d; ++k) {
            const Vec<T> diff = load(y + k * ld + j) - x[k];
            r2 += diff * diff;
        }
        Vec<T> h = r2;
        if (c.kind == PairCost::Kind::log) {
            h = vlog<T>(r2);
        } else if (c.kind == PairCost::Kind::riesz) {
            h = c.s == 1.0 ? T(1) / root<T>(r2) : c.s == 2.0 ? T(1) / r2 : vexp<T>(power * vlog<T>(r2));
        }
        store(row + j, factor * h);
    }
}

template <class T>
void pack(const T* qr, index_t ld_inner, const T* rq, index_t ld_side, const T* share, index_t n_inner, index_t n_side,
          index_t begin, T* delta, T* out) {
    constexpr index_t w = lanes<T>;
    for (index_t j = begin; j < begin + panel<T>; ++j) {
        Vec<T> top = splat<T>(-infinite<T>);
        if (j < n_side)
            for (index_t k = 0; k < ld_inner; k += w)
                top = larger<T>(top, load(qr + j * ld_inner + k) + load(share + k));
        delta[j] = largest<T>(top);
    }
    const unsigned rounding = flush_denormals();
    for (index_t j = 0; j < panel<T>; j += w) {
        const Vec<T> top = load(delta + begin + j);
        const Vec<T> shift = top > -infinite<T> ? top : Vec<T>{};
        for (index_t k = 0; k < n_inner; ++k)
            store(out + k * panel<T> + j, vexp<T>(load(rq + k * ld_side + begin + j) + share[k] - shift));
    }
    restore(rounding);
}

// side(r, :) *= sum_k left(r, k) panels(k, :) for R rows and two vectors of columns; sums added to total.
template <class T, int R>
DEBLAI_HD void product(index_t inner, const T* left, index_t ld_left, const T* panels, T* side, index_t ld_side,
                       double* total, bool keep) {
    constexpr index_t w = lanes<T>;
    Vec<T> acc[R][2] = {};
    for (index_t k = 0; k < inner; ++k) {
        const Vec<T> b0 = load(panels + k * panel<T>), b1 = load(panels + k * panel<T> + w);
#pragma GCC unroll 8
        for (int r = 0; r < R; ++r) {
            const T a = left[r * ld_left + k];
            acc[r][0] += a * b0;
            acc[r][1] += a * b1;
        }
    }
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
        T* const s = side + r * ld_side;
        const Vec<T> s0 = load(s) * acc[r][0], s1 = load(s + w) * acc[r][1];
        total[r] += total_of(s0 + s1);
        if (keep) {
            store(s, s0);
            store(s + w, s1);
        }
    }
}

// out(k) = exp(a(k) + b(k) - top) with the largest exponent as top; a row without any is zero, its top -inf.
template <class T>
DEBLAI_HD T top_of(const T* a, const T* b, index_t n) {
    constexpr index_t w = lanes<T>;
    Vec<T> top = splat<T>(-infinite<T>);
    for (index_t k = 0; k < n; k += w) top = larger<T>(top, load(a + k) + load(b + k));
    return largest<T>(top);
}

template <class T>
DEBLAI_HD double exps_below(const T* a, const T* b, index_t n, T top, T* out) {
    constexpr index_t w = lanes<T>;
    const T shift = top > -infinite<T> ? top : T(0);
    double total = 0;
    Vec<T> sum = {};
    for (index_t k = 0; k < n; k += w) {
        const Vec<T> e = vexp<T>(load(a + k) + load(b + k) - shift);
        store(out + k, e);
        sum += e;
        if ((k / w) % 64 == 63) total += total_of(sum), sum = Vec<T>{};
    }
    return total + total_of(sum);
}

template <class T>
void block(const Block<T>& q) {
    constexpr int R = DEBLAI_VECTOR_BYTES == 64 ? 8 : 4;
    static_assert(group % R == 0);
    constexpr index_t most = 64;
    T alpha[most], zeta[most];
    bool skip = true;
    for (index_t i = 0; i < q.rows; ++i) {
        alpha[i] = top_of(q.pr + i * q.ld_inner, q.t, q.ld_inner);
        zeta[i] = top_of(q.pq + i * q.ld_side, q.z, q.ld_side);
        q.scale[i] = static_cast<double>(alpha[i]) + static_cast<double>(zeta[i]);
        q.total[i] = 0;
        q.weight[i] = -1;
        skip &= !(q.scale[i] >= q.floor[i]);
    }
    if (skip) return;
    const unsigned rounding = flush_denormals();
    for (index_t i = 0; i < q.rows; ++i) {
        exps_below(q.pr + i * q.ld_inner, q.t, q.ld_inner, alpha[i], q.left + i * q.ld_inner);
        q.weight[i] = exps_below(q.pq + i * q.ld_side, q.z, q.ld_side, zeta[i], q.side + i * q.ld_side);
    }
    const index_t whole = (q.rows + group - 1) / group * group;
    std::memset(q.left + q.rows * q.ld_inner, 0, (whole - q.rows) * q.ld_inner * sizeof(T));
    std::memset(q.side + q.rows * q.ld_side, 0, (whole - q.rows) * q.ld_side * sizeof(T));
    double total[most] = {};
    for (index_t j = 0; j < q.ld_side; j += panel<T>)
        for (index_t half = 0; half < panel<T>; half += 2 * lanes<T>)
            for (index_t i = 0; i < whole; i += R)
                product<T, R>(q.n_inner, q.left + i * q.ld_inner, q.ld_inner, q.panels + j * q.n_inner + half,
                              q.side + i * q.ld_side + j + half, q.ld_side, total + i, q.products);
    for (index_t i = 0; i < q.rows; ++i) q.total[i] = total[i];
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
                for (index_t k = b * stretch; k < (b + 1) * stretch; k += w) f(load(q.a + k) + load(qr + k) + base);
            }
        };
        if (!q.plan && bound > top + 20) {
            Vec<T> most = splat<T>(-infinite<T>);
            each([&](Vec<T> e) __attribute__((always_inline)) { most = larger<T>(most, e); });
            const double now = largest<T>(most);
            if (now > top) {
                sum *= vexp<double>(splat(top - now))[0];
                top = now;
            }
            if (!(top > -__builtin_inf())) continue;
        }
        const T reference = static_cast<T>(top);
        Vec<T> part = {};
        each([&](Vec<T> e) __attribute__((always_inline)) { part += vexp<T>(e - reference); });
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

extern const multimarginal::Kernels<float> multimarginal_f32 = {costs<float>, pack<float>,    block<float>, tops<float>,
                                                                row<float>,   log_sum<float>, exps<float>};
extern const multimarginal::Kernels<double> multimarginal_f64 = {
    costs<double>, pack<double>, block<double>, tops<double>, row<double>, log_sum<double>, exps<double>};

}  // namespace deblai::DEBLAI_LEVEL
