// What every pass over the cells of space shares: checked input in the order of the tree, the workers' scratch, and a
// loop.
#pragma once

#include <cmath>
#include <optional>
#include <string>
#include <vector>

#include "deblai/check.hpp"
#include "deblai/facet3.hpp"
#include "deblai/laguerre3.hpp"
#include "laguerre3-kernels.hpp"
#include "laguerre3-shape.hpp"
#include "laguerre3-tree.hpp"
#include "levels.hpp"
#include "voxel-columns.hpp"

DEBLAI_DECLARE_LEVELS(laguerre3::Kernels, laguerre3_kernels)

namespace deblai::laguerre3 {
namespace {

constexpr const Kernels* table[] = DEBLAI_LEVELS(laguerre3_kernels);

constexpr index_t cell_task = 64;
constexpr int first_capacity = 256;

inline index_t tasks(index_t n) { return (n + cell_task - 1) / cell_task; }

inline void require(bool ok, const char* message) {
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

// Voxels as mass a unit of volume, rows of constant (y, z); the whole has mass 1.
template <class T>
Buffer normalised(const Problem<T>& q, Voxels& voxels, Team& team) {
    const Volume<const T>& v = q.density;
    const index_t nx = v.size[0], ny = v.size[1], nz = v.size[2];
    Buffer buffer = allocate(sizeof(double) * nx * ny * nz);
    double* const out = reinterpret_cast<double*>(buffer.get());
    double unit = 1;
    for (int a = 0; a < 3; ++a) {
        voxels.count[a] = v.size[a];
        voxels.lower[a] = q.lower[a];
        voxels.step[a] = (q.upper[a] - q.lower[a]) / static_cast<double>(v.size[a]);
        unit *= voxels.step[a];
    }
    voxels.periodic = q.periodic;
    std::vector<double> sum(nx);
    std::vector<index_t> bad(nx, -1);
    team.run(nx, [&](index_t i, int) {
        for (index_t j = 0; j < ny; ++j)
            for (index_t k = 0; k < nz; ++k) {
                const double value = static_cast<double>(v(i, j, k));
                if (!(value >= 0 && value - value == 0) && bad[i] < 0) bad[i] = j * nz + k;
                sum[i] += value;
            }
    });
    double total = 0;
    for (index_t i = 0; i < nx; ++i) {
        if (bad[i] >= 0) throw bad_voxel(v(i, bad[i] / nz, bad[i] % nz), i, bad[i] / nz, bad[i] % nz);
        total += sum[i];
    }
    if (!team.stopped() && !(total > 0 && std::isfinite(total))) throw laguerre::bad_mass(total);
    unit *= total;
    constexpr index_t tile = 16;
    team.run(ny, [&](index_t j, int) {
        for (index_t k = 0; k < nz; k += tile)
            for (index_t i = 0; i < nx; ++i)
                for (index_t l = k; l < std::min(nz, k + tile); ++l)
                    out[(l * ny + j) * nx + i] = static_cast<double>(v(i, j, l)) / unit;
    });
    voxels.density = out;
    return buffer;
}

// Checked input in the order of the tree, and the workers' scratch, which grows with the largest cell.
template <class T>
class Run {
public:
    Run(const Problem<T>& q, const Control& control, bool integrate)
        : kernel_(pick(table, control.simd)), team_(control, 4000.0 * static_cast<double>(q.sites.rows)) {
        require_entries("sites", q.sites, laguerre::most_site, team_);
        require_entries("psi", Matrix<const T>{q.psi.data, q.psi.size, 1, q.psi.stride, 1}, laguerre::most_psi, team_);
        scene_.periodic = q.periodic;
        scene_.weighted = static_cast<bool>(q.psi);
        scene_.density = 1 / volume(q);
        for (int k = 0; k < 3; ++k) {
            scene_.lower[k] = q.lower[k];
            scene_.upper[k] = q.upper[k];
        }
        confine(q.planes);
        if (q.density && integrate) density_ = normalised(q, voxels_, team_);
        tree_.emplace(q, scene_, team_);
        workers_.resize(team_.size());
        for (int k = 0; k < workers(); ++k) workers_[k].number = k, workers_[k].memory.emplace(first_capacity);
    }

    void confine(const Matrix<const double>& planes) {
        for (index_t m = 0; m < planes.rows; ++m)
            sides_.push_back({{planes(m, 0), planes(m, 1), planes(m, 2)}, planes(m, 3)});
        scene_.side = sides_.data();
        scene_.sides = static_cast<int>(sides_.size());
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
        std::vector<Point3> ring;
        VoxelColumns columns;
        int number = 0;
    };

    const Scene& scene() const { return scene_; }
    const Voxels& voxels() const { return voxels_; }
    int workers() const { return static_cast<int>(workers_.size()); }

    // Calls use(task, place, cell, worker) for every cell that is wanted(site), in tasks of the tree's order.
    template <class Wanted, class Use>
    void each(const Wanted& wanted, const Use& use) {
        team_.run(tasks(scene_.size), [&](index_t task, int number) {
            Worker& worker = workers_[number];
            const index_t end = std::min(scene_.size, (task + 1) * cell_task);
            for (index_t i = task * cell_task; i < end; ++i) {
                if (!wanted(static_cast<index_t>(scene_.id[i]))) continue;
                Cell cell;
                Status status;
                while ((status = kernel_.cell(scene_, i, worker.memory->view, team_.stop(), number, cell)) ==
                       Status::grow)
                    worker.memory.emplace(4 * worker.memory->view.capacity);
                if (status == Status::stopped) return;
                use(task, i, cell, worker);
            }
        });
    }

    // Moments of the measure over a cell with vertices; reads the worker's polytope unless a voxel holds the cell.
    Moments3 integral(index_t place, const Cell& cell, Worker& worker) const {
        double density = scene_.density;
        if (voxels_.density) {
            const Scratch& m = worker.memory->view;
            const Leaf& leaf = scene_.leaf[place / lanes];
            const Point3 origin{m.x[0], m.y[0], m.z[0]};
            const index_t k = place % lanes;
            worker.columns.start(voxels_, Point3{leaf.at[0][k], leaf.at[1][k], leaf.at[2][k]} + origin);
            if (!worker.columns.parts.grid.one_voxel(m.x, m.y, m.z, cell.size, density)) {
                worker.polytope.read(m, cell);
                for (std::size_t f = 0; f < worker.polytope.facets().size(); ++f) {
                    corners(worker, f);
                    for (Point3& p : worker.ring) p = p - origin;
                    worker.columns.add(worker.ring.data(), static_cast<int>(worker.ring.size()));
                }
                return shifted(worker.columns.moments(), origin);
            }
        }
        const Moments3& m = cell.moments;
        return {
            density * m.mass, {density * m.first[0], density * m.first[1], density * m.first[2]}, density * m.second};
    }

    // Integrals over a facet of the worker's polytope, whose corners are in its ring.
    FacetMoments3 integral(index_t place, Point3 normal, Worker& worker) const {
        const Point3* const p = worker.ring.data();
        const int size = static_cast<int>(worker.ring.size());
        FacetMoments3 sum;
        if (voxels_.density) {
            const Leaf& leaf = scene_.leaf[place / lanes];
            const index_t k = place % lanes;
            worker.columns.start(voxels_, {leaf.at[0][k], leaf.at[1][k], leaf.at[2][k]});
            worker.columns.parts.on(p, size, normal, sum);
            return sum;
        }
        sum.add(p, size, normal, scene_.density);
        return sum;
    }

    // Reads the corners of a facet of the worker's polytope, relative to the site.
    static void corners(Worker& worker, std::size_t facet) {
        const Scratch& m = worker.memory->view;
        worker.ring.clear();
        for (std::size_t c = worker.polytope.facets()[facet].begin; c < worker.polytope.end(facet); ++c) {
            const int v = worker.polytope.corners()[c];
            worker.ring.push_back({m.x[v], m.y[v], m.z[v]});
        }
    }

private:
    const Kernels& kernel_;
    Team team_;
    Scene scene_{};
    std::vector<Side> sides_;
    Voxels voxels_;
    Buffer density_;
    std::optional<Tree> tree_;
    std::vector<Worker> workers_;
};

}  // namespace
}  // namespace deblai::laguerre3
