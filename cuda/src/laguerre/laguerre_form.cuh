// The form of a problem on the device: prepared on the host, which has its arrays, and sent.
#pragma once

#include <vector>

#include "call.cuh"
#include "deblai/laguerre_form.hpp"

namespace deblai::cuda::laguerre {

class DeviceForm {
public:
    void take(Arena& arena, const deblai::laguerre::Form& form) {
        corner_x_ = arena.take<double>(form.corners.rows);
        corner_y_ = arena.take<double>(form.corners.rows);
        gaussian_ = arena.take<Gaussian>(form.gaussians.rows);
        triangle_ = arena.take<MeshTriangle>(form.triangles.rows);
        box_ = arena.take<MeshBox>(form.triangles ? deblai::laguerre::FormArrays::boxes(form.triangles.rows) : 0);
    }

    // Fills what the scene, whose box is there, says of the form. Returns when all is sent.
    void fill(const Call& call, const deblai::laguerre::Form& form, deblai::laguerre::Scene& scene, bool integrate) {
        const deblai::laguerre::FormArrays arrays(form, scene, integrate);
        const auto send = [&](auto& at, auto* to, const auto& from) {
            if (from.empty()) return;
            call.check(
                cudaMemcpyAsync(to, from.data(), from.size() * sizeof from[0], cudaMemcpyHostToDevice, call.stream()),
                "cudaMemcpyAsync");
            at = to;
        };
        send(scene.corner_x, corner_x_, arrays.corner_x);
        send(scene.corner_y, corner_y_, arrays.corner_y);
        send(scene.gaussians.component, gaussian_, arrays.gaussian);
        send(scene.mesh.triangle, triangle_, arrays.triangle);
        send(scene.mesh.box, box_, arrays.box);
        call.wait();
    }

private:
    double *corner_x_, *corner_y_;
    Gaussian* gaussian_;
    MeshTriangle* triangle_;
    MeshBox* box_;
};

}  // namespace deblai::cuda::laguerre
