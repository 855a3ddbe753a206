// What a cell of space is clipped by: laguerre_scene.hpp with a third coordinate. Sites in leaves of eight along a
// Hilbert curve, under a tree of boxes that knows the largest psi in each and a plane above all psi in it.
#pragma once

#include "deblai/facet3.hpp"
#include "deblai/laguerre_scene.hpp"

namespace deblai::laguerre3 {

using laguerre::lanes;
using laguerre::max_levels;
using laguerre::Shape;

struct alignas(64) Leaf {
    double at[3][lanes], psi[lanes];
};

//   psi_j <= rest + slope . (y_j - centre of the box)
struct alignas(64) Node {
    double low[3][lanes], high[3][lanes], psi[lanes], slope[3][lanes], rest[lanes];

    DEBLAI_HD double centre(int axis, int k) const { return 0.5 * (low[axis][k] + high[axis][k]); }
};

// The images of the whole around the torus: those of the 3 x 3 x 3 without the middle, in groups of eight.
inline constexpr int images = 26, image_groups = 4;

// The side inside of a plane: normal . x <= offset.
struct Side {
    double normal[3], offset;
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
    double lower[3], upper[3];
    double density;                             // of the uniform probability
    double shift[image_groups * lanes + 1][3];  // of each image; the last is the middle
    Node image[image_groups];                   // their boxes; periodic only
    const Side* side;                           // of the domain, whose box has the corners lower and upper
    int sides;
};
inline constexpr int middle = image_groups * lanes;

// Place of a point of the cubic grid of 2^levels along Hilbert's curve (Skilling, AIP Conf. Proc. 707, 2004).
DEBLAI_HD std::uint64_t hilbert3(std::uint32_t (&x)[3], int levels) {
    for (std::uint32_t q = 1u << (levels - 1); q > 1; q >>= 1) {
        const std::uint32_t below = q - 1;
        for (std::uint32_t& v : x) {
            if (v & q) {
                x[0] ^= below;
            } else {
                const std::uint32_t t = (x[0] ^ v) & below;
                x[0] ^= t;
                v ^= t;
            }
        }
    }
    x[1] ^= x[0];
    x[2] ^= x[1];
    std::uint32_t t = 0;
    for (std::uint32_t q = 1u << (levels - 1); q > 1; q >>= 1)
        if (x[2] & q) t ^= q - 1;
    std::uint64_t key = 0;
    for (int bit = levels - 1; bit >= 0; --bit)
        for (const std::uint32_t v : x) key = key << 1 | ((v ^ t) >> bit & 1);
    return key;
}

// Another site at the same place goes before the one at `place`: it has a larger psi, or the same and comes first.
DEBLAI_HD bool hidden_by(const Scene& scene, index_t place, index_t other) {
    if (other < 0 || other >= scene.size) return false;
    const Leaf &mine = scene.leaf[place / lanes], &its = scene.leaf[other / lanes];
    const index_t k = place % lanes, l = other % lanes;
    for (int axis = 0; axis < 3; ++axis)
        if (its.at[axis][l] != mine.at[axis][k]) return false;
    return its.psi[l] > mine.psi[k] || (its.psi[l] == mine.psi[k] && scene.id[other] < scene.id[place]);
}

// The site that has the cell at the point of the one at `place`: the Tree has put it first.
DEBLAI_HD index_t owner(const Scene& scene, index_t place) {
    while (hidden_by(scene, place, place - 1)) --place;
    return place;
}

// From the site at `place` to the image of the site at `other` on whose bisector a facet lies: the one to whose plane
// all corners are nearest.
DEBLAI_HD Point3 across(const Scene& scene, index_t place, index_t other, const Point3* corner, int corners,
                        Point3 normal) {
    const Leaf &mine = scene.leaf[place / lanes], &its = scene.leaf[other / lanes];
    const index_t k = place % lanes, l = other % lanes;
    const Point3 straight{its.at[0][l] - mine.at[0][k], its.at[1][l] - mine.at[1][k], its.at[2][l] - mine.at[2][k]};
    if (!scene.periodic) return straight;
    Point3 best = straight;
    double least = HUGE_VAL;
    for (int image = images; image >= 0; --image) {
        const double (&shift)[3] = scene.shift[image < images ? image : middle];
        const Point3 d = straight + Point3{shift[0], shift[1], shift[2]};
        const double d2 = dot(d, d), h = 0.5 * (d2 + (mine.psi[k] - its.psi[l]));
        if (d2 == 0 || dot(d, normal) < 0) continue;
        const double length = sqrt(d2);
        double off = 0;
        for (int c = 0; c < corners && off < least; ++c) off = fmax(off, fabs(dot(corner[c], d) - h) / length);
        if (off < least) least = off, best = d;
    }
    return best;
}

// Square of the distance for a first round: of the size of the smallest box around a leaf that has one.
DEBLAI_HD double first_round2(const Scene& scene, index_t place) {
    index_t child = place / lanes;
    for (int level = 0; level < scene.levels; ++level, child /= lanes) {
        const Node& n = scene.node[scene.level[level] + child / lanes];
        double size = 0;
        for (int axis = 0; axis < 3; ++axis) size += 0.3 * (n.high[axis][child % lanes] - n.low[axis][child % lanes]);
        if (size * size > 0) return size * size;
    }
    return HUGE_VAL;
}

// Slopes g with a g = b, a symmetric and positive definite.
DEBLAI_HD void solve(const double (&a)[3][3], const double (&b)[3], double (&g)[3]) {
    const auto minor = [&](int i, int j) {
        const int p = (i + 1) % 3, q = (i + 2) % 3, r = (j + 1) % 3, s = (j + 2) % 3;
        return a[p][r] * a[q][s] - a[p][s] * a[q][r];
    };
    const double det = a[0][0] * minor(0, 0) + a[0][1] * minor(0, 1) + a[0][2] * minor(0, 2);
    for (int i = 0; i < 3; ++i) g[i] = (minor(0, i) * b[0] + minor(1, i) * b[1] + minor(2, i) * b[2]) / det;
}

// Fits the plane of child c to its sites, begin .. end of the scene. Nodes of many sites keep a level one: those far up
// the tree are visited anyway.
DEBLAI_HD void fit_plane(const Leaf* leaf, index_t begin, index_t end, int level, Node& node, int c) {
    constexpr int fitted_levels = 3;
    for (int k = 0; k < 3; ++k) node.slope[k][c] = 0;
    node.rest[c] = node.psi[c];
    if (level >= fitted_levels || end - begin < 4) return;
    const double count = static_cast<double>(end - begin);
    const auto offset = [&](index_t i, int k) { return leaf[i / lanes].at[k][i % lanes] - node.centre(k, c); };
    double mean[3] = {}, p = 0;
    for (index_t i = begin; i < end; ++i) {
        for (int k = 0; k < 3; ++k) mean[k] += offset(i, k) / count;
        p += leaf[i / lanes].psi[i % lanes] / count;
    }
    double a[3][3] = {}, b[3] = {}, g[3];
    for (index_t i = begin; i < end; ++i)
        for (int k = 0; k < 3; ++k) {
            const double u = offset(i, k) - mean[k];
            for (int l = 0; l < 3; ++l) a[k][l] += u * (offset(i, l) - mean[l]);
            b[k] += u * (leaf[i / lanes].psi[i % lanes] - p);
        }
    const double ridge = 1e-6 * (a[0][0] + a[1][1] + a[2][2]);
    for (int k = 0; k < 3; ++k) a[k][k] += ridge;
    solve(a, b, g);
    for (const double v : g)
        if (!(fabs(v) < laguerre::most_slope)) return;
    double rest = -HUGE_VAL;
    for (index_t i = begin; i < end; ++i) {
        double r = leaf[i / lanes].psi[i % lanes];
        for (int k = 0; k < 3; ++k) r -= g[k] * offset(i, k);
        rest = fmax(rest, r);
    }
    for (int k = 0; k < 3; ++k) node.slope[k][c] = g[k];
    node.rest[c] = rest;
}

// The images of the tree around the torus; places of the groups without one are nowhere.
DEBLAI_HD void set_images(Scene& scene, const Node& root) {
    double low[3] = {HUGE_VAL, HUGE_VAL, HUGE_VAL}, high[3] = {-HUGE_VAL, -HUGE_VAL, -HUGE_VAL};
    scene.psi_max = -HUGE_VAL;
    for (int c = 0; c < lanes; ++c) {
        for (int k = 0; k < 3; ++k) low[k] = fmin(low[k], root.low[k][c]), high[k] = fmax(high[k], root.high[k][c]);
        scene.psi_max = fmax(scene.psi_max, root.psi[c]);
    }
    for (int i = 0; i <= middle; ++i) {
        const bool real = i < images;
        const int cell = i + (i >= images / 2), step[3] = {cell % 3 - 1, cell / 3 % 3 - 1, cell / 9 - 1};
        Node* const node = i < middle ? &scene.image[i / lanes] : nullptr;
        for (int k = 0; k < 3; ++k) {
            scene.shift[i][k] = real ? step[k] * (scene.upper[k] - scene.lower[k]) : 0.0;
            if (!node) continue;
            node->low[k][i % lanes] = real ? low[k] + scene.shift[i][k] : HUGE_VAL;
            node->high[k][i % lanes] = real ? high[k] + scene.shift[i][k] : -HUGE_VAL;
            node->slope[k][i % lanes] = 0;
        }
        if (node) node->psi[i % lanes] = node->rest[i % lanes] = real ? scene.psi_max : -HUGE_VAL;
    }
}

}  // namespace deblai::laguerre3
