// What each instruction set provides for laguerre3: one cell.
#pragma once

#include <cstddef>
#include <cstdint>

#include "deblai/facet3.hpp"
#include "deblai/laguerre3_scene.hpp"
#include "deblai/stop.hpp"
#include "deblai/view.hpp"

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

// Three planes meet in a vertex, counter-clockwise from outside, and three edges: plane[k] does not contain that to
// next[k].
struct alignas(32) Corner {
    std::int32_t plane[3], next[3];
};

// A vertex that a cut makes on an edge from one that goes to one that stays, where the rim of what is cut off crosses
// from plane `from` to plane `to`.
struct alignas(32) Fresh {
    std::int32_t gone, stays, from, to, back;
    double t;  // of the way from the latter to the former
    double x, y, z;
};

// Memory of one worker, for cells of at most `capacity` vertices.
struct Scratch {
    static constexpr int slack = 8;

    Near* near;
    double *x, *y, *z, *s;
    Corner* corner;
    std::int64_t* label;           // of each plane
    std::int32_t *crossed, *seen;  // a number for each plane
    std::int64_t* removed;
    Fresh* fresh;
    int capacity;

    int planes() const { return 2 * capacity; }

    // Calls piece(bytes) for each array and hands it out by `use`; the layout, once.
    template <class Piece>
    void lay_out(const Piece& piece) {
        const std::size_t n = static_cast<std::size_t>(capacity + slack), m = 2 * n;
        piece(x, n), piece(y, n), piece(z, n), piece(s, n);
        piece(corner, n), piece(label, m), piece(crossed, m), piece(seen, m), piece(removed, n), piece(fresh, m);
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

// A cell in coordinates relative to its site; labels are places in the scene, -1 for the border. `touching`: some
// vertices coincide, and facets may be without area.
struct Cell {
    Moments3 moments;  // of density 1
    int size, planes;
    bool touching;
};

struct Kernels {
    // The cell of the site at place i.
    Status (*cell)(const Scene& scene, index_t i, const Scratch& scratch, const Stop& stop, int worker, Cell& cell);
};

}  // namespace deblai::laguerre3
