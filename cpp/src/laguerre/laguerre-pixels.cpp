// The integral of the power distance to the nearest site over every pixel: cells cut along the lines between pixels.
#include "laguerre-run.hpp"
#include "laguerre-slices.hpp"

namespace deblai::laguerre {
template <class T>
bool potential(const Problem<T>& q, Matrix<double> out, const Control& control) {
    require_shapes(q);
    if (!q.density || out.rows != q.density.rows || out.cols != q.density.cols)
        throw InvalidValue("[quantization.laguerre] potential: expected one number for each pixel");
    Run<T> run(q, control, true);
    const Scene& scene = run.scene();
    const Pixels& p = scene.pixels;
    struct Part {
        index_t i, j;
        double value;
    };
    std::vector<std::vector<Part>> parts(tasks(scene.size));
    run.each(
        false, [](index_t) { return true; },
        [&](index_t task, index_t place, const Cell& cell, const Scratch& s) {
            if (cell.size == 0) return;
            const Leaf& leaf = scene.leaf[place / lanes];
            const double x = leaf.x[place % lanes], y = leaf.y[place % lanes];
            const double psi = q.psi ? static_cast<double>(q.psi(scene.id[place])) : 0.0;
            const PixelScratch rings{s.pixels, s.capacity + PixelScratch::slack};
            Ring whole = rings.ring(6);
            for (int k = 0; k < cell.size; ++k) whole.push(s.x[k], s.y[k]);
            each_pixel(whole, p, x, y, rings, [&](index_t i, index_t j, const Ring& part, Sides, Sides) {
                const Moments m = moments(part.x, part.y, part.size);
                parts[task].push_back({i, j, m.second - psi * m.mass});
            });
        });
    if (run.team().stopped()) return false;
    for (index_t i = 0; i < out.rows; ++i)
        for (index_t j = 0; j < out.cols; ++j) out(i, j) = 0;
    for (const auto& some : parts)
        for (const Part& part : some) out(part.i, part.j) += part.value;
    return true;
}

template bool potential(const Problem<float>&, Matrix<double>, const Control&);
template bool potential(const Problem<double>&, Matrix<double>, const Control&);

}  // namespace deblai::laguerre
