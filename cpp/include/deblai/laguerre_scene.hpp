// What a cell is clipped by, for host and device: sites in leaves of eight along a Hilbert curve, under a tree of boxes
// that knows the largest psi in each. One structure for clusters, for cells far from their sites and for any psi.
#pragma once

#include <cstdint>

#include "deblai/gaussian.hpp"
#include "deblai/mesh.hpp"

namespace deblai::laguerre {

inline constexpr int lanes = 8, max_levels = 12;  // 8^12 > 2^31
inline constexpr double most_slope = 1e100;

// Eight sites that follow one another along a Hilbert curve; those past the end are at infinity.
struct alignas(64) Leaf {
    double x[lanes], y[lanes], psi[lanes];
};

// The boxes of eight children, the largest psi in each, and a plane above all psi in it:
//   psi_j <= rest + slope . (y_j - centre of the box)
// Where psi is nearly a smooth function of the site, as it is in transport to cells far away, the plane is tight.
struct alignas(64) Node {
    double low_x[lanes], high_x[lanes], low_y[lanes], high_y[lanes], psi[lanes];
    double slope_x[lanes], slope_y[lanes], rest[lanes];

    DEBLAI_HD double centre_x(int k) const { return 0.5 * (low_x[k] + high_x[k]); }
    DEBLAI_HD double centre_y(int k) const { return 0.5 * (low_y[k] + high_y[k]); }
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
    // Neighbours of a psi before, begin[i] to begin[i + 1] of site i: places are sites then, and there are no nodes.
    const std::int32_t *known_begin, *known;
    Pixels pixels;
    // Another density than pixels, and corners of a convex polygon from which cells start.
    Gaussians gaussians;
    Mesh mesh;
    const double *corner_x, *corner_y;
    int corners;
};

// Number of nodes of each level over a number of sites, from the leaves' parents to the root.
struct Shape {
    index_t leaves, nodes = 0;
    int levels = 0;
    std::int32_t first[max_levels];

    explicit Shape(index_t sites) : leaves((sites + lanes - 1) / lanes) {
        for (index_t count = leaves; levels == 0 || count > 1; ++levels) {
            count = (count + lanes - 1) / lanes;
            first[levels] = static_cast<std::int32_t>(nodes);
            nodes += count;
        }
    }
};

// A site of the torus [lower, upper) of which `x` is an image.
DEBLAI_HD double wrapped(double x, double lower, double upper) {
    const double length = upper - lower, y = x - length * floor((x - lower) / length);
    return y >= lower && y < upper ? y : lower;
}

// Place of a point of the square grid of 2^levels along Hilbert's curve.
DEBLAI_HD std::uint64_t hilbert(std::uint32_t x, std::uint32_t y, int levels) {
    std::uint64_t key = 0;
    for (int level = levels - 1; level >= 0; --level) {
        const std::uint32_t rx = x >> level & 1, ry = y >> level & 1;
        key = key << 2 | ((3 * rx) ^ ry);
        if (ry == 0) {
            const std::uint32_t flip = rx ? ~std::uint32_t{0} : 0, t = x ^ flip;
            x = y ^ flip;
            y = t;
        }
    }
    return key;
}

// Fits the plane of child k to its sites, begin .. end of the scene. Nodes of many sites keep a level one: those far up
// the tree are visited anyway.
DEBLAI_HD void fit_plane(const Leaf* leaf, index_t begin, index_t end, int level, Node& node, int k) {
    constexpr int fitted_levels = 3;
    node.slope_x[k] = node.slope_y[k] = 0;
    node.rest[k] = node.psi[k];
    if (level >= fitted_levels || end - begin < 3) return;
    const double cx = node.centre_x(k), cy = node.centre_y(k), count = static_cast<double>(end - begin);
    double x = 0, y = 0, p = 0, xx = 0, xy = 0, yy = 0, xp = 0, yp = 0;
    for (index_t i = begin; i < end; ++i) {
        const Leaf& l = leaf[i / lanes];
        const double u = l.x[i % lanes] - cx, v = l.y[i % lanes] - cy, q = l.psi[i % lanes];
        x += u, y += v, p += q;
        xx += u * u, xy += u * v, yy += v * v;
        xp += u * q, yp += v * q;
    }
    xx -= x * x / count, xy -= x * y / count, yy -= y * y / count;
    xp -= x * p / count, yp -= y * p / count;
    const double ridge = 1e-9 * (xx + yy), a = xx + ridge, b = yy + ridge, det = a * b - xy * xy;
    const double gx = (b * xp - xy * yp) / det, gy = (a * yp - xy * xp) / det;
    if (!(fabs(gx) < most_slope && fabs(gy) < most_slope)) return;
    double rest = -HUGE_VAL;
    for (index_t i = begin; i < end; ++i) {
        const Leaf& l = leaf[i / lanes];
        rest = fmax(rest, l.psi[i % lanes] - gx * (l.x[i % lanes] - cx) - gy * (l.y[i % lanes] - cy));
    }
    node.slope_x[k] = gx;
    node.slope_y[k] = gy;
    node.rest[k] = rest;
}

// Another site at the same place goes before the one at `place`: it has a larger psi, or the same and comes first. Many
// sites at one place are neighbours along the curve, in the caller's order, so that this spares a search for each.
DEBLAI_HD bool hidden_by(const Scene& scene, index_t place, index_t other) {
    if (other < 0 || other >= scene.size) return false;
    const Leaf &mine = scene.leaf[place / lanes], &its = scene.leaf[other / lanes];
    const index_t k = place % lanes, l = other % lanes;
    if (its.x[l] != mine.x[k] || its.y[l] != mine.y[k]) return false;
    return its.psi[l] > mine.psi[k] || (its.psi[l] == mine.psi[k] && scene.id[other] < scene.id[place]);
}

// The site that has the cell at the point of the one at `place`: the Tree has put it first.
DEBLAI_HD index_t owner(const Scene& scene, index_t place) {
    while (hidden_by(scene, place, place - 1)) --place;
    return place;
}

// From the site at `place` to the image of the site at `other` whose bisector the edge from a to b lies on: the one to
// whose line both ends are nearest.
DEBLAI_HD Point across(const Scene& scene, index_t place, index_t other, Point a, Point b) {
    const Leaf &mine = scene.leaf[place / lanes], &its = scene.leaf[other / lanes];
    const index_t k = place % lanes, l = other % lanes;
    const double x = its.x[l] - mine.x[k], y = its.y[l] - mine.y[k];
    if (!scene.periodic) return {x, y};
    Point best{x, y};
    double least = HUGE_VAL;
    for (int image = -1; image < lanes; ++image) {
        const double dx = image < 0 ? x : x + scene.shift[image][0], dy = image < 0 ? y : y + scene.shift[image][1];
        if (dx == 0 && dy == 0) continue;
        const Bisector c = Bisector::of(dx, dy, mine.psi[k], its.psi[l]);
        const double off = fmax(fabs(a.x * dx + a.y * dy - c.h), fabs(b.x * dx + b.y * dy - c.h));
        const double distance = off / sqrt(dx * dx + dy * dy);
        const bool outward = dx * (b.y - a.y) - dy * (b.x - a.x) >= 0;
        if (distance < least && outward) least = distance, best = {dx, dy};
    }
    return best;
}

// Square of the distance for a first round: of the size of the smallest box around a leaf that has one.
DEBLAI_HD double first_round2(const Scene& scene, index_t place) {
    index_t child = place / lanes;
    for (int level = 0; level < scene.levels; ++level, child /= lanes) {
        const Node& n = scene.node[scene.level[level] + child / lanes];
        const index_t k = child % lanes;
        const double size = 0.25 * (n.high_x[k] - n.low_x[k] + (n.high_y[k] - n.low_y[k]));
        if (size * size > 0) return size * size;
    }
    return HUGE_VAL;
}

// The 3 x 3 images of the torus without the middle.
DEBLAI_HD void set_shifts(Scene& scene) {
    for (int k = 0; k < lanes; ++k) {
        const int cell = k + (k >= 4);
        scene.shift[k][0] = (cell % 3 - 1) * (scene.upper[0] - scene.lower[0]);
        scene.shift[k][1] = (cell / 3 - 1) * (scene.upper[1] - scene.lower[1]);
    }
}

// The images of the tree around the torus.
DEBLAI_HD void set_images(Scene& scene, const Node& root) {
    set_shifts(scene);
    double low[2] = {HUGE_VAL, HUGE_VAL}, high[2] = {-HUGE_VAL, -HUGE_VAL};
    scene.psi_max = -HUGE_VAL;
    for (int k = 0; k < lanes; ++k) {
        low[0] = fmin(low[0], root.low_x[k]), high[0] = fmax(high[0], root.high_x[k]);
        low[1] = fmin(low[1], root.low_y[k]), high[1] = fmax(high[1], root.high_y[k]);
        scene.psi_max = fmax(scene.psi_max, root.psi[k]);
    }
    for (int k = 0; k < lanes; ++k) {
        scene.images.low_x[k] = low[0] + scene.shift[k][0], scene.images.high_x[k] = high[0] + scene.shift[k][0];
        scene.images.low_y[k] = low[1] + scene.shift[k][1], scene.images.high_y[k] = high[1] + scene.shift[k][1];
        scene.images.psi[k] = scene.images.rest[k] = scene.psi_max;
        scene.images.slope_x[k] = scene.images.slope_y[k] = 0;
    }
}

}  // namespace deblai::laguerre
