// The form of a problem as a scene wants it: checked, of total mass 1, triangles along a curve under their boxes. On
// the host; whoever computes elsewhere copies the arrays and points the scene to the copies.
#pragma once

#include <cstddef>
#include <vector>

#include "deblai/laguerre.hpp"
#include "deblai/laguerre_scene.hpp"

namespace deblai::laguerre {

class FormArrays {
public:
    // Fills what the scene, whose box is there, says of the form; its density only where `integrate` says so.
    FormArrays(const Form& form, Scene& scene, bool integrate);

    std::vector<double> corner_x, corner_y;
    std::vector<Gaussian> gaussian;
    std::vector<MeshTriangle> triangle;
    std::vector<MeshBox> box;

    static std::size_t bytes(const Form& form);
    // The most boxes over a number of triangles.
    static index_t boxes(index_t triangles) { return triangles + triangles / 3 + Mesh::max_levels; }

private:
    void set_domain(const Matrix<const double>& corners, Scene& scene);
    void set_gaussians(const Matrix<const double>& given, Scene& scene);
    void set_mesh(const Form& form, Scene& scene);
};

}  // namespace deblai::laguerre
