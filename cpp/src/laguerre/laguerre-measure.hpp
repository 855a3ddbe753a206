// What cells hold: the domain and the density of a problem, checked, of total mass 1, as a scene wants them.
#pragma once

#include <vector>

#include "buffer.hpp"
#include "deblai/laguerre.hpp"
#include "laguerre-kernels.hpp"

namespace deblai::laguerre {

class Measure {
public:
    // Fills what the scene says of the measure; its density only where `integrate` says so.
    template <class T>
    Measure(const Problem<T>& problem, Scene& scene, bool integrate);

    static std::size_t bytes(const Form& form);

private:
    void set_domain(const Matrix<const double>& corners, Scene& scene);
    void set_gaussians(const Matrix<const double>& given, Scene& scene);
    void set_mesh(const Form& form, Scene& scene);

    Buffer pixels_;
    std::vector<double> corner_x_, corner_y_;
    std::vector<Gaussian> gaussian_;
    std::vector<MeshTriangle> triangle_;
    std::vector<MeshBox> box_;
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
        if (scene_.gaussians.component) return GaussianFacet(scene_.gaussians, sx_, sy_).along(a, b);
        if (scene_.mesh.triangle) return MeshFacet(scene_.mesh, sx_, sy_).along(a, b);
        return PixelFacet(scene_.pixels, sx_, sy_).along(a, b);
    }

private:
    const Scene& scene_;
    double sx_, sy_;
};

}  // namespace deblai::laguerre
