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
#include "laguerre-measure.hpp"
#include "laguerre-tree.hpp"
#include "levels.hpp"

DEBLAI_DECLARE_LEVELS(laguerre::Kernels, laguerre_kernels)

namespace deblai::laguerre {
namespace {

constexpr const Kernels* table[] = DEBLAI_LEVELS(laguerre_kernels);

constexpr index_t cell_task = 128;
constexpr int first_capacity = 256;

index_t tasks(index_t n) { return (n + cell_task - 1) / cell_task; }

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
        measure_.emplace(q, scene_, integrate);
        scene_.pixels.periodic = scene_.periodic = q.periodic;
        scene_.weighted = static_cast<bool>(q.psi);
        scene_.pixels.lower_x = q.lower[0];
        scene_.pixels.lower_y = q.lower[1];
        set_known(q.known);
        tree_.emplace(q, scene_, team_);
        for (int worker = 0; worker < team_.size(); ++worker)
            scratch_.emplace_back(std::max(first_capacity, (scene_.corners / 64 + 2) * 64), worker);
    }

    const Scene& scene() const { return scene_; }
    Team& team() { return team_; }

    // Calls use(task, place, cell, scratch) for every cell that is wanted(site), in tasks of the tree's order.
    template <class Wanted, class Use>
    void each(bool integrate, const Wanted& wanted, const Use& use) {
        const bool other = other_density(scene_);
        team_.run(tasks(scene_.size), [&](index_t task, int worker) {
            const index_t end = std::min(scene_.size, (task + 1) * cell_task);
            for (index_t i = task * cell_task; i < end; ++i) {
                if (!wanted(static_cast<index_t>(scene_.id[i]))) continue;
                Cell cell;
                Status status;
                while ((status = kernel_.cell(scene_, i, integrate && !other, scratch_[worker].view, team_.stop(),
                                              worker, cell)) == Status::grow)
                    scratch_[worker] = Memory(4 * scratch_[worker].view.capacity, worker);
                if (status == Status::stopped) return;
                if (integrate && other) cell.moments = moments_over(scene_, i, cell.size, scratch_[worker].view);
                use(task, i, cell, scratch_[worker].view);
            }
        });
    }

private:
    struct Memory {
        Buffer buffer;
        Scratch view;

        Memory(int capacity, int worker) : buffer(allocate(Scratch::bytes(capacity))) {
            Near* const near = new (buffer.get()) Near;
            double* const p = reinterpret_cast<double*>(near + 1);
            view = {near,
                    p,
                    p + capacity,
                    p + 2 * capacity,
                    reinterpret_cast<std::int64_t*>(p + 3 * capacity),
                    p + 4 * capacity,
                    capacity,
                    worker};
        }
    };

    void set_known(const Known& known) {
        if (!known.begin) return;
        const index_t n = q_.sites.rows, total = known.across.size;
        bool ok = known.begin.size == n + 1 && known.begin(0) == 0 && known.begin(n) <= total &&
                  known.begin.stride == 1 && (total == 0 || known.across.stride == 1);
        for (index_t i = 0; ok && i < n; ++i) ok = known.begin(i) <= known.begin(i + 1);
        for (index_t k = 0; ok && k < total; ++k) ok = known.across(k) >= 0 && known.across(k) < n;
        if (!ok) throw InvalidValue("[quantization.laguerre] known: expected n + 1 sums and sites that they count");
        scene_.known_begin = known.begin.data;
        scene_.known = known.across.data;
    }

    const Problem<T>& q_;
    const Kernels& kernel_;
    Team team_;
    Scene scene_{};
    std::optional<Measure> measure_;
    std::optional<Tree> tree_;
    std::vector<Memory> scratch_;
};

}  // namespace
}  // namespace deblai::laguerre
