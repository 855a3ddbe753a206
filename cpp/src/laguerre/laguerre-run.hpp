// What every pass over the cells shares: checked input in the order of the tree, the workers' scratch, and a loop.
#pragma once

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>
#include <vector>

#include "deblai/check.hpp"
#include "deblai/error.hpp"
#include "deblai/laguerre.hpp"
#include "laguerre-kernels.hpp"
#include "laguerre-tree.hpp"
#include "levels.hpp"

DEBLAI_DECLARE_LEVELS(laguerre::Kernels, laguerre_kernels)

namespace deblai::laguerre {
namespace {

constexpr const Kernels* table[] = DEBLAI_LEVELS(laguerre_kernels);

constexpr index_t cell_task = 128;
constexpr int first_capacity = 256;

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

    // Calls use(task, place, cell, scratch) for every cell that is wanted(site), in tasks of the tree's order.
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
                use(task, i, cell, scratch_[worker].view);
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
}  // namespace deblai::laguerre
