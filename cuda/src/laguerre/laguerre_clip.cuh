// The kernels over cells, and where their results go.
#pragma once

#include <limits>

#include "laguerre_cell.cuh"
#include "laguerre_tree.cuh"

namespace deblai::cuda::laguerre {

using deblai::laguerre::Output;

template <class T>
using Sites = Points<T, 2>;
using Findings = Found<2>;

constexpr int small_room = 16;  // vertices that a thread keeps to itself
constexpr double nan = std::numeric_limits<double>::quiet_NaN();

// What becomes of a cell: numbers, or its polygon.
template <class T>
struct Sink {
    Sites<T> q;
    Output<T> out;
    double *energy, *value;  // of each place; null: polygons are wanted
    Vector<const std::int64_t> offsets;
    Matrix<T> vertices;
    Vector<std::int64_t> neighbours;

    __device__ bool wanted(index_t i) const { return energy || offsets(i) != offsets(i + 1); }

    __device__ State put(const Scene& scene, index_t place, const Cell& cell, const Room& room) const {
        const index_t i = scene.id[place];
        const Polygon<std::int32_t>& p = cell.polygon();
        const double site[2] = {static_cast<double>(q.sites(i, 0)), static_cast<double>(q.sites(i, 1))};
        if (!energy) {
            if (p.size != offsets(i + 1) - offsets(i) || offsets(i) < 0 || offsets(i + 1) > vertices.rows)
                return State::missing;
            for (int k = 0; k < p.size; ++k) {
                const index_t at = offsets(i) + k;
                vertices(at, 0) = static_cast<T>(site[0] + p.x[k]);
                vertices(at, 1) = static_cast<T>(site[1] + p.y[k]);
                neighbours(at) = p.label[k] < 0 ? -1 : scene.id[owner(scene, p.label[k])];
            }
            return State::done;
        }
        const PixelScratch rings{room.rings, room.capacity + PixelScratch::slack};
        const Moments m = PixelIntegral(scene.pixels, cell.x(), cell.y(), rings).over(p.x, p.y, p.size);
        const double first[2] = {m.x, m.y}, psi = q.psi ? static_cast<double>(q.psi(i)) : 0.0;
        for (int k = 0; k < 2; ++k) {
            out.centroid(i, k) = static_cast<T>(site[k] + (m.mass > 0 ? first[k] / m.mass : 0.0));
            if (out.grad_sites) out.grad_sites(i, k) = static_cast<T>(-2 * first[k]);
        }
        out.mass(i) = static_cast<T>(m.mass);
        out.second_moment(i) = static_cast<T>(m.second);
        out.count(i) = p.size;
        energy[place] = m.second;
        value[place] = m.second - psi * m.mass;
        return State::done;
    }
};

template <class T>
__global__ void __launch_bounds__(block_threads)
    clip_small(const Scene* scene, Sink<T> sink, index_t begin, index_t end, State* state) {
    const index_t place = begin + item();
    if (place >= end) return;
    state[place] = State::done;
    if (!sink.wanted(scene->id[place])) return;
    double numbers[Room::doubles(small_room)];
    std::int32_t label[small_room];
    const Room room{numbers,   numbers + small_room, numbers + 2 * small_room, numbers + 3 * small_room, label,
                    small_room};
    Cell cell(*scene, place, room);
    state[place] = cell.clip() ? sink.put(*scene, place, cell, room) : State::grow;
}

// Cells of a list, with rooms in global memory.
template <class T>
__global__ void __launch_bounds__(block_threads)
    clip_large(const Scene* scene, Sink<T> sink, const std::uint32_t* list, index_t count, int capacity,
               double* numbers, std::int32_t* labels, State* state) {
    const index_t t = item();
    if (t >= count) return;
    double* const mine = numbers + t * Room::doubles(capacity);
    const Room room{mine, mine + capacity, mine + 2 * capacity, mine + 3 * capacity, labels + t * capacity, capacity};
    Cell cell(*scene, list[t], room);
    state[list[t]] = cell.clip() ? sink.put(*scene, list[t], cell, room) : State::grow;
}

template <class T>
__global__ void __launch_bounds__(block_threads) forget(Output<T> out, index_t n, double* energy, double* value) {
    const index_t i = item();
    if (i >= n) return;
    out.mass(i) = out.second_moment(i) = out.centroid(i, 0) = out.centroid(i, 1) = static_cast<T>(nan);
    out.count(i) = 0;
    energy[i] = value[i] = nan;
}

}  // namespace deblai::cuda::laguerre
