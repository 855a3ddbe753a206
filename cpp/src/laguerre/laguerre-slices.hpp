// The parts of a polygon in the pixels of a grid, for the host.
#pragma once

#include <limits>

#include "deblai/pixels.hpp"

namespace deblai::laguerre {
namespace {

// Coordinates of the lines of the grid on which a part of a polygon borders on other parts, NaN where it does not.
struct Sides {
    double low = std::numeric_limits<double>::quiet_NaN(), high = std::numeric_limits<double>::quiet_NaN();
};

// The parts of a ring between lines of a grid along one axis; calls use(line, part, sides). Needs four rings from
// `first` on.
template <class Use>
void slices(Ring rest, int axis, double origin, double step, index_t count, bool periodic, const PixelScratch& rings,
            int first, const Use& use) {
    const detail::Columns lines =
        detail::touched(extent(rest.coordinate(axis), rest.size), origin, step, count, periodic);
    Sides sides;
    for (index_t i = lines.first; i <= lines.last; ++i) {
        Ring part = rings.ring(first), beyond = rings.ring(first + 1 + (i - lines.first) % 2);
        sides.high = Sides{}.high;
        if (i < lines.last) {
            const double line = origin + static_cast<double>(i + 1) * step;
            split(rest, axis, line, part, beyond);
            rest = beyond;
            if (part.size >= 3 && rest.size >= 3) sides.high = line;
        } else {
            part = rest;
        }
        if (part.size >= 3) use(detail::wrapped(i, count), part, sides);
        sides.low = sides.high;
    }
}

// Calls use(i, j, part, sides in x, sides in y) for the pixels that a polygon meets, which is ring 6 or 7, relative to
// a site at (x, y).
template <class Use>
void each_pixel(const Ring& whole, const Pixels& p, double x, double y, const PixelScratch& rings, const Use& use) {
    slices(whole, 1, p.lower_y - y, p.height, p.ny, p.periodic, rings, 0, [&](index_t j, const Ring& strip, Sides ys) {
        slices(strip, 0, p.lower_x - x, p.width, p.nx, p.periodic, rings, 3,
               [&](index_t i, const Ring& part, Sides xs) { use(i, j, part, xs, ys); });
    });
}

}  // namespace
}  // namespace deblai::laguerre
