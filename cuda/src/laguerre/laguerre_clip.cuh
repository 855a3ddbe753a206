// The kernels over cells.
#pragma once

#include "laguerre_uses.cuh"

namespace deblai::cuda::laguerre {

constexpr int small_room = 16;  // vertices that a thread keeps to itself

template <class Use>
__global__ void __launch_bounds__(block_threads)
    clip_small(const Scene* scene, Use use, index_t begin, index_t end, State* state) {
    const index_t place = begin + item();
    if (place >= end) return;
    state[place] = State::done;
    if (!use.wanted(scene->id[place])) return;
    double numbers[Room::doubles(small_room, Use::rings)];
    std::int32_t labels[small_room];
    const Room room(numbers, labels, small_room);
    Cell cell(*scene, place, room);
    state[place] = cell.clip() ? use.put(*scene, place, cell, room) : State::grow;
}

// Cells of a list, with rooms in global memory.
template <class Use>
__global__ void __launch_bounds__(block_threads)
    clip_large(const Scene* scene, Use use, const std::uint32_t* list, index_t count, int capacity, double* numbers,
               std::int32_t* labels, State* state) {
    const index_t t = item();
    if (t >= count) return;
    const Room room(numbers + t * Room::doubles(capacity, Use::rings), labels + t * capacity, capacity);
    Cell cell(*scene, list[t], room);
    state[list[t]] = cell.clip() ? use.put(*scene, list[t], cell, room) : State::grow;
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
