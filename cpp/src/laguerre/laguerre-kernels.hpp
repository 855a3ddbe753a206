// What each instruction set provides for laguerre: one cell.
#pragma once

#include <cstddef>
#include <cstdint>

#include "deblai/laguerre_scene.hpp"
#include "deblai/stop.hpp"
#include "deblai/view.hpp"

namespace deblai::laguerre {

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
    int worker = 0;

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
    double area;
};

struct Kernels {
    // The cell of the site at place i.
    Status (*cell)(const Scene& scene, index_t i, bool integrate, const Scratch& scratch, const Stop& stop, int worker,
                   Cell& cell);
};

}  // namespace deblai::laguerre
