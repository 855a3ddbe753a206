// Integrals of the density of a scene over polygons and along segments, for host and device.
#pragma once

#include "deblai/laguerre_scene.hpp"

namespace deblai::laguerre {

enum class Density { uniform, pixels, gaussians, mesh };

DEBLAI_HD Density density_of(const Scene& scene) {
    if (scene.gaussians.component) return Density::gaussians;
    if (scene.mesh.triangle) return Density::mesh;
    return scene.pixels.density ? Density::pixels : Density::uniform;
}

// Rings of the scratch that `moments_over` writes.
constexpr int rings_of(Density d) {
    return d == Density::uniform ? 0 : d == Density::gaussians ? 1 : d == Density::mesh ? 3 : PixelScratch::rings;
}

// Over a polygon around the site at (sx, sy), to which vertices are relative, as those of segments.
template <Density D>
DEBLAI_HD Moments moments_over(const Scene& scene, double sx, double sy, const double* x, const double* y, int size,
                               const PixelScratch& rings) {
    if constexpr (D == Density::gaussians) {
        return GaussianIntegral(scene.gaussians, sx, sy, rings.ring(0)).over(x, y, size);
    } else if constexpr (D == Density::mesh) {
        return MeshIntegral(scene.mesh, sx, sy, rings).over(x, y, size);
    } else if constexpr (D == Density::pixels) {
        return PixelIntegral(scene.pixels, sx, sy, rings).over(x, y, size);
    } else {
        Moments sum;
        sum.add(moments(x, y, size), scene.pixels.uniform);
        return sum;
    }
}

template <Density D>
DEBLAI_HD FacetMoments moments_along(const Scene& scene, double sx, double sy, Point a, Point b) {
    if constexpr (D == Density::gaussians) {
        return GaussianFacet(scene.gaussians, sx, sy).along(a, b);
    } else if constexpr (D == Density::mesh) {
        return MeshFacet(scene.mesh, sx, sy).along(a, b);
    } else if constexpr (D == Density::pixels) {
        return PixelFacet(scene.pixels, sx, sy).along(a, b);
    } else {
        const double dx = b.x - a.x, dy = b.y - a.y;
        FacetMoments sum;
        sum.add(a, b, sqrt(dx * dx + dy * dy), scene.pixels.uniform);
        return sum;
    }
}

}  // namespace deblai::laguerre
