#include "deblai/sliced.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "buffer.hpp"
#include "deblai/check.hpp"
#include "deblai/error.hpp"
#include "levels.hpp"
#include "sliced-kernels.hpp"

DEBLAI_DECLARE_LEVELS(sliced::Kernels<float>, sliced_f32)
DEBLAI_DECLARE_LEVELS(sliced::Kernels<double>, sliced_f64)

namespace deblai::sliced {
namespace {

constexpr const Kernels<float>* levels_f32[] = DEBLAI_LEVELS(sliced_f32);
constexpr const Kernels<double>* levels_f64[] = DEBLAI_LEVELS(sliced_f64);

const Kernels<float>& kernels(const char* simd, float) { return pick(levels_f32, simd); }
const Kernels<double>& kernels(const char* simd, double) { return pick(levels_f64, simd); }

constexpr index_t point_task = 1024;  // points that one task projects; a multiple of tile_points

index_t padded(index_t n) { return (n + tile_points - 1) / tile_points * tile_points; }
index_t tasks(index_t n) { return (n + point_task - 1) / point_task; }

// Every length that depends on the problem alone, never on the number of threads.
template <class T>
struct Plan {
    index_t ld_x, ld_y, chunk;
    bool potential_x, potential_y;
    std::size_t rows, theta, scratch, tile;  // bytes

    Plan(const Problem<T>& q, const Output<T>& out)
        : ld_x(padded(q.x.rows)), ld_y(padded(q.y.rows)), potential_x(out.grad_a), potential_y(out.grad_b) {
        const std::size_t one = sizeof(T) * (ld_x * (potential_x ? 2 : 1) + ld_y * (potential_y ? 2 : 1));
        constexpr std::size_t budget = std::size_t{64} << 20;
        chunk = std::clamp<index_t>(static_cast<index_t>(budget / one), 8, 32);
        chunk = std::min(chunk, q.directions.rows);
        rows = one * chunk;
        theta = sizeof(T) * q.x.cols * chunk;
        const bool weighted = q.a || q.b;
        const auto side = [&](index_t n, const Vector<const T>& w, bool grad, bool potential) {
            return side_scratch<T>(n, w || grad || potential, weighted);
        };
        scratch = side(q.x.rows, q.a, static_cast<bool>(out.grad_x), potential_x) +
                  side(q.y.rows, q.b, static_cast<bool>(out.grad_y), potential_y);
        scratch = (scratch + 63) / 64 * 64;
        tile = sizeof(T) * tile_points * q.x.cols;
    }
};

// Rough cost of a whole call in nanoseconds of one thread; decides only whether threads are worth starting.
template <class T>
double work_estimate(const Problem<T>& q) {
    const double points = static_cast<double>(q.x.rows + q.y.rows);
    return points * static_cast<double>(q.directions.rows) * (8.0 + 0.1 * static_cast<double>(q.x.cols));
}

}  // namespace

template <class T>
void require_shapes(const Problem<T>& q) {
    const auto require = [](bool ok, const char* message) {
        if (!ok) throw InvalidValue(std::string("[sliced.wasserstein] ") + message);
    };
    constexpr index_t most = (index_t{1} << 31) - 64;
    require(q.x.rows > 0 && q.x.cols > 0, "x: expected at least one point and one coordinate");
    require(q.y.rows > 0, "y: expected at least one point");
    require(q.x.rows < most && q.y.rows < most, "x, y: expected fewer than 2^31 points");
    require(q.y.cols == q.x.cols, "y: expected as many coordinates as x");
    require(!q.a || q.a.size == q.x.rows, "a: expected one weight per point of x");
    require(!q.b || q.b.size == q.y.rows, "b: expected one weight per point of y");
    require(q.directions.rows > 0 && q.directions.cols == q.x.cols, "directions: expected shape (L, d), L >= 1");
    require(q.p >= 1 && q.p < 1e3, "p: expected 1 <= p < 1000");
}

template <class T>
std::size_t workspace_bytes(const Problem<T>& problem, const Output<T>& output, int threads) {
    const Plan<T> plan(problem, output);
    const std::size_t count = threads > 0 ? threads : hardware_threads();
    const std::size_t team = 1024 + 128 * count;
    return plan.rows + plan.theta + (plan.scratch + plan.tile) * count + team;
}

Estimate estimate(const double* cost, index_t count) {
    Estimate e{0, 0, std::numeric_limits<double>::quiet_NaN()};
    for (index_t l = 0; l < count; ++l)
        if (!std::isnan(cost[l])) e.mean += cost[l], ++e.done;
    e.mean /= static_cast<double>(e.done);
    if (e.done < 2) return e;
    // Squares of relative deviations: those of the costs themselves could overflow or vanish.
    const double unit = e.mean > 0 ? e.mean : 1.0;
    double squares = 0;
    for (index_t l = 0; l < count; ++l)
        if (!std::isnan(cost[l])) squares += (cost[l] / unit - e.mean / unit) * (cost[l] / unit - e.mean / unit);
    e.standard_error = unit * std::sqrt(squares / (static_cast<double>(e.done) * static_cast<double>(e.done - 1)));
    return e;
}

template <class T>
Estimate wasserstein(const Problem<T>& q, const Output<T>& out, const Control& control) {
    require_shapes(q);
    const Kernels<T>& kernel = kernels(control.simd, T{});
    Team team(control, work_estimate(q));
    require_finite("[sliced.wasserstein] x", q.x, team);
    require_finite("[sliced.wasserstein] y", q.y, team);
    require_finite("[sliced.wasserstein] directions", q.directions, team);
    const double mass_a = q.a ? require_mass("[sliced.wasserstein] a", q.a) : 1.0;
    const double mass_b = q.b ? require_mass("[sliced.wasserstein] b", q.b) : 1.0;

    const Plan<T> plan(q, out);
    const index_t d = q.x.cols, L = q.directions.rows, n = q.x.rows, m = q.y.rows;
    const Buffer rows = allocate(plan.rows), theta_buffer = allocate(plan.theta);
    const std::size_t per_worker = plan.scratch + plan.tile;
    const Buffer scratch = allocate(per_worker * team.size());
    T* const rows_x = reinterpret_cast<T*>(rows.get());
    T* const rows_y = rows_x + plan.ld_x * plan.chunk;
    T* const potentials_x = rows_y + plan.ld_y * plan.chunk;
    T* const potentials_y = potentials_x + (plan.potential_x ? plan.ld_x * plan.chunk : 0);
    T* const theta = reinterpret_cast<T*>(theta_buffer.get());
    const auto tile = [&](int worker) {
        return reinterpret_cast<T*>(scratch.get() + per_worker * worker + plan.scratch);
    };

    std::fill(out.cost, out.cost + L, std::numeric_limits<double>::quiet_NaN());
    for (index_t l0 = 0; l0 < L && !team.stopped(); l0 += plan.chunk) {
        const index_t count = std::min(plan.chunk, L - l0);
        for (index_t l = 0; l < count; ++l)
            for (index_t k = 0; k < d; ++k) theta[l * d + k] = q.directions(l0 + l, k);
        team.run(tasks(n) + tasks(m), [&](index_t task, int worker) {
            const bool first = task < tasks(n);
            const index_t begin = (first ? task : task - tasks(n)) * point_task;
            const auto& points = first ? q.x : q.y;
            kernel.project(points, begin, std::min(points.rows, begin + point_task), theta, count,
                           first ? rows_x : rows_y, first ? plan.ld_x : plan.ld_y, tile(worker));
        });
        team.run(count, [&](index_t l, int worker) {
            Slice<T> s{};
            T* const f = plan.potential_x ? potentials_x + l * plan.ld_x : nullptr;
            T* const g = plan.potential_y ? potentials_y + l * plan.ld_y : nullptr;
            s.x = {n, rows_x + l * plan.ld_x, f, q.a, mass_a, static_cast<bool>(out.grad_x)};
            s.y = {m, rows_y + l * plan.ld_y, g, q.b, mass_b, static_cast<bool>(out.grad_y)};
            s.p = q.p;
            s.scale = 1.0 / static_cast<double>(L);
            s.scratch = scratch.get() + per_worker * worker;
            s.stop = &team.stop();
            s.worker = worker;
            kernel.slice(s, &out.cost[l0 + l]);
        });
        const auto spread = [&](const T* from, index_t ld, Matrix<T> grad) {
            if (!grad) return;
            team.run(tasks(grad.rows), [&](index_t task, int worker) {
                const index_t begin = task * point_task;
                kernel.spread(from, ld, begin, std::min(grad.rows, begin + point_task), theta, count, grad,
                              tile(worker));
            });
        };
        const auto add = [&](const T* from, index_t ld, Vector<T> grad) {
            if (!grad) return;
            team.run(tasks(grad.size), [&](index_t task, int) {
                const index_t end = std::min(grad.size, (task + 1) * point_task);
                for (index_t l = 0; l < count; ++l)
                    for (index_t i = task * point_task; i < end; ++i) grad(i) += from[l * ld + i];
            });
        };
        spread(rows_x, plan.ld_x, out.grad_x);
        spread(rows_y, plan.ld_y, out.grad_y);
        add(potentials_x, plan.ld_x, out.grad_a);
        add(potentials_y, plan.ld_y, out.grad_b);
    }
    Estimate e = estimate(out.cost, L);
    // All costs may be there when a stop leaves gradients unfinished.
    if (team.stopped() && (out.grad_x || out.grad_y || out.grad_a || out.grad_b)) e.done = std::min(e.done, L - 1);
    return e;
}

template void require_shapes(const Problem<float>&);
template void require_shapes(const Problem<double>&);
template Estimate wasserstein(const Problem<float>&, const Output<float>&, const Control&);
template Estimate wasserstein(const Problem<double>&, const Output<double>&, const Control&);
template std::size_t workspace_bytes(const Problem<float>&, const Output<float>&, int);
template std::size_t workspace_bytes(const Problem<double>&, const Output<double>&, int);

}  // namespace deblai::sliced
