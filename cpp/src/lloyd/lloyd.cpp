#include "deblai/lloyd.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "buffer.hpp"
#include "deblai/check.hpp"
#include "deblai/error.hpp"
#include "levels.hpp"
#include "lloyd-grid.hpp"
#include "lloyd-kernels.hpp"

DEBLAI_DECLARE_LEVELS(lloyd::Kernels<float>, lloyd_f32)
DEBLAI_DECLARE_LEVELS(lloyd::Kernels<double>, lloyd_f64)

namespace deblai::lloyd {
namespace {

constexpr const Kernels<float>* levels_f32[] = DEBLAI_LEVELS(lloyd_f32);
constexpr const Kernels<double>* levels_f64[] = DEBLAI_LEVELS(lloyd_f64);

const Kernels<float>& kernels(const char* simd, float) { return pick(levels_f32, simd); }
const Kernels<double>& kernels(const char* simd, double) { return pick(levels_f64, simd); }

constexpr index_t bounds_task = 16384, merge_task = 256;
constexpr index_t grid_sites = 32, grid_samples = 4096;  // the fewest for which a grid pays
constexpr double nan = std::numeric_limits<double>::quiet_NaN();

index_t parts(index_t n, index_t size) { return (n + size - 1) / size; }

// Every length that depends on the problem alone, never on the number of threads.
template <class T>
struct Plan {
    index_t n, d, k, width, pieces, step, panels;
    bool grid, scores;
    GridSize size{};

    explicit Plan(const Problem<T>& q) : n(q.x.rows), d(q.x.cols), k(q.sites.rows), width(d + (q.p == 2 ? 1 : 3)) {
        constexpr index_t budget = index_t{64} << 20;
        const index_t one = static_cast<index_t>(sizeof(double)) * k * width;
        pieces = std::clamp<index_t>(n / (8 * k), 16, 64);
        pieces = std::min(pieces, std::max<index_t>(budget / one, 4));
        step = parts(parts(n, pieces), grid_block) * grid_block;
        pieces = parts(n, step);
        panels = parts(k, panel);
        grid = d <= max_grid_dims && k >= grid_sites && n >= grid_samples;
        scores = d > max_direct_dims;
        if (grid) size = grid_size(n, k);
    }
    index_t sites_scratch() const {  // plain, scaled, direct, centre, negated, half
        return k * d * (grid ? 2 : 1) + panels * panel * d + d + (scores ? panels * panel * (d + 1) : 0);
    }
    index_t worker_scratch() const {
        const index_t most = std::max({bounds_scratch(d), tile_scratch(d), grid ? grid_scratch(d) : 0});
        return (most + 15) / 16 * 16;
    }
    std::size_t partials() const { return sizeof(double) * pieces * k * width; }
};

// Rough cost of a whole call in nanoseconds of one thread; decides only whether threads are worth starting.
template <class T>
double work_estimate(const Plan<T>& plan) {
    const double n = static_cast<double>(plan.n), k = static_cast<double>(plan.k);
    return n * (plan.grid ? 10 : k * (0.5 + 0.1 * static_cast<double>(plan.d)));
}

template <class T>
struct Bounds {
    std::vector<T> low, high;

    Bounds(const Kernels<T>& kernel, const Problem<T>& q, Team& team, T* scratch, index_t per_worker) {
        const index_t d = q.x.cols, tasks = parts(q.x.rows, bounds_task);
        std::vector<T> all_low(tasks * d, std::numeric_limits<T>::infinity()), all_high(tasks * d);
        for (T& v : all_high) v = -std::numeric_limits<T>::infinity();
        std::atomic<bool> finite{true};
        team.run(tasks, [&](index_t task, int worker) {
            const index_t begin = task * bounds_task, end = std::min(q.x.rows, begin + bounds_task);
            if (!kernel.bounds(q.x, begin, end, &all_low[task * d], &all_high[task * d], scratch + worker * per_worker))
                finite.store(false, std::memory_order_relaxed);
        });
        if (!finite.load()) require_finite("[quantization.lloyd] x", q.x, team);
        low.assign(all_low.begin(), all_low.begin() + d), high.assign(all_high.begin(), all_high.begin() + d);
        for (index_t e = d; e < tasks * d; ++e) {
            low[e % d] = std::min(low[e % d], all_low[e]);
            high[e % d] = std::max(high[e % d], all_high[e]);
        }
    }
};

// The sites in the forms that kernels read.
template <class T>
struct Sites {
    T *plain, *scaled, *direct, *centre, *negated, *half;  // (k, d), the same scaled for a grid, and as in Panels
    Frame<T> frame{};
    Panels<T> panels{};

    Sites(const Plan<T>& plan, const Problem<T>& q, const Bounds<T>& bounds, T* memory) {
        const index_t k = plan.k, d = plan.d, width = plan.panels * panel;
        plain = memory;
        scaled = plain + k * d;
        direct = scaled + (plan.grid ? k * d : 0);
        centre = direct + width * d;
        negated = centre + d;
        half = negated + width * d;
        double extent = 0;
        std::vector<double> low(d), high(d);
        for (index_t a = 0; a < d; ++a) {
            low[a] = high[a] = q.sites(0, a);
            for (index_t j = 0; j < k; ++j) {
                plain[j * d + a] = q.sites(j, a);
                low[a] = std::min<double>(low[a], plain[j * d + a]);
                high[a] = std::max<double>(high[a], plain[j * d + a]);
            }
            extent =
                std::max(extent, std::max<double>(high[a], bounds.high[a]) - std::min<double>(low[a], bounds.low[a]));
        }
        const int exponent = extent > 0 ? std::clamp(std::ilogb(extent), exponent_min(), -exponent_min()) : 0;
        const T scale = static_cast<T>(std::ldexp(1.0, -exponent));
        frame.scale = scale;
        for (index_t a = 0; a < std::min(d, max_grid_dims); ++a) {
            frame.low[a] = bounds.low[a] * scale;
            frame.high[a] = bounds.high[a] * scale;
        }
        if (plan.grid)
            for (index_t e = 0; e < k * d; ++e) scaled[e] = plain[e] * scale;
        for (index_t a = 0; a < d; ++a) {
            // A round number: differences to it lose nothing of samples on a lattice.
            const double unit = std::ldexp(1.0, exponent - 4), middle = 0.5 * low[a] + 0.5 * high[a];
            centre[a] = static_cast<T>(std::round(middle / unit) * unit);
        }
        double reach = 0;
        for (index_t j = 0; j < width; ++j) {
            const index_t at = j / panel * panel * d + j % panel;
            double norm = 0;
            for (index_t a = 0; a < d; ++a) {
                const bool there = j < k;
                direct[at + a * panel] = there ? plain[j * d + a] * scale : std::numeric_limits<T>::infinity();
                if (!plan.scores) continue;
                const T v = there ? (plain[j * d + a] - centre[a]) * scale : T(0);
                negated[at + a * panel] = -v;
                norm += static_cast<double>(v) * static_cast<double>(v);
            }
            if (plan.scores) half[j] = j < k ? static_cast<T>(norm / 2) : std::numeric_limits<T>::infinity();
            reach = std::max(reach, norm);
        }
        panels = {plan.panels,
                  scale,
                  direct,
                  plan.scores ? negated : nullptr,
                  half,
                  centre,
                  static_cast<T>(std::sqrt(reach))};
    }

    static constexpr int exponent_min() { return std::numeric_limits<T>::min_exponent + 2; }
};

}  // namespace

template <class T>
void require_shapes(const Problem<T>& q) {
    const auto require = [](bool ok, const char* message) {
        if (!ok) throw InvalidValue(std::string("[quantization.lloyd] ") + message);
    };
    constexpr index_t most = (index_t{1} << 31) - 64;
    require(q.x.rows > 0 && q.x.cols > 0, "x: expected at least one sample and one coordinate");
    require(q.x.rows < most, "x: expected fewer than 2^31 samples");
    require(!q.weights || q.weights.size == q.x.rows, "weights: expected one weight per sample of x");
    require(q.sites.rows > 0 && q.sites.cols == q.x.cols, "sites: expected shape (k, d), k >= 1");
    require(q.sites.rows < most, "sites: expected fewer than 2^31 sites");
    require(q.p >= 1 && std::isfinite(q.p), "p: expected a finite exponent of at least 1");
    require(q.near >= 0 && std::isfinite(q.near), "near: expected a distance");
}

template <class T>
std::size_t workspace_bytes(const Problem<T>& problem, int threads) {
    const Plan<T> plan(problem);
    const std::size_t count = threads > 0 ? threads : hardware_threads();
    const std::size_t d = plan.d, bounds = 2 * sizeof(T) * d * (parts(plan.n, bounds_task) + 1) + 16 * d;
    std::size_t grid = 0;
    if (plan.grid) {
        // Lists that grow: up to three times what they hold; a thread may be one list of k sites over the limit.
        const std::size_t k = plan.k, places = plan.size.most_places;
        grid =
            sizeof(T) * (2 * plan.size.cells + (4 + d) * places + 3 * count * (10 * k + 1024)) + 8 * k * count + 16384;
    }
    return plan.partials() + sizeof(T) * (plan.sites_scratch() + count * plan.worker_scratch()) + bounds + grid +
           16 * plan.pieces + 1024 + 128 * count;
}

template <class T>
double assign(const Problem<T>& q, const Output<T>& out, const Control& control) {
    require_shapes(q);
    const Kernels<T>& kernel = kernels(control.simd, T{});
    const Plan<T> plan(q);
    Team team(control, work_estimate(plan));
    const index_t d = plan.d, k = plan.k, width = plan.width;

    const Buffer scratch = allocate(sizeof(T) * plan.worker_scratch() * team.size());
    const auto own = [&](int worker) { return reinterpret_cast<T*>(scratch.get()) + worker * plan.worker_scratch(); };
    const Bounds<T> bounds(kernel, q, team, own(0), plan.worker_scratch());
    require_finite("[quantization.lloyd] sites", q.sites, team);
    const Buffer site_buffer = allocate(sizeof(T) * plan.sites_scratch());
    const Sites<T> sites(plan, q, bounds, reinterpret_cast<T*>(site_buffer.get()));
    std::optional<GridBuilder<T>> grid;
    if (plan.grid) {
        grid.emplace(sites.frame, sites.scaled, k, d, plan.size);
        if (!grid->build(team)) grid.reset();
    }

    const Buffer partial_buffer = allocate(plan.partials());
    double* const partials = reinterpret_cast<double*>(partial_buffer.get());
    std::vector<double> energy(plan.pieces);
    std::atomic<bool> bad_weight{false};
    team.run(plan.pieces, [&](index_t piece, int worker) {
        double* const partial = partials + piece * k * width;
        std::fill(partial, partial + k * width, 0.0);
        Task<T> task{q.x,
                     q.weights,
                     sites.plain,
                     k,
                     piece * plan.step,
                     std::min(plan.n, (piece + 1) * plan.step),
                     partial,
                     q.p / 2 - 1,
                     q.near * q.near,
                     0,
                     false,
                     out.labels,
                     out.cost,
                     nearest_exactly<T>,
                     own(worker),
                     &team.stop(),
                     worker};
        if (grid)
            kernel.assign_grid(task, grid->grid());
        else
            kernel.assign_tiles(task, sites.panels);
        energy[piece] = task.energy;
        if (task.bad_weight) bad_weight.store(true, std::memory_order_relaxed);
    });
    if (team.stopped()) return nan;
    if (bad_weight.load()) require_mass("[quantization.lloyd] weights", q.weights);
    team.run(parts(k, merge_task), [&](index_t task, int) {
        const index_t begin = task * merge_task, end = std::min(k, begin + merge_task);
        double* const first = partials + begin * width;
        for (index_t piece = 1; piece < plan.pieces; ++piece) {
            const double* const next = first + piece * k * width;
            for (index_t e = 0; e < (end - begin) * width; ++e) first[e] += next[e];
        }
        for (index_t j = begin; j < end; ++j) {
            out.mass[j] = partials[j * width];
            std::copy_n(partials + (j + 1) * width - d, d, out.sum + j * d);
            if (width > d + 1) std::copy_n(partials + j * width + 1, 2, out.pull + 2 * j);
        }
    });
    if (team.stopped()) return nan;
    double total = 0, mass = 0;
    for (const double e : energy) total += e;
    for (index_t j = 0; j < k; ++j) mass += out.mass[j];
    if (q.weights && !(mass > 0 && std::isfinite(mass))) require_mass("[quantization.lloyd] weights", q.weights);
    if (!std::isfinite(total)) throw InvalidValue("[quantization.lloyd] x: the energy overflows; rescale the samples");
    return total;
}

template void require_shapes(const Problem<float>&);
template void require_shapes(const Problem<double>&);
template double assign(const Problem<float>&, const Output<float>&, const Control&);
template double assign(const Problem<double>&, const Output<double>&, const Control&);
template std::size_t workspace_bytes(const Problem<float>&, int);
template std::size_t workspace_bytes(const Problem<double>&, int);

}  // namespace deblai::lloyd
