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
        std::vector<Point3> ring;
    };

    const Scene& scene() const { return scene_; }

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

private:
    const Kernels& kernel_;
    Team team_;
    Scene scene_{};
    std::optional<Tree> tree_;
    std::vector<Worker> workers_;
};

}  // namespace
}  // namespace deblai::laguerre3
