// The integral of the power distance to the nearest site over every pixel: cells cut along the lines between pixels.
#include "laguerre-run.hpp"

namespace deblai::laguerre {
namespace {

// The parts of a ring between lines of a grid along one axis; calls use(line, part). Needs four rings from `first` on.
template <class Use>
void slices(Ring rest, int axis, double origin, double step, index_t count, bool periodic, const PixelScratch& rings,
            int first, const Use& use) {
    const detail::Columns lines =
        detail::touched(extent(rest.coordinate(axis), rest.size), origin, step, count, periodic);
    for (index_t i = lines.first; i <= lines.last; ++i) {
        Ring part = rings.ring(first), beyond = rings.ring(first + 1 + (i - lines.first) % 2);
        if (i < lines.last) {
            split(rest, axis, origin + static_cast<double>(i + 1) * step, part, beyond);
            rest = beyond;
        } else {
            part = rest;
        }
        if (part.size >= 3) use(detail::wrapped(i, count), part);
    }
}

}  // namespace

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
            slices(whole, 1, p.lower_y - y, p.height, p.ny, p.periodic, rings, 0, [&](index_t j, const Ring& strip) {
                slices(strip, 0, p.lower_x - x, p.width, p.nx, p.periodic, rings, 3, [&](index_t i, const Ring& part) {
                    const Moments m = moments(part.x, part.y, part.size);
                    parts[task].push_back({i, j, m.second - psi * m.mass});
                });
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
