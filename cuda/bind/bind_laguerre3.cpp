#include <pybind11/stl.h>

#include <array>

#include "bind.hpp"
#include "deblai/cuda/laguerre3.hpp"

namespace deblai::bind {
namespace {

using Corner = std::array<double, 3>;

py::tuple cells(py::handle sites, py::handle psi, const Corner& lower, const Corner& upper, bool periodic,
                py::handle mass, py::handle centroid, py::handle second_moment, py::handle counts,
                py::handle grad_sites, std::uintptr_t stream, int device) {
    return by_dtype(sites, "sites", [&](auto type) {
        using T = decltype(type);
        constexpr Device gpu = Device::cuda;
        const laguerre3::Problem<T> q{matrix<const T>(sites, "sites", gpu),
                                      vector<const T>(psi, "psi", gpu),
                                      {lower[0], lower[1], lower[2]},
                                      {upper[0], upper[1], upper[2]},
                                      periodic};
        const laguerre3::Output<T> out{vector<T>(mass, "mass", gpu), matrix<T>(centroid, "centroid", gpu),
                                       vector<T>(second_moment, "second_moment", gpu),
                                       matrix<std::int64_t>(counts, "counts", gpu),
                                       matrix<T>(grad_sites, "grad_sites", gpu)};
        const laguerre3::Summary s = interruptible(0, "", [&](const Control& control) {
            return cuda::laguerre3::cells(q, out, reinterpret_cast<void*>(stream), device, control.poll,
                                          control.context);
        });
        return py::make_tuple(s.done, s.energy, s.value);
    });
}

}  // namespace

void register_laguerre3(py::module_& m) {
    m.def("laguerre3", &cells, py::arg("sites"), py::arg("psi"), py::arg("lower"), py::arg("upper"),
          py::arg("periodic"), py::arg("mass"), py::arg("centroid"), py::arg("second_moment"), py::arg("counts"),
          py::arg("grad_sites"), py::arg("stream"), py::arg("device"),
          "Mass, centroid, second moment and number of vertices of each cell of space. Returns the number of cells "
          "done, the energy and the value.");
}

}  // namespace deblai::bind
