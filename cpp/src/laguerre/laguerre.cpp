#include "deblai/laguerre.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "deblai/check.hpp"
#include "deblai/error.hpp"
#include "laguerre-kernels.hpp"
#include "laguerre-tree.hpp"
#include "levels.hpp"

DEBLAI_DECLARE_LEVELS(laguerre::Kernels, laguerre_kernels)

namespace deblai::laguerre {
namespace {

constexpr const Kernels* table[] = DEBLAI_LEVELS(laguerre_kernels);

constexpr index_t cell_task = 128;
constexpr int first_capacity = 256;
constexpr double nan = std::numeric_limits<double>::quiet_NaN();

index_t tasks(index_t n) { return (n + cell_task - 1) / cell_task; }

// Pixels as mass a unit of area, rows of constant y; the whole has mass 1.
template <class T>
Buffer normalised(const Problem<T>& q, Pixels& pixels) {
    const index_t nx = q.density.rows, ny = q.density.cols;
    Buffer buffer = allocate(sizeof(double) * nx * ny);
    double* const out = reinterpret_cast<double*>(buffer.get());
    double total = 0;
    for (index_t i = 0; i < nx; ++i)
        for (index_t j = 0; j < ny; ++j) {
            const double v = static_cast<double>(q.density(i, j));
            if (!(v >= 0 && v - v == 0)) throw bad_pixel(v, i, j);
            total += out[j * nx + i] = v;
        }
    if (!(total > 0 && std::isfinite(total))) throw bad_mass(total);
    pixels.width = (q.upper[0] - q.lower[0]) / static_cast<double>(nx);
    pixels.height = (q.upper[1] - q.lower[1]) / static_cast<double>(ny);
    const double unit = total * pixels.width * pixels.height;
    for (index_t k = 0; k < nx * ny; ++k) out[k] /= unit;
    pixels.density = out;
    pixels.nx = nx;
    pixels.ny = ny;
    return buffer;
}

// Squares of what is larger overflow.
template <class T>
void require_entries(const char* argument, Matrix<const T> v, double most, Team& team) {
    require_finite((std::string("[quantization.laguerre] ") + argument).c_str(), v, team);
    for (index_t i = 0; i < v.rows; ++i)
        for (index_t k = 0; k < v.cols; ++k)
            if (!(std::abs(static_cast<double>(v(i, k))) < most)) throw bad_entry(argument, most, v(i, k), i, k);
}

// Checked input in the order of the tree, and the workers' scratch, which grows with the largest cell.
template <class T>
class Run {
public:
    Run(const Problem<T>& q, const Control& control, bool integrate)
        : q_(q), kernel_(pick(table, control.simd)), team_(control, 700.0 * static_cast<double>(q.sites.rows)) {
        require_entries("sites", q.sites, most_site, team_);
        require_entries("psi", Matrix<const T>{q.psi.data, q.psi.size, 1, q.psi.stride, 1}, most_psi, team_);
        scene_.pixels.uniform = 1 / ((q.upper[0] - q.lower[0]) * (q.upper[1] - q.lower[1]));
        if (q.density && integrate) density_ = normalised(q, scene_.pixels);
        scene_.pixels.periodic = scene_.periodic = q.periodic;
        scene_.weighted = static_cast<bool>(q.psi);
        std::copy_n(q.lower, 2, scene_.lower);
        std::copy_n(q.upper, 2, scene_.upper);
        scene_.pixels.lower_x = q.lower[0];
        scene_.pixels.lower_y = q.lower[1];
        tree_.emplace(q, scene_, team_);
        for (int worker = 0; worker < team_.size(); ++worker) scratch_.push_back(Memory(first_capacity));
    }

    const Scene& scene() const { return scene_; }
    Team& team() { return team_; }

    // Calls use(task, site, cell, scratch) for every cell that is wanted(site), in tasks of the tree's order.
    template <class Wanted, class Use>
    void each(bool integrate, const Wanted& wanted, const Use& use) {
        team_.run(tasks(scene_.size), [&](index_t task, int worker) {
            const index_t end = std::min(scene_.size, (task + 1) * cell_task);
            for (index_t i = task * cell_task; i < end; ++i) {
                if (!wanted(static_cast<index_t>(scene_.id[i]))) continue;
                Cell cell;
                Status status;
                while ((status = kernel_.cell(scene_, i, integrate, scratch_[worker].view, team_.stop(), worker,
                                              cell)) == Status::grow)
                    scratch_[worker] = Memory(4 * scratch_[worker].view.capacity);
                if (status == Status::stopped) return;
                use(task, static_cast<index_t>(scene_.id[i]), cell, scratch_[worker].view);
            }
        });
    }

private:
    struct Memory {
        Buffer buffer;
        Scratch view;

        explicit Memory(int capacity) : buffer(allocate(Scratch::bytes(capacity))) {
            Near* const near = new (buffer.get()) Near;
            double* const p = reinterpret_cast<double*>(near + 1);
            view = {near,
                    p,
                    p + capacity,
                    p + 2 * capacity,
                    reinterpret_cast<std::int64_t*>(p + 3 * capacity),
                    p + 4 * capacity,
                    capacity};
        }
    };

    const Problem<T>& q_;
    const Kernels& kernel_;
    Team team_;
    Scene scene_{};
    Buffer density_;
    std::optional<Tree> tree_;
    std::vector<Memory> scratch_;
};

}  // namespace

InvalidValue bad_entry(const char* argument, double most, double value, index_t row, index_t col) {
    const std::string where = std::string("[quantization.laguerre] ") + argument;
    if (!std::isfinite(value)) return not_finite(where.c_str(), value, row, col);
    return InvalidValue(where + ": expected values below " + std::to_string(std::lround(std::log10(most))) +
                        " powers of ten, got one at [" + std::to_string(row) + ", " + std::to_string(col) + "]");
}

InvalidValue bad_pixel(double value, index_t i, index_t j) {
    return InvalidValue("[quantization.laguerre] measure.values: expected finite nonnegative values, got " +
                        std::to_string(value) + " at [" + std::to_string(i) + ", " + std::to_string(j) + "]");
}

InvalidValue bad_mass(double total) { return not_a_mass("[quantization.laguerre] measure.values", total); }

template <class T>
void require_shapes(const Problem<T>& q) {
    const auto require = [](bool ok, const char* message) {
        if (!ok) throw InvalidValue(std::string("[quantization.laguerre] ") + message);
    };
    require(q.sites.rows > 0 && q.sites.cols == 2, "sites: expected shape (n, 2), n >= 1");
    require(q.sites.rows < (index_t{1} << 31) - 64, "sites: expected fewer than 2^31 sites");
    require(!q.psi || q.psi.size == q.sites.rows, "psi: expected one value per site");
    for (int k = 0; k < 2; ++k)
        require(q.upper[k] - q.lower[k] > 1e-100 && q.upper[k] - q.lower[k] < 1e100 && std::abs(q.lower[k]) < 1e100,
                "measure: expected a box with sides and corners between 1e-100 and 1e100");
    require(!q.density || (q.density.rows > 0 && q.density.cols > 0), "measure.values: expected at least one pixel");
}

template <class T>
std::size_t workspace_bytes(const Problem<T>& q, int threads) {
    const std::size_t count = threads > 0 ? threads : hardware_threads();
    return Tree::bytes(q.sites.rows) + sizeof(double) * (q.density ? q.density.rows * q.density.cols : 0) +
           3 * sizeof(double) * tasks(q.sites.rows) + (Scratch::bytes(first_capacity) + 192) * count + 2048;
}

template <class T>
Summary cells(const Problem<T>& q, const Output<T>& out, const Control& control) {
    require_shapes(q);
    Run<T> run(q, control, true);
    const index_t n = q.sites.rows;
    for (index_t i = 0; i < n; ++i) {
        out.mass(i) = out.centroid(i, 0) = out.centroid(i, 1) = out.second_moment(i) = static_cast<T>(nan);
        out.count(i) = 0;
    }
    struct Sums {
        double energy = 0, value = 0;
        index_t done = 0;
    };
    std::vector<Sums> sums(tasks(n));
    const auto all_cells = [](index_t) { return true; };
    run.each(true, all_cells, [&](index_t task, index_t i, const Cell& cell, const Scratch&) {
        const Moments& m = cell.moments;
        const double psi = q.psi ? static_cast<double>(q.psi(i)) : 0.0;
        for (int k = 0; k < 2; ++k) {
            const double first = k == 0 ? m.x : m.y, mean = m.mass > 0 ? first / m.mass : 0.0;
            out.centroid(i, k) = static_cast<T>(static_cast<double>(q.sites(i, k)) + mean);
            if (out.grad_sites) out.grad_sites(i, k) = static_cast<T>(-2 * first);
        }
        out.mass(i) = static_cast<T>(m.mass);
        out.second_moment(i) = static_cast<T>(m.second);
        out.count(i) = cell.size;
        sums[task].energy += m.second;
        sums[task].value += m.second - psi * m.mass;
        ++sums[task].done;
    });
    Summary all{0, 0, 0};
    for (const Sums& s : sums) {
        all.energy += s.energy;
        all.value += s.value;
        all.done += s.done;
    }
    if (all.done < n) all.energy = all.value = nan;
    return all;
}

template <class T>
index_t polygons(const Problem<T>& q, Vector<const std::int64_t> offsets, Matrix<T> vertices,
                 Vector<std::int64_t> neighbours, const Control& control) {
    require_shapes(q);
    const index_t n = q.sites.rows;
    const auto require = [](bool ok, const char* message) {
        if (!ok) throw InvalidValue(std::string("[quantization.laguerre] ") + message);
    };
    require(offsets.size == n + 1 && offsets(0) == 0, "offsets: expected n + 1 running sums of the cells' counts");
    require(vertices.rows == offsets(n) && vertices.cols == 2 && neighbours.size == vertices.rows,
            "vertices: expected as many rows as the last offset says");
    Run<T> run(q, control, false);
    std::atomic<index_t> done{0}, wrong{0};
    const auto wanted = [&](index_t i) { return offsets(i) != offsets(i + 1); };
    run.each(false, wanted, [&](index_t, index_t i, const Cell& cell, const Scratch& scratch) {
        done.fetch_add(1, std::memory_order_relaxed);
        const index_t begin = offsets(i);
        if (begin < 0 || begin + cell.size != offsets(i + 1) || offsets(i + 1) > vertices.rows) {
            wrong.store(1, std::memory_order_relaxed);
            return;
        }
        for (int k = 0; k < cell.size; ++k) {
            const std::int64_t place = scratch.label[k];
            vertices(begin + k, 0) = static_cast<T>(static_cast<double>(q.sites(i, 0)) + scratch.x[k]);
            vertices(begin + k, 1) = static_cast<T>(static_cast<double>(q.sites(i, 1)) + scratch.y[k]);
            neighbours(begin + k) = place < 0 ? -1 : run.scene().id[place];
        }
    });
    require(wrong.load() == 0, "offsets: expected the counts of the same problem");
    return done.load();
}

#define DEBLAI_INSTANTIATE(T)                                                                                 \
    template void require_shapes(const Problem<T>&);                                                          \
    template std::size_t workspace_bytes(const Problem<T>&, int);                                             \
    template Summary cells(const Problem<T>&, const Output<T>&, const Control&);                              \
    template index_t polygons(const Problem<T>&, Vector<const std::int64_t>, Matrix<T>, Vector<std::int64_t>, \
                              const Control&);
DEBLAI_INSTANTIATE(float)
DEBLAI_INSTANTIATE(double)

}  // namespace deblai::laguerre
