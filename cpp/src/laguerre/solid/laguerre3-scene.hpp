// What a cell of space is clipped by: laguerre_scene.hpp with a third coordinate. Sites in leaves of eight along a
// Hilbert curve, under a tree of boxes that knows the largest psi in each and a plane above all psi in it.
#pragma once

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
inline std::uint64_t hilbert3(std::uint32_t (&x)[3], int levels) {
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

}  // namespace deblai::laguerre3
