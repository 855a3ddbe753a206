// Sliced Wasserstein: a chunk of directions goes through project, sort, masses, couple, gradients; see the .cuh files.
#include "deblai/cuda/sliced.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "potential.cuh"
#include "product.cuh"
#include "workspace.cuh"

namespace deblai::cuda::sliced {

using deblai::sliced::Estimate;

namespace {

dim3 point_grid(index_t n) { return dim3(static_cast<unsigned>((n + block_threads - 1) / block_threads)); }

// One cloud of a chunk after its sort; a row a direction.
template <class T>
struct Sorted {
    const T* value;
    const std::uint32_t* index;
    T* home;  // free, for what is in the order of the points
};

template <class T>
class Sweep {
public:
    Sweep(const Call& call, const Task<T>& task, const Workspace<T>& w, const Problem<T>& q)
        : call_(call),
          task_(task),
          w_(w),
          directions_(q.directions),
          cost_{q.p},
          scale_(1.0 / static_cast<double>(q.directions.rows)),
          totals_(require_entries(call, q, w.findings, w.parts)) {
        prepare(task.x, w.x, totals_.a);
        prepare(task.y, w.y, totals_.b);
    }

    void chunk(index_t first, index_t count) const {
        const index_t n = task_.x.size(), m = task_.y.size();
        const T* const row = &directions_(first, 0);
        const Matrix<const T> theta{row, count, directions_.cols, directions_.row_stride, directions_.col_stride};
        launch_product<T, false>(call_, "project", theta, task_.x.points, Matrix<T>{w_.key[0], count, n, n, 1});
        launch_product<T, false>(call_, "project", theta, task_.y.points,
                                 Matrix<T>{w_.key[0] + count * n, count, m, m, 1});
        Sorted<T> x, y;
        if (task_.x.ranked() == task_.y.ranked()) {
            x = sort({count, n, m}, task_.x.ranked(), 0);
            y = {x.value + count * n, x.index ? x.index + count * n : nullptr, x.home + count * n};
        } else {
            x = sort({count, n, 0}, task_.x.ranked(), 0);
            y = sort({count, m, 0}, task_.y.ranked(), count * n);
        }
        const Cloud<T> cloud_x = cloud(task_.x, w_.x, x), cloud_y = cloud(task_.y, w_.y, y);
        double* const cost = w_.cost + first;
        if (task_.matched()) {
            couple_matched(cloud_x, cloud_y, count, cost);
        } else if (task_.weighted()) {
            const WeightedRows A = masses(task_.x, w_.x, x.index, count), B = masses(task_.y, w_.y, y.index, count);
            couple(cloud_x, cloud_y, A, B, 1.0, count, cost);
            finish(task_.x, w_.x, x, A, 1.0, totals_.a, theta);
            finish(task_.y, w_.y, y, B, 1.0, totals_.b, theta);
            return;
        } else {
            couple(cloud_x, cloud_y, UniformRows{m}, UniformRows{n}, n * m, count, cost);
        }
        finish(task_.x, w_.x, x, UniformRows{m}, n * m, totals_.a, theta);
        finish(task_.y, w_.y, y, UniformRows{n}, n * m, totals_.b, theta);
    }

private:
    // What does not depend on directions.
    void prepare(const Side<T>& side, const CloudArrays& c, double total) const {
        const index_t n = side.size();
        if (c.mass)
            call_.launch("integer_masses", integer_masses<T>, point_grid(n), block_threads, side.weights,
                         mass_exponent(total), c.mass);
        else if (c.cumulative)
            call_.launch("equal_masses", equal_masses, point_grid(n), block_threads, n, c.cumulative);
    }

    // Sorts the rows that begin at `offset` of the first half.
    Sorted<T> sort(const Segments& rows, bool ranked, index_t offset) const {
        SortBuffers<T> buffers{{w_.key[0] + offset, w_.key[1] + offset}, {nullptr, nullptr}, ranked};
        if (ranked)
            for (int half = 0; half < 2; ++half) buffers.index[half] = w_.index[half] + offset;
        const int half = deblai::cuda::sort(call_, rows, buffers, w_.sorting, w_.sort_bytes);
        return {buffers.key[half], buffers.index[half], buffers.key[1 - half]};
    }

    Cloud<T> cloud(const Side<T>& side, const CloudArrays& c, const Sorted<T>& s) const {
        return {side.size(), s.value, s.index, side.grad ? s.home : nullptr, c.step, c.edge};
    }

    // Cumulative masses in sorted order.
    WeightedRows masses(const Side<T>& side, const CloudArrays& c, const std::uint32_t* index, index_t count) const {
        const index_t n = side.size();
        if (!side.weights) return {c.cumulative, 0};
        auto* const offsets = static_cast<integer_mass*>(w_.offsets);
        call_.launch("scan_tiles", scan_tiles<integer_mass, SortedMass>, tile_grid(n, count), block_threads, n,
                     SortedMass{c.mass, index, n}, reinterpret_cast<integer_mass*>(c.cumulative), offsets);
        call_.launch("scan_totals", scan_totals<integer_mass>, dim3(static_cast<unsigned>(count)), block_threads,
                     tiles(n), offsets, w_.row_sums);
        call_.launch("divide_masses", divide_masses, tile_grid(n, count), block_threads, n, offsets, w_.row_sums,
                     c.cumulative);
        return {c.cumulative, n};
    }

    void add_up(index_t parts, double divisor, index_t count, double* sums) const {
        call_.launch("sum_rows", sum_rows<double>, dim3(static_cast<unsigned>(count)), block_threads, w_.parts, parts,
                     divisor, sums);
    }

    void couple_matched(const Cloud<T>& x, const Cloud<T>& y, index_t count, double* cost) const {
        const double n = static_cast<double>(x.size);
        call_.launch("match", match<T>, tile_grid(x.size, count), block_threads, x, y, cost_, scale_ / n, w_.parts);
        add_up(tiles(x.size), n, count, cost);
    }

    template <class Rows>
    void couple(const Cloud<T>& x, const Cloud<T>& y, Rows A, Rows B, typename Rows::mass_t total, index_t count,
                double* cost) const {
        const index_t blocks = task_.blocks();
        const dim3 grid(static_cast<unsigned>(blocks), static_cast<unsigned>(count));
        call_.launch("walk", walk<T, Rows>, grid, block_threads, x, y, A, B, total, cost_, scale_, w_.parts);
        add_up(blocks, 1.0, count, cost);
        const dim3 owners(static_cast<unsigned>(blocks / block_threads + 1), static_cast<unsigned>(count));
        for (const Cloud<T>& c : {x, y})
            if (c.slope) call_.launch("join_blocks", join_blocks<T>, owners, block_threads, c, blocks, scale_);
    }

    // Gradients of one cloud: slopes first, then potentials in the same rows.
    template <class Rows>
    void finish(const Side<T>& side, const CloudArrays& c, const Sorted<T>& s, Rows A, typename Rows::mass_t total,
                double total_weight, Matrix<const T> theta) const {
        const index_t n = side.size(), count = theta.rows;
        if (side.grad) {
            const Matrix<T>& g = side.grad;
            launch_product<T, true>(
                call_, "spread", Matrix<const T>{theta.data, theta.cols, count, theta.col_stride, theta.row_stride},
                Matrix<const T>{s.home, n, count, 1, n}, Matrix<T>{g.data, g.cols, n, g.col_stride, g.row_stride});
        }
        if (!side.grad_weights) return;
        auto* const offsets = static_cast<double*>(w_.offsets);
        call_.launch("scan_tiles", scan_tiles<double, PotentialStep>, tile_grid(n, count), block_threads, n,
                     PotentialStep{c.step, n}, c.step, offsets);
        call_.launch("scan_totals", scan_totals<double>, dim3(static_cast<unsigned>(count)), block_threads, tiles(n),
                     offsets, static_cast<double*>(nullptr));
        call_.launch("weigh_potentials", weigh_potentials<Rows>, tile_grid(n, count), block_threads, n, A, total,
                     c.step, offsets, w_.parts);
        add_up(tiles(n), 1.0, count, w_.means);
        call_.launch("centre_potentials", centre_potentials<T>, tile_grid(n, count), block_threads, n, s.index, c.step,
                     offsets, w_.means, scale_ / total_weight, s.home);
        call_.launch("add_potentials", add_potentials<T>, point_grid(n), block_threads, s.home, count,
                     side.grad_weights);
    }

    const Call& call_;
    const Task<T>& task_;
    const Workspace<T>& w_;
    Matrix<const T> directions_;
    PowerCost cost_;
    double scale_;
    Totals totals_;
};

}  // namespace

template <class T>
Estimate wasserstein(const Problem<T>& q, const Output<T>& out, void* stream, int device, bool (*poll)(void*),
                     void* context) {
    deblai::sliced::require_shapes(q);
    const Call call("sliced.wasserstein", stream, device);
    const Task<T> task(q, out);
    const index_t L = q.directions.rows, chunk = choose_chunk(call, task, L);
    const Memory memory(call, Workspace<T>::bytes(call, task, chunk, L));
    Arena arena(memory.data());
    const Workspace<T> workspace(arena, call, task, chunk, L);
    const Sweep<T> sweep(call, task, workspace, q);
    index_t done = 0;
    while (done < L) {
        if (done > 0 && poll) {
            call.wait();
            if (poll(context)) break;
        }
        const index_t count = std::min(chunk, L - done);
        sweep.chunk(done, count);
        done += count;
    }
    call.check(cudaMemcpyAsync(out.cost, workspace.cost, static_cast<std::size_t>(done) * sizeof(double),
                               cudaMemcpyDeviceToHost, call.stream()),
               "cudaMemcpyAsync");
    call.wait();
    for (index_t l = 0; l < done; ++l)
        if (std::isnan(out.cost[l])) out.cost[l] = std::numeric_limits<double>::infinity();  // overflow
    std::fill(out.cost + done, out.cost + L, std::numeric_limits<double>::quiet_NaN());      // not done
    return deblai::sliced::estimate(out.cost, L);
}

template Estimate wasserstein(const Problem<float>&, const Output<float>&, void*, int, bool (*)(void*), void*);
template Estimate wasserstein(const Problem<double>&, const Output<double>&, void*, int, bool (*)(void*), void*);

}  // namespace deblai::cuda::sliced
