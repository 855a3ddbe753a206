#include "laguerre-measure.hpp"

#include <algorithm>
#include <cmath>

#include "deblai/error.hpp"

namespace deblai::laguerre {
namespace {

// Pixels as mass a unit of area, rows of constant y; the whole has mass 1.
template <class T>
Buffer normalised(const Problem<T>& q, Pixels& pixels) {
    const index_t nx = q.density.rows, ny = q.density.cols;
    Buffer buffer = allocate(sizeof(double) * nx * ny);
    double* const out = reinterpret_cast<double*>(buffer.get());
    double total = 0;
    for (index_t i = 0; i < nx; ++i)
        for (index_t j = 0; j < ny; ++j) {
            const double v = static_cast<double>(q.density(i, j));
            if (!(v >= 0 && v - v == 0)) throw bad_pixel(v, i, j);
            total += out[j * nx + i] = v;
        }
    if (!(total > 0 && std::isfinite(total))) throw bad_mass(total);
    pixels.width = (q.upper[0] - q.lower[0]) / static_cast<double>(nx);
    pixels.height = (q.upper[1] - q.lower[1]) / static_cast<double>(ny);
    const double unit = total * pixels.width * pixels.height;
    for (index_t k = 0; k < nx * ny; ++k) out[k] /= unit;
    pixels.density = out;
    pixels.nx = nx;
    pixels.ny = ny;
    return buffer;
}

}  // namespace

template <class T>
Measure::Measure(const Problem<T>& q, Scene& scene, bool integrate) {
    scene.pixels.uniform = 1 / ((q.upper[0] - q.lower[0]) * (q.upper[1] - q.lower[1]));
    std::copy_n(q.lower, 2, scene.lower);
    std::copy_n(q.upper, 2, scene.upper);
    if (integrate && q.density) pixels_ = normalised(q, scene.pixels);
    form_.emplace(q.form, scene, integrate);
}

Moments moments_over(const Scene& scene, index_t place, int size, const Scratch& p) {
    const Leaf& leaf = scene.leaf[place / lanes];
    const double sx = leaf.x[place % lanes], sy = leaf.y[place % lanes];
    const PixelScratch rings{p.pixels, p.capacity + PixelScratch::slack};
    return density_of(scene) == Density::mesh ? moments_over<Density::mesh>(scene, sx, sy, p.x, p.y, size, rings)
                                              : moments_over<Density::gaussians>(scene, sx, sy, p.x, p.y, size, rings);
}

template Measure::Measure(const Problem<float>&, Scene&, bool);
template Measure::Measure(const Problem<double>&, Scene&, bool);

}  // namespace deblai::laguerre
