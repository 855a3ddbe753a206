// One direction of sliced Wasserstein: sort both projections, walk the monotone coupling once.
// Differences, costs and sums are float64 whatever T is.
#include "deblai/quantile.hpp"
#include "sliced-kernels.hpp"
#include "sort-inl.hpp"
#include "tile-inl.hpp"

namespace deblai::DEBLAI_LEVEL {
namespace {

using sliced::Side;
using sliced::Slice;

template <class T>
void project(Matrix<const T> points, index_t begin, index_t end, const T* theta, index_t count, T* rows, index_t ld,
             T* tile) {
    for (index_t i = begin; i < end; i += tile_points) {
        pack(points, i, end, tile);
        product(count, points.cols, theta, points.cols, 1, tile, tile_points, rows + i, ld);
    }
}

template <class T>
void spread(const T* rows, index_t ld, index_t begin, index_t end, const T* theta, index_t count, Matrix<T> grad,
            T* tile) {
    for (index_t i = begin; i < end; i += tile_points) {
        product(grad.cols, count, theta, 1, grad.cols, rows + i, ld, tile, tile_points);
        unpack_add(tile, i, end, grad);
    }
}

// |d|^p and p |d|^(p-1) sign(d), a vector at a time; Power is 1, 2 or 0 for any other p > 1.
template <int Power>
struct VectorCost {
    double p;

    DEBLAI_HD void operator()(Vec<double> d, Vec<double>& cost, Vec<double>& slope) const {
        const Vec<double> r = abs<double>(d);
        const Vec<double> zero = {};
        if constexpr (Power == 2) {
            cost = d * d;
            slope = d + d;
        } else if constexpr (Power == 1) {
            cost = r;
            slope = d > zero ? splat(1.0) : d < zero ? splat(-1.0) : zero;
        } else {
            const Vec<double> q = vexp<double>((p - 1.0) * vlog<double>(r));
            cost = r * q;
            slope = p * (d < zero ? -q : q);
        }
    }
};

// Equal weights and equal sizes: the i-th smallest goes to the i-th smallest. With Slopes, x and y are
// overwritten by the derivatives of the mean cost times `scale`.
template <bool Slopes, class T, class Cost>
double matched(T* x, T* y, index_t n, const Cost& cost, double scale) {
    constexpr index_t w = lanes<double>;
    Vec<double> acc[4] = {};
    const double factor = scale / static_cast<double>(n);
    const auto step = [&](T* px, T* py, Vec<double>& sum_to) __attribute__((always_inline)) {
        Vec<double> c, s;
        cost(load_double(px) - load_double(py), c, s);
        sum_to += c;
        if constexpr (Slopes) {
            s *= factor;
            for (index_t k = 0; k < w; ++k) {
                px[k] = static_cast<T>(s[k]);
                py[k] = static_cast<T>(-s[k]);
            }
        }
    };
    index_t i = 0;
    for (; i + 4 * w <= n; i += 4 * w)
#pragma GCC unroll 4
        for (int k = 0; k < 4; ++k) step(x + i + k * w, y + i + k * w, acc[k]);
    for (; i + w <= n; i += w) step(x + i, y + i, acc[0]);
    if (i < n) {
        T tail_x[w] = {}, tail_y[w] = {};
        std::memcpy(tail_x, x + i, (n - i) * sizeof(T));
        std::memcpy(tail_y, y + i, (n - i) * sizeof(T));
        step(tail_x, tail_y, acc[0]);
        if constexpr (Slopes) {
            std::memcpy(x + i, tail_x, (n - i) * sizeof(T));
            std::memcpy(y + i, tail_y, (n - i) * sizeof(T));
        }
    }
    return sum((acc[0] + acc[1]) + (acc[2] + acc[3])) / static_cast<double>(n);
}

template <class T, class Cost>
double matched(T* x, T* y, index_t n, const Cost& cost, double scale, bool slopes) {
    return slopes ? matched<true>(x, y, n, cost, scale) : matched<false>(x, y, n, cost, scale);
}

// Any weights and sizes. Values turn into slopes as the walk leaves them; potentials go straight home.
template <class T, class Cdf>
double walked(const Slice<T>& q, Ranked<T> x, Ranked<T> y, Cdf A, Cdf B, typename Cdf::mass_t total) {
    const PowerCost c{q.p};
    const Side<T>&sx = q.x, &sy = q.y;
    const bool slopes = sx.slope || sy.slope, potentials = sx.potential || sy.potential;
    const double unit = 1.0 / static_cast<double>(total);
    double total_cost = 0, cost = 0, slope_i = 0, slope_j = 0, mean_f = 0, mean_g = 0, mass_i = 0, mass_j = 0;
    double f = 0, g = 0;  // up to a constant, which centring takes away
    const auto leave_i = [&](index_t i) {
        if (sx.potential) sx.potential[x.index[i]] = static_cast<T>(f), mean_f += mass_i * f;
        if (sx.slope) x.value[i] = static_cast<T>(slope_i * q.scale);
        slope_i = mass_i = 0;
    };
    const auto leave_j = [&](index_t j) {
        if (sy.potential) sy.potential[y.index[j]] = static_cast<T>(g), mean_g += mass_j * g;
        if (sy.slope) y.value[j] = static_cast<T>(slope_j * q.scale);
        slope_j = mass_j = 0;
    };
    double xi = x.value[0], yj = y.value[0];
    staircase(sx.size, sy.size, A, B, total, 0, 0, typename Cdf::mass_t{0}, sx.size + sy.size, [&](const auto& cell) {
        const double mass = static_cast<double>(cell.mass) * unit;
        if (slopes) {
            const PowerCost::Term term = c.term(xi - yj);
            cost += mass * term.cost;
            slope_i += mass * term.slope;
            slope_j -= mass * term.slope;
        } else {
            cost += mass * c.cost(xi - yj);
        }
        if (((cell.i + cell.j) & 1023) == 0) {  // sums of sums: the error grows with the square root of the size
            total_cost += cost;
            cost = 0;
        }
        const double xn = cell.step_i ? x.value[cell.i + 1] : xi;
        const double yn = cell.step_j ? y.value[cell.j + 1] : yj;
        if (slopes | potentials) {
            const bool both = cell.step_i & cell.step_j, last = !(cell.step_i | cell.step_j);
            mass_i += mass;
            mass_j += mass;
            if (cell.step_i | last) leave_i(cell.i);
            if (cell.step_j | last) leave_j(cell.j);
            if (potentials) {
                if (cell.step_i) f += potential_step(c, xi, xn, yj, yn, both);
                if (cell.step_j) g += potential_step(c, yj, yn, xi, xn, both);
            }
        }
        xi = xn;
        yj = yn;
    });
    const auto centre = [&](const Side<T>& side, double mean) {
        const double factor = q.scale / side.total_mass;
        if (side.potential)
            for (index_t i = 0; i < side.size; ++i)
                side.potential[i] = static_cast<T>((static_cast<double>(side.potential[i]) - mean) * factor);
    };
    centre(sx, mean_f);
    centre(sy, mean_g);
    return total_cost + cost;
}

template <class T>
Ranked<T> sort_side(const Side<T>& side, std::byte* scratch, const Stop& stop, int worker) {
    if (!side.ranked()) return {sort_values(side.row, reinterpret_cast<T*>(scratch), side.size, stop, worker), nullptr};
    const index_t padded = (side.size + 15) / 16 * 16;
    return sort_pairs(side.row, scratch, scratch + padded * sizeof(Pair<T>), side.size, stop, worker);
}

// Cumulative masses in sorted order, divided by their sum: monotone, and exactly 1 at the end.
template <class T>
const double* accumulate(const Side<T>& side, const std::uint32_t* index, std::byte* scratch) {
    double* const out = reinterpret_cast<double*>(scratch + sliced::side_scratch<T>(side.size, side.ranked(), false));
    double total = 0;
    for (index_t i = 0; i < side.size; ++i)
        out[i] = total += side.mass ? static_cast<double>(side.mass(index[i])) : 1.0;
    for (index_t i = 0; i < side.size; ++i) out[i] /= total;
    return out;
}

template <class T>
void slice(const Slice<T>& q, double* cost) {
    const bool weighted = q.x.mass || q.y.mass;
    std::byte* const scratch_y = q.scratch + sliced::side_scratch<T>(q.x.size, q.x.ranked(), weighted);
    Ranked<T> x = sort_side(q.x, q.scratch, *q.stop, q.worker);
    if (!x.value) return;
    Ranked<T> y = sort_side(q.y, scratch_y, *q.stop, q.worker);
    if (!y.value) return;
    const bool slopes = q.x.slope || q.y.slope;
    if (!weighted && q.x.size == q.y.size && !q.x.potential && !q.y.potential) {
        const index_t n = q.x.size;
        *cost = q.p == 2.0   ? matched(x.value, y.value, n, VectorCost<2>{q.p}, q.scale, slopes)
                : q.p == 1.0 ? matched(x.value, y.value, n, VectorCost<1>{q.p}, q.scale, slopes)
                             : matched(x.value, y.value, n, VectorCost<0>{q.p}, q.scale, slopes);
    } else if (!weighted) {
        *cost = walked(q, x, y, UniformCdf{q.y.size}, UniformCdf{q.x.size}, q.x.size * q.y.size);
    } else {
        const double* const A = accumulate(q.x, x.index, q.scratch);
        const double* const B = accumulate(q.y, y.index, scratch_y);
        *cost = walked(q, x, y, WeightedCdf{A}, WeightedCdf{B}, 1.0);
    }
    if (*cost != *cost) *cost = __builtin_inf();  // overflow; NaN means "not done"
    if (q.x.slope)
        for (index_t i = 0; i < q.x.size; ++i) q.x.row[x.index[i]] = x.value[i];
    if (q.y.slope)
        for (index_t j = 0; j < q.y.size; ++j) q.y.row[y.index[j]] = y.value[j];
}

}  // namespace

extern const sliced::Kernels<float> sliced_f32 = {project<float>, slice<float>, spread<float>};
extern const sliced::Kernels<double> sliced_f64 = {project<double>, slice<double>, spread<double>};

}  // namespace deblai::DEBLAI_LEVEL
