// Moments of a polyhedron: the tetrahedra 0, r, v, u over the edges v -> u of each facet, r a vertex of the facet. With
// volume V they are V, V (r + v + u) / 4 and V (|r|^2 + |v|^2 + |u|^2 + |r + v + u|^2) / 20.
#pragma once

#include "polyhedron-inl.hpp"

namespace deblai::DEBLAI_LEVEL {
namespace {

DEBLAI_HD V8 gather8(const double* from, const std::int32_t* index) {
#if defined(__AVX512F__)
    return {{(Part)_mm512_i32gather_pd(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(index)), from, 8)}};
#else
    alignas(64) double v[8];
    for (int k = 0; k < 8; ++k) v[k] = from[index[k]];
    return load8(v);
#endif
}

DEBLAI_HD double total(V8 v) {
    alignas(64) double lane[8];
    store8(lane, v);
    return ((lane[0] + lane[4]) + (lane[1] + lane[5])) + ((lane[2] + lane[6]) + (lane[3] + lane[7]));
}

// Coordinates are taken from vertex 0: its facets add nothing, and cells far from their site lose nothing. `touching`
// says whether an edge has no length.
inline Moments3 moments3(const Scratch& m, int size, bool& touching) {
    // Past the end there are edges from vertex 0 to itself.
    for (int v = size; v % 8 != 0; ++v) m.corner[v] = {{0, 0, 0}, {0, 0, 0}}, m.seen[0] = 0;
    for (int v = 0; v < size; ++v)
        for (const std::int32_t p : m.corner[v].plane) m.seen[p] = v;
    const double cx = m.x[0], cy = m.y[0], cz = m.z[0];
    unsigned flat = 0;
    V8 mass = {}, fx = {}, fy = {}, fz = {}, second = {};
    for (int b = 0; b < size; b += 8) {
        const V8 vx = load8(m.x + b) - cx, vy = load8(m.y + b) - cy, vz = load8(m.z + b) - cz;
        const unsigned real = size - b < 8 ? (1u << (size - b)) - 1 : 0xFF;
        const V8 vv = vx * vx + vy * vy + vz * vz;
#pragma GCC unroll 3
        for (int k = 0; k < 3; ++k) {
            alignas(32) std::int32_t follow[8], reference[8];
            for (int l = 0; l < 8; ++l) {
                follow[l] = m.corner[b + l].next[k == 2 ? 0 : k + 1];
                reference[l] = m.seen[m.corner[b + l].plane[k]];
            }
            const V8 ux = gather8(m.x, follow) - cx, uy = gather8(m.y, follow) - cy, uz = gather8(m.z, follow) - cz;
            const V8 rx = gather8(m.x, reference) - cx, ry = gather8(m.y, reference) - cy,
                     rz = gather8(m.z, reference) - cz;
            const V8 ex = ux - vx, ey = uy - vy, ez = uz - vz, zero = {};
            flat |= real & ~less(zero, ex * ex + ey * ey + ez * ez);
            const V8 det = rx * (vy * uz - vz * uy) + ry * (vz * ux - vx * uz) + rz * (vx * uy - vy * ux);
            const V8 sx = rx + vx + ux, sy = ry + vy + uy, sz = rz + vz + uz;
            mass = mass + det;
            fx = fx + det * sx;
            fy = fy + det * sy;
            fz = fz + det * sz;
            second = second + det * (vv + (ux * ux + uy * uy + uz * uz) + (rx * rx + ry * ry + rz * rz) +
                                     (sx * sx + sy * sy + sz * sz));
        }
    }
    touching = flat != 0;
    const double volume = total(mass) / 6, x = total(fx) / 24, y = total(fy) / 24, z = total(fz) / 24;
    Moments3 out;
    out.mass = volume;
    out.first[0] = x + volume * cx;
    out.first[1] = y + volume * cy;
    out.first[2] = z + volume * cz;
    out.second = total(second) / 120 + 2 * (x * cx + y * cy + z * cz) + volume * (cx * cx + cy * cy + cz * cz);
    return out;
}

}  // namespace
}  // namespace deblai::DEBLAI_LEVEL
