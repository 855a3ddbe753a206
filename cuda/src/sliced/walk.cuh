// Any weights and sizes: each thread walks the cells between two diagonals of the staircase (deblai/quantile.hpp), so
// all have the same work whatever the masses. A point whose cells lie in several stretches belongs to the one that
// steps into it; that one adds up what the next ones found, from left to right.
#pragma once

#include "couple.cuh"
#include "deblai/quantile.hpp"

namespace deblai::cuda {

inline constexpr int walk_diagonals = tile_items;  // of one thread; a block walks tile_size of them

// The slopes that one thread's stretch adds up: `head` of its first point, `sum` of the point it is at.
struct Run {
    index_t first, at;
    double head = 0, sum = 0;

    __device__ bool moved() const { return at != first; }
};

// Joins the runs of a block's threads and hands what is complete to write(point, slope).
template <class Write>
__device__ void join_runs(const Run& run, Edge& edge, const Write& write) {
    __shared__ double head[block_threads];
    __shared__ bool moved[block_threads];
    const int t = threadIdx.x;
    head[t] = run.moved() ? run.head : run.sum;
    moved[t] = run.moved();
    __syncthreads();
    // `sum` and what threads s, s + 1, ... add to the same point; true if the last of them steps out of it.
    const auto gather = [&](int s, double& sum) {
        for (; s < block_threads; ++s) {
            sum += head[s];
            if (moved[s]) return true;
        }
        return false;
    };
    if (t == 0) {
        double sum = 0;
        edge.moved = gather(0, sum);
        edge.head = sum;
    }
    if (run.moved()) {
        double sum = run.sum;
        if (gather(t + 1, sum)) {
            write(run.at, sum);
        } else {
            edge.tail = sum;
            edge.at = run.at;
        }
    }
    __syncthreads();
}

template <class T, class Rows>
__global__ void __launch_bounds__(block_threads)
    walk(Cloud<T> clouds_x, Cloud<T> clouds_y, Rows masses_x, Rows masses_y, typename Rows::mass_t total, PowerCost c,
         double scale, double* parts) {
    const index_t row = blockIdx.y;
    const Cloud<T> x = clouds_x.row(row), y = clouds_y.row(row);
    const auto A = masses_x(row), B = masses_y(row);
    const auto write_x = [&](index_t i, double slope) { x.slope[x.index[i]] = static_cast<T>(slope * scale); };
    const auto write_y = [&](index_t j, double slope) { y.slope[y.index[j]] = static_cast<T>(slope * scale); };
    const index_t n = x.size, m = y.size, begin = (blockIdx.x * index_t{block_threads} + threadIdx.x) * walk_diagonals;
    const double unit = 1.0 / static_cast<double>(total);
    const bool slopes = x.slope || y.slope, inside = begin <= n + m - 2;
    double cost = 0;
    Run run_x{n - 1, n - 1}, run_y{m - 1, m - 1};
    if (inside) {
        const auto from = corner(n, m, A, B, begin);
        run_x = {from.i, from.i};
        run_y = {from.j, from.j};
        double xi = x.value[from.i], yj = y.value[from.j];
        stretch(n, m, A, B, total, from, begin + walk_diagonals, [&](const auto& cell) {
            const double mass = static_cast<double>(cell.mass) * unit;
            if (slopes) {
                const PowerCost::Term term = c.term(xi - yj);
                cost += mass * term.cost;
                run_x.sum += mass * term.slope;
                run_y.sum -= mass * term.slope;
            } else {
                cost += mass * c.cost(xi - yj);
            }
            const auto leave = [](Run& run, bool wanted, const auto& write) {
                if (!run.moved())
                    run.head = run.sum;
                else if (wanted)
                    write(run.at, run.sum);
                run.sum = 0;
                ++run.at;
            };
            const double xn = cell.step_i ? static_cast<double>(x.value[cell.i + 1]) : xi;
            const double yn = cell.step_j ? static_cast<double>(y.value[cell.j + 1]) : yj;
            const bool both = cell.step_i & cell.step_j;
            if (cell.step_i) leave(run_x, x.slope, write_x);
            if (cell.step_j) leave(run_y, y.slope, write_y);
            if (cell.step_i && x.step) x.step[cell.i + 1] = potential_step(c, xi, xn, yj, yn, both);
            if (cell.step_j && y.step) y.step[cell.j + 1] = potential_step(c, yj, yn, xi, xn, both);
            xi = xn;
            yj = yn;
        });
    }
    if (x.slope) join_runs(run_x, x.edge[blockIdx.x], write_x);
    if (y.slope) join_runs(run_y, y.edge[blockIdx.x], write_y);
    cost = block_sum(cost);
    if (threadIdx.x == 0) parts[row * gridDim.x + blockIdx.x] = cost;
}

// The slopes of points whose cells lie in several blocks: block b >= 0 owns the point it ends at if it stepped into
// it, and b = -1 the first point of the row. Grid (anything covering blocks + 1 threads, rows).
template <class T>
__global__ void __launch_bounds__(block_threads) join_blocks(Cloud<T> clouds, index_t blocks, double scale) {
    const index_t row = blockIdx.y, b = blockIdx.x * index_t{block_threads} + threadIdx.x - 1;
    const Edge* const edge = clouds.edge + row * blocks;
    if (b >= blocks || (b >= 0 && !edge[b].moved)) return;
    double sum = b < 0 ? 0.0 : edge[b].tail;
    for (index_t k = b + 1; k < blocks; ++k) {
        sum += edge[k].head;
        if (edge[k].moved) break;
    }
    const index_t at = row * clouds.size + (b < 0 ? 0 : edge[b].at);
    clouds.slope[row * clouds.size + clouds.index[at]] = static_cast<T>(sum * scale);
}

}  // namespace deblai::cuda
