// What each instruction set provides for laguerre: one cell. The scene is the same for host and device.
#pragma once

#include <cstddef>
#include <cstdint>

#include "deblai/pixels.hpp"
#include "deblai/stop.hpp"
#include "deblai/view.hpp"

namespace deblai::laguerre {

inline constexpr int lanes = 8, max_levels = 12;  // 8^12 > 2^31

// Eight sites that follow one another along a Hilbert curve; those past the end are at infinity.
struct alignas(64) Leaf {
    double x[lanes], y[lanes], psi[lanes];
};

// The boxes of eight children and the largest psi in each.
struct alignas(64) Node {
    double low_x[lanes], high_x[lanes], low_y[lanes], high_y[lanes], psi[lanes];
};

// A node of level 0 has leaves as children. Levels follow one another from 0 to the root.
struct Scene {
    const Leaf* leaf;
    const Node* node;
    const std::int32_t* id;  // of each site in the caller's order
    index_t size;
    std::int32_t level[max_levels];  // first node of each
    int levels;
    bool weighted, periodic;
    double psi_max;
    double lower[2], upper[2];
    double shift[lanes][2];  // of the images around the torus
    Node images;             // boxes of the whole, shifted; periodic only
    Pixels pixels;
};

// The sites near a leaf, with the torus unrolled.
struct alignas(64) Near {
    static constexpr int capacity = 128;  // a power of two

    double x[capacity], y[capacity], psi[capacity];
    std::int64_t place[capacity];
    int size = 0;
    index_t leaf = -1;
    double radius2 = 0;  // of the distance from the leaf's box below which all are here
    double psi_max = 0;
};

// Memory of one worker, for cells of at most `capacity` vertices.
struct Scratch {
    Near* near;
    double *x, *y, *s;
    std::int64_t* label;
    double* pixels;
    int capacity;

    static std::size_t bytes(int capacity) {
        const std::size_t ring = static_cast<std::size_t>(capacity + PixelScratch::slack);
        return sizeof(Near) +
               sizeof(double) * (4 * static_cast<std::size_t>(capacity) + 2 * PixelScratch::rings * ring);
    }
};

enum class Status { done, grow, stopped };

// A cell in coordinates relative to its site; labels are places in the scene, -1 for the border.
struct Cell {
    Moments moments;
    int size;  // x, y and label of the scratch hold it
};

struct Kernels {
    // The cell of the site at place i.
    Status (*cell)(const Scene& scene, index_t i, bool integrate, const Scratch& scratch, const Stop& stop, int worker,
                   Cell& cell);
};

}  // namespace deblai::laguerre
