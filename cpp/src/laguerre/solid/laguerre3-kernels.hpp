// What each instruction set provides for laguerre3: one cell.
#pragma once

#include <cstddef>
#include <cstdint>

#include "deblai/stop.hpp"
#include "deblai/view.hpp"
#include "laguerre3-scene.hpp"

namespace deblai::laguerre3 {

// The sites near a leaf, with the torus unrolled.
struct alignas(64) Near {
    static constexpr int capacity = 1024;

    double at[3][capacity], psi[capacity];
    std::int64_t place[capacity];
    int size = 0;
    index_t leaf = -1;
    double radius2 = 0;  // of the distance from the leaf's box below which all are here
    double psi_max = 0;
};

// A vertex that a cut makes: on the edge from a vertex that goes, away from its plane `corner`, to one that stays.
struct Fresh {
    double x, y, z;
    std::int32_t gone, corner, stays, back, from, to;
};

// Memory of one worker, for cells of at most `capacity` vertices. A vertex lies on three planes, counter-clockwise
// from outside, and has three neighbours: next[k] is across the edge that plane[k] does not contain.
struct Scratch {
    static constexpr int slack = 8;

    Near* near;
    double *x, *y, *z, *s;
    std::int64_t* label;  // of each plane
    std::int32_t *plane[3], *next[3];
    std::int32_t* removed;
    std::int32_t *start, *seen;  // a number for each plane
    Fresh* fresh;
    int capacity;

    int planes() const { return 2 * capacity; }

    // Calls piece(bytes) for each array and hands it out by `use`; the layout, once.
    template <class Piece>
    void lay_out(const Piece& piece) {
        const std::size_t n = static_cast<std::size_t>(capacity + slack), m = 2 * n;
        piece(x, n), piece(y, n), piece(z, n), piece(s, n);
        piece(label, m), piece(start, m), piece(seen, m);
        for (int k = 0; k < 3; ++k) piece(plane[k], n), piece(next[k], n);
        piece(removed, n), piece(fresh, n);
    }
    static std::size_t bytes(int capacity) {
        Scratch none{};
        none.capacity = capacity;
        std::size_t sum = sizeof(Near);
        none.lay_out([&](auto*& p, std::size_t n) { sum += (sizeof(*p) * n + 63) / 64 * 64; });
        return sum;
    }
};

enum class Status { done, grow, stopped };

// int 1, int v and int |v|^2 over a cell, v relative to its site.
struct Moments3 {
    double mass = 0, first[3] = {}, second = 0;
};

// A cell in coordinates relative to its site; labels are places in the scene, -1 for the border. `touching`: some
// vertices coincide, and facets may be without area.
struct Cell {
    Moments3 moments;
    int size, planes;
    bool touching;
};

struct Kernels {
    // The cell of the site at place i.
    Status (*cell)(const Scene& scene, index_t i, const Scratch& scratch, const Stop& stop, int worker, Cell& cell);
};

}  // namespace deblai::laguerre3
