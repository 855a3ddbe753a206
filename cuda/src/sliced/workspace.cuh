// What one call of sliced.wasserstein keeps on the device, and how many directions it takes at a time.
#pragma once

#include <algorithm>

#include "masses.cuh"
#include "sort.cuh"
#include "validate.cuh"
#include "walk.cuh"

namespace deblai::cuda::sliced {

using deblai::sliced::Output;
using deblai::sliced::Problem;

// What has to be computed for one of the two clouds.
template <class T>
struct Side {
    Matrix<const T> points;
    Vector<const T> weights;
    Matrix<T> grad;
    Vector<T> grad_weights;

    index_t size() const { return points.rows; }
    bool ranked() const { return weights || grad || grad_weights; }
};

template <class T>
struct Task {
    Side<T> x, y;

    Task(const Problem<T>& q, const Output<T>& out)
        : x{q.x, q.a, out.grad_x, out.grad_a}, y{q.y, q.b, out.grad_y, out.grad_b} {}
    bool weighted() const { return x.weights || y.weights; }
    bool matched() const { return !weighted() && x.size() == y.size() && !x.grad_weights && !y.grad_weights; }
    index_t blocks() const { return tiles(matched() ? x.size() : x.size() + y.size() - 1); }
};

// Arrays of one cloud; those of a chunk have a row a direction. Null where they are not needed.
struct CloudArrays {
    integer_mass* mass;  // one row for all
    double* cumulative;  // one row for all where the weights of this cloud are equal
    double* step;
    Edge* edge;
};

template <class T>
struct Workspace {
    T* key[2];  // rows of x, then rows of y
    std::uint32_t* index[2];
    CloudArrays x, y;
    double *cost, *parts, *means;
    void *offsets, *sorting;  // offsets: of doubles or of integer masses
    integer_mass* row_sums;
    Findings* findings;
    std::size_t sort_bytes;
    index_t chunk;

    // Lays out the arrays for `chunk` of `directions` directions.
    Workspace(Arena& arena, const Call& call, const Task<T>& task, index_t chunk, index_t directions) : chunk(chunk) {
        const index_t n = task.x.size(), m = task.y.size(), longest = std::max(n, m);
        const bool ranked = task.x.ranked() || task.y.ranked();
        for (int half = 0; half < 2; ++half) {
            key[half] = arena.take<T>(chunk * (n + m));
            index[half] = ranked ? arena.take<std::uint32_t>(chunk * (n + m)) : nullptr;
        }
        const auto arrays = [&](const Side<T>& s) {
            CloudArrays c{};
            if (s.weights) c.mass = arena.take<integer_mass>(s.size());
            if (task.weighted()) c.cumulative = arena.take<double>(s.weights ? chunk * s.size() : s.size());
            if (s.grad_weights) c.step = arena.take<double>(chunk * s.size());
            if (s.grad && !task.matched()) c.edge = arena.take<Edge>(chunk * task.blocks());
            return c;
        };
        x = arrays(task.x);
        y = arrays(task.y);
        cost = arena.take<double>(directions);
        parts = arena.take<double>(std::max(chunk * task.blocks(), tiles(longest)));
        means = arena.take<double>(chunk);
        offsets = arena.take<integer_mass>(chunk * tiles(longest));
        row_sums = arena.take<integer_mass>(chunk);
        findings = arena.take<Findings>(1);
        sort_bytes = deblai::cuda::sort_bytes<T>(call, {chunk, n, m}, ranked);
        sorting = arena.take<std::byte>(std::max<std::size_t>(sort_bytes, 1));
    }

    static std::size_t bytes(const Call& call, const Task<T>& task, index_t chunk, index_t directions) {
        Arena arena(nullptr);
        Workspace(arena, call, task, chunk, directions);
        return arena.used();
    }
};

// As many directions as fit, in chunks of nearly equal size. Results do not depend on the answer.
template <class T>
index_t choose_chunk(const Call& call, const Task<T>& task, index_t directions) {
    constexpr index_t most_rows = 32767;  // rows of both clouds are one dimension of a grid
    constexpr std::size_t budget = std::size_t{1} << 30, small = std::size_t{16} << 20;
    const std::size_t one = Workspace<T>::bytes(call, task, 1, directions);
    const std::size_t next = (Workspace<T>::bytes(call, task, 65, directions) - one) / 64 + 1;
    const auto fitting = [&](std::size_t bytes) {
        const index_t fit = bytes > one ? 1 + static_cast<index_t>((bytes - one) / next) : 1;
        return std::min({fit, directions, most_rows});
    };
    index_t chunk = fitting(budget);
    const std::size_t bytes = Workspace<T>::bytes(call, task, chunk, directions);
    if (bytes > small && bytes > free_memory(call) / 4) chunk = fitting(std::max(small, free_memory(call) / 4));
    const index_t chunks = (directions + chunk - 1) / chunk;
    return (directions + chunks - 1) / chunks;
}

}  // namespace deblai::cuda::sliced
