// What cells hold: the domain and the density of a problem, checked, of total mass 1, as a scene wants them.
#pragma once

#include <optional>

#include "buffer.hpp"
#include "deblai/laguerre.hpp"
#include "deblai/laguerre_density.hpp"
#include "deblai/laguerre_form.hpp"
#include "laguerre-kernels.hpp"

namespace deblai::laguerre {

class Measure {
public:
    // Fills what the scene says of the measure; its density only where `integrate` says so.
    template <class T>
    Measure(const Problem<T>& problem, Scene& scene, bool integrate);

private:
    Buffer pixels_;
    std::optional<FormArrays> form_;
};

// Densities that the kernels of an instruction set leave to the host.
inline bool other_density(const Scene& scene) { return scene.gaussians.component || scene.mesh.triangle; }

// Of such a density, over the polygon of the cell at a place, which is in the scratch.
Moments moments_over(const Scene& scene, index_t place, int size, const Scratch& scratch);

// Along segments, for whichever density a scene has.
class SceneFacet {
public:
    SceneFacet(const Scene& scene, double sx, double sy) : scene_(scene), sx_(sx), sy_(sy) {}

    FacetMoments along(Point a, Point b) const {
        switch (density_of(scene_)) {
            case Density::gaussians: return moments_along<Density::gaussians>(scene_, sx_, sy_, a, b);
            case Density::mesh: return moments_along<Density::mesh>(scene_, sx_, sy_, a, b);
            case Density::pixels: return moments_along<Density::pixels>(scene_, sx_, sy_, a, b);
            default: return moments_along<Density::uniform>(scene_, sx_, sy_, a, b);
        }
    }

private:
    const Scene& scene_;
    double sx_, sy_;
};

}  // namespace deblai::laguerre
