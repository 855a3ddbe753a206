#include "deblai/laguerre3.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "deblai/check.hpp"
#include "deblai/error.hpp"
#include "laguerre3-kernels.hpp"
#include "laguerre3-shape.hpp"
#include "laguerre3-tree.hpp"
#include "levels.hpp"

DEBLAI_DECLARE_LEVELS(laguerre3::Kernels, laguerre3_kernels)

namespace deblai::laguerre3 {
namespace {

constexpr const Kernels* table[] = DEBLAI_LEVELS(laguerre3_kernels);

constexpr index_t cell_task = 64;
constexpr int first_capacity = 256;
constexpr double nan = std::numeric_limits<double>::quiet_NaN();

index_t tasks(index_t n) { return (n + cell_task - 1) / cell_task; }

void require(bool ok, const char* message) {
    if (!ok) throw InvalidValue(std::string("[quantization.laguerre] ") + message);
}

// Squares of what is larger overflow.
template <class T>
void require_entries(const char* argument, Matrix<const T> v, double most, Team& team) {
    require_finite((std::string("[quantization.laguerre] ") + argument).c_str(), v, team);
    for (index_t i = 0; i < v.rows; ++i)
        for (index_t k = 0; k < v.cols; ++k)
            if (!(std::abs(static_cast<double>(v(i, k))) < most))
                throw laguerre::bad_entry(argument, most, v(i, k), i, k);
}

// Checked input in the order of the tree, and the workers' scratch, which grows with the largest cell.
template <class T>
class Run {
public:
    Run(const Problem<T>& q, const Control& control)
        : kernel_(pick(table, control.simd)), team_(control, 4000.0 * static_cast<double>(q.sites.rows)) {
        require_entries("sites", q.sites, laguerre::most_site, team_);
        require_entries("psi", Matrix<const T>{q.psi.data, q.psi.size, 1, q.psi.stride, 1}, laguerre::most_psi, team_);
        scene_.periodic = q.periodic;
        scene_.weighted = static_cast<bool>(q.psi);
        scene_.density = 1;
        for (int k = 0; k < 3; ++k) {
            scene_.lower[k] = q.lower[k];
            scene_.upper[k] = q.upper[k];
            scene_.density /= q.upper[k] - q.lower[k];
        }
        tree_.emplace(q, scene_, team_);
        workers_.resize(team_.size());
        for (Worker& w : workers_) w.memory.emplace(first_capacity);
    }

    struct Memory {
        Buffer buffer;
        Scratch view{};

        explicit Memory(int capacity) : buffer(allocate(Scratch::bytes(capacity))) {
            std::byte* at = buffer.get();
            view.near = new (at) Near;
            at += sizeof(Near);
            view.capacity = capacity;
            view.lay_out([&](auto*& p, std::size_t n) {
                p = reinterpret_cast<std::remove_reference_t<decltype(p)>>(at);
                at += (sizeof(*p) * n + 63) / 64 * 64;
            });
        }
    };
    struct Worker {
        std::optional<Memory> memory;
        Polytope polytope;
    };

    const Scene& scene() const { return scene_; }

    // Calls use(task, site, cell, worker) for every cell that is wanted(site), in tasks of the tree's order.
    template <class Wanted, class Use>
    void each(const Wanted& wanted, const Use& use) {
        team_.run(tasks(scene_.size), [&](index_t task, int number) {
            Worker& worker = workers_[number];
            const index_t end = std::min(scene_.size, (task + 1) * cell_task);
            for (index_t i = task * cell_task; i < end; ++i) {
                const index_t site = scene_.id[i];
                if (!wanted(site)) continue;
                Cell cell;
                Status status;
                while ((status = kernel_.cell(scene_, i, worker.memory->view, team_.stop(), number, cell)) ==
                       Status::grow)
                    worker.memory.emplace(4 * worker.memory->view.capacity);
                if (status == Status::stopped) return;
                use(task, site, cell, worker);
            }
        });
    }

private:
    const Kernels& kernel_;
    Team team_;
    Scene scene_{};
    std::optional<Tree> tree_;
    std::vector<Worker> workers_;
};

}  // namespace

template <class T>
void require_shapes(const Problem<T>& q) {
    require(q.sites.rows > 0 && q.sites.cols == 3, "sites: expected shape (n, 3), n >= 1");
    require(q.sites.rows < (index_t{1} << 31) - 64, "sites: expected fewer than 2^31 sites");
    require(!q.psi || q.psi.size == q.sites.rows, "psi: expected one value per site");
    for (int k = 0; k < 3; ++k)
        require(q.upper[k] - q.lower[k] > 1e-100 && q.upper[k] - q.lower[k] < 1e100 && std::abs(q.lower[k]) < 1e100,
                "measure: expected a box with sides and corners between 1e-100 and 1e100");
}

template <class T>
std::size_t workspace_bytes(const Problem<T>& q, int threads) {
    const std::size_t count = threads > 0 ? threads : hardware_threads();
    return Tree::bytes(q.sites.rows) + 3 * sizeof(double) * tasks(q.sites.rows) +
           (Scratch::bytes(first_capacity) + 16384) * count + 4096;
}

template <class T>
Summary cells(const Problem<T>& q, const Output<T>& out, const Control& control) {
    require_shapes(q);
    Run<T> run(q, control);
    const index_t n = q.sites.rows;
    for (index_t i = 0; i < n; ++i)
        for (int k = 0; k < 3; ++k) {
            out.mass(i) = out.centroid(i, k) = out.second_moment(i) = static_cast<T>(nan);
            out.counts(i, k) = 0;
        }
    struct Sums {
        double energy = 0, value = 0;
        index_t done = 0;
    };
    std::vector<Sums> sums(tasks(n));
    const double density = run.scene().density;
    const auto all_cells = [](index_t) { return true; };
    run.each(all_cells, [&](index_t task, index_t i, const Cell& cell, auto& worker) {
        const Moments3& m = cell.moments;
        const double psi = q.psi ? static_cast<double>(q.psi(i)) : 0.0;
        for (int k = 0; k < 3; ++k) {
            const double mean = m.mass > 0 ? m.first[k] / m.mass : 0.0;
            out.centroid(i, k) = static_cast<T>(static_cast<double>(q.sites(i, k)) + mean);
            if (out.grad_sites) out.grad_sites(i, k) = static_cast<T>(-2 * density * m.first[k]);
        }
        out.mass(i) = static_cast<T>(density * m.mass);
        out.second_moment(i) = static_cast<T>(density * m.second);
        out.counts(i, 0) = cell.size;
        out.counts(i, 1) = cell.size > 0 ? cell.size / 2 + 2 : 0;  // Euler, three edges at a vertex
        out.counts(i, 2) = 3 * cell.size;
        if (cell.touching) {
            Polytope& p = worker.polytope;
            p.read(worker.memory->view, cell);
            out.counts(i, 0) = p.vertices();
            out.counts(i, 1) = static_cast<std::int64_t>(p.facets().size());
            out.counts(i, 2) = static_cast<std::int64_t>(p.corners().size());
        }
        sums[task].energy += density * m.second;
        sums[task].value += density * (m.second - psi * m.mass);
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
index_t polyhedra(const Problem<T>& q, const Polyhedra<T>& out, const Control& control) {
    require_shapes(q);
    const index_t n = q.sites.rows;
    const auto& begin = out.offsets;
    require(begin.rows == n + 1 && begin.cols == 3, "offsets: expected shape (n + 1, 3)");
    for (int k = 0; k < 3; ++k) {
        require(begin(0, k) == 0, "offsets: expected running sums of the cells' counts");
        for (index_t i = 0; i < n; ++i)
            require(begin(i, k) <= begin(i + 1, k), "offsets: expected running sums of the cells' counts");
    }
    require(out.vertices.rows == begin(n, 0) && out.vertices.cols == 3 && out.neighbours.size == begin(n, 1) &&
                out.areas.size == begin(n, 1) && out.facet_offsets.size == begin(n, 1) + 1 &&
                out.corners.size == begin(n, 2),
            "vertices: expected as many rows as the last offset says");
    Run<T> run(q, control);
    std::atomic<index_t> done{0}, wrong{0};
    out.facet_offsets(0) = 0;
    const auto wanted = [&](index_t i) { return begin(i, 0) != begin(i + 1, 0); };
    run.each(wanted, [&](index_t, index_t i, const Cell& cell, auto& worker) {
        done.fetch_add(1, std::memory_order_relaxed);
        const Scratch& m = worker.memory->view;
        Polytope& p = worker.polytope;
        if (cell.size > 0) p.read(m, cell);
        const auto fits = [&](int k, std::size_t size) {
            return begin(i, k) + static_cast<index_t>(size) == begin(i + 1, k);
        };
        if (cell.size == 0 || !fits(0, p.vertices()) || !fits(1, p.facets().size()) || !fits(2, p.corners().size())) {
            wrong.store(1, std::memory_order_relaxed);
            return;
        }
        for (int v = 0; v < cell.size; ++v) {
            if (!p.leads(v)) continue;
            const double at[3] = {m.x[v], m.y[v], m.z[v]};
            for (int k = 0; k < 3; ++k)
                out.vertices(begin(i, 0) + p.number(v), k) = static_cast<T>(static_cast<double>(q.sites(i, k)) + at[k]);
        }
        for (std::size_t f = 0; f < p.facets().size(); ++f) {
            const Polytope::Facet& facet = p.facets()[f];
            const index_t row = begin(i, 1) + static_cast<index_t>(f);
            const std::size_t end = f + 1 < p.facets().size() ? p.facets()[f + 1].begin : p.corners().size();
            out.neighbours(row) = facet.label < 0 ? -1 : run.scene().id[facet.label];
            out.areas(row) = static_cast<T>(facet.area);
            out.facet_offsets(row + 1) = begin(i, 2) + static_cast<index_t>(end);
        }
        for (std::size_t c = 0; c < p.corners().size(); ++c)
            out.corners(begin(i, 2) + static_cast<index_t>(c)) = begin(i, 0) + p.number(p.corners()[c]);
    });
    require(wrong.load() == 0, "offsets: expected the counts of the same problem");
    return done.load();
}

#define DEBLAI_INSTANTIATE(T)                                                    \
    template void require_shapes(const Problem<T>&);                             \
    template std::size_t workspace_bytes(const Problem<T>&, int);                \
    template Summary cells(const Problem<T>&, const Output<T>&, const Control&); \
    template index_t polyhedra(const Problem<T>&, const Polyhedra<T>&, const Control&);
DEBLAI_INSTANTIATE(float)
DEBLAI_INSTANTIATE(double)

}  // namespace deblai::laguerre3
