// Integrals over a convex polygon of a density that is constant on the pixels of a grid, row by row: pixels inside are
// added, those on the border are clipped. Work: the pixels touched. For the host, each instruction set and the GPU.
#pragma once

#include "deblai/geometry.hpp"

namespace deblai {

struct Pixels {
    const double* density = nullptr;  // density[j * nx + i] of pixel (i, j); null: the uniform density `uniform`
    index_t nx = 0, ny = 0;
    double lower_x = 0, lower_y = 0, width = 0, height = 0;
    double uniform = 0;
    bool periodic = false;
};

// Workspace of one integral: rings of at most `slack` vertices more than the polygon.
struct PixelScratch {
    static constexpr int rings = 8, slack = 8;

    double* data;
    int capacity;  // of one coordinate of one ring

    DEBLAI_HD Ring ring(int k) const { return {data + 2 * k * capacity, data + (2 * k + 1) * capacity, 0}; }
};

namespace detail {

struct Columns {
    index_t first, last;  // both included
};

// Pixels along one axis that an extent touches.
DEBLAI_HD Columns touched(Interval e, double origin, double step, index_t count, bool periodic) {
    const double low = floor((e.low - origin) / step), high = ceil((e.high - origin) / step) - 1;
    Columns c{static_cast<index_t>(low), static_cast<index_t>(high)};
    if (!periodic) {
        const index_t most = count - 1;
        c.first = c.first < 0 ? 0 : c.first > most ? most : c.first;
        c.last = c.last > most ? most : c.last;
    }
    if (c.last < c.first) c.last = c.first;
    return c;
}

DEBLAI_HD index_t wrapped(index_t i, index_t count) {
    const index_t r = i % count;
    return r < 0 ? r + count : r;
}

// The columns that a strip covers from its lower line to its upper one: by convexity, those between its two cuts.
DEBLAI_HD Interval covered(const Ring& strip, double bottom, double top) {
    double low[2] = {1, 1}, high[2] = {0, 0};
    for (int k = 0; k < strip.size; ++k) {
        const double x = strip.x[k];
        for (int side = 0; side < 2; ++side)
            if (side == 0 ? strip.y[k] <= bottom : strip.y[k] >= top) {
                const bool fresh = low[side] > high[side];
                low[side] = fresh || x < low[side] ? x : low[side];
                high[side] = fresh || x > high[side] ? x : high[side];
            }
    }
    if (low[0] > high[0] || low[1] > high[1]) return {1, 0};
    return {low[0] > low[1] ? low[0] : low[1], high[0] < high[1] ? high[0] : high[1]};
}

}  // namespace detail

// Moments of the density over the polygon, around the site at (sx, sy), to which the vertices are relative.
class PixelIntegral {
public:
    DEBLAI_HD PixelIntegral(const Pixels& pixels, double sx, double sy, const PixelScratch& scratch)
        : p_(pixels), ox_(pixels.lower_x - sx), oy_(pixels.lower_y - sy), scratch_(scratch) {}

    DEBLAI_HD Moments over(const double* x, const double* y, int size) {
        Moments sum;
        if (size < 3) return sum;
        if (!p_.density) {
            sum.add(moments(x, y, size), p_.uniform);
            return sum;
        }
        Ring strip = scratch_.ring(0), rest = scratch_.ring(2);
        for (int k = 0; k < size; ++k) rest.push(x[k], y[k]);
        const detail::Columns rows = detail::touched(extent(y, size), oy_, p_.height, p_.ny, p_.periodic);
        for (index_t j = rows.first; j < rows.last; ++j) {
            Ring above = scratch_.ring((j - rows.first) % 2 == 0 ? 1 : 2);
            split(rest, 1, row(j + 1), strip, above);
            add_strip(strip, j, sum);
            rest = above;
        }
        add_strip(rest, rows.last, sum);
        return sum;
    }

private:
    DEBLAI_HD double column(index_t i) const { return ox_ + static_cast<double>(i) * p_.width; }
    DEBLAI_HD double row(index_t j) const { return oy_ + static_cast<double>(j) * p_.height; }

    DEBLAI_HD void add_strip(const Ring& strip, index_t j, Moments& sum) {
        if (strip.size < 3) return;
        const double* const density = p_.density + detail::wrapped(j, p_.ny) * p_.nx;
        const detail::Columns all = detail::touched(extent(strip.x, strip.size), ox_, p_.width, p_.nx, p_.periodic);
        if (all.first == all.last) return add_part(strip, all.first, density, sum);
        const Interval inside = detail::covered(strip, row(j), row(j + 1));
        index_t begin = all.first, end = all.first;  // of the columns that are inside
        if (inside.high - inside.low >= p_.width) {
            begin = static_cast<index_t>(ceil((inside.low - ox_) / p_.width));
            end = static_cast<index_t>(floor((inside.high - ox_) / p_.width));
            begin = begin < all.first ? all.first : begin;
            end = end > all.last + 1 ? all.last + 1 : end;
        }
        if (begin >= end) return add_columns(strip, all.first, all.last, density, sum);
        Ring part = scratch_.ring(3), other = scratch_.ring(4);
        if (begin > all.first) {
            split(strip, 0, column(begin), part, other);
            add_columns(part, all.first, begin - 1, density, sum);
        }
        add_inside(begin, end, row(j), density, sum);
        if (end <= all.last) {
            split(strip, 0, column(end), other, part);
            add_columns(part, end, all.last, density, sum);
        }
    }

    DEBLAI_HD void add_part(const Ring& part, index_t i, const double* density, Moments& sum) const {
        sum.add(moments(part.x, part.y, part.size), density[detail::wrapped(i, p_.nx)]);
    }

    DEBLAI_HD void add_inside(index_t begin, index_t end, double bottom, const double* density, Moments& sum) const {
        double mass = 0, first = 0, second = 0;
        for (index_t i = begin; i < end; ++i) {
            const double v = density[detail::wrapped(i, p_.nx)], x = column(i) + 0.5 * p_.width;
            mass += v;
            first += v * x;
            second += v * x * x;
        }
        const double area = p_.width * p_.height, y = bottom + 0.5 * p_.height;
        const double own = (p_.width * p_.width + p_.height * p_.height) / 12;
        sum.add({mass, first, mass * y, second + mass * (y * y + own)}, area);
    }

    DEBLAI_HD void add_columns(Ring rest, index_t first, index_t last, const double* density, Moments& sum) {
        Ring part = scratch_.ring(5);
        for (index_t i = first; i < last; ++i) {
            Ring right = scratch_.ring((i - first) % 2 == 0 ? 6 : 7);
            split(rest, 0, column(i + 1), part, right);
            add_part(part, i, density, sum);
            rest = right;
        }
        add_part(rest, last, density, sum);
    }

    const Pixels& p_;
    double ox_, oy_;
    PixelScratch scratch_;
};

}  // namespace deblai
