#include <pybind11/stl.h>

#include <array>

#include "bind.hpp"
#include "deblai/cuda/laguerre.hpp"

namespace deblai::bind {
namespace {

using Corner = std::array<double, 2>;

template <class T>
laguerre::Problem<T> cells_of(py::handle sites, py::handle psi, py::handle density, const Corner& lower,
                              const Corner& upper, bool periodic) {
    constexpr Device gpu = Device::cuda;
    return {matrix<const T>(sites, "sites", gpu),
            vector<const T>(psi, "psi", gpu),
            {lower[0], lower[1]},
            {upper[0], upper[1]},
            matrix<const T>(density, "density", gpu),
            periodic};
}

py::tuple cells(py::handle sites, py::handle psi, py::handle density, const Corner& lower, const Corner& upper,
                bool periodic, py::handle mass, py::handle centroid, py::handle second_moment, py::handle count,
                py::handle grad_sites, std::uintptr_t stream, int device) {
    return by_dtype(sites, "sites", [&](auto type) {
        using T = decltype(type);
        constexpr Device gpu = Device::cuda;
        const auto q = cells_of<T>(sites, psi, density, lower, upper, periodic);
        const laguerre::Output<T> out{vector<T>(mass, "mass", gpu), matrix<T>(centroid, "centroid", gpu),
                                      vector<T>(second_moment, "second_moment", gpu),
                                      vector<std::int64_t>(count, "count", gpu),
                                      matrix<T>(grad_sites, "grad_sites", gpu)};
        const laguerre::Summary s = interruptible(0, "", [&](const Control& control) {
            return cuda::laguerre::cells(q, out, reinterpret_cast<void*>(stream), device, control.poll,
                                         control.context);
        });
        return py::make_tuple(s.done, s.energy, s.value);
    });
}

index_t polygons(py::handle sites, py::handle psi, const Corner& lower, const Corner& upper, bool periodic,
                 py::handle offsets, py::handle vertices, py::handle neighbours, std::uintptr_t stream, int device) {
    return by_dtype(sites, "sites", [&](auto type) {
        using T = decltype(type);
        constexpr Device gpu = Device::cuda;
        const auto q = cells_of<T>(sites, psi, py::none(), lower, upper, periodic);
        const auto begin = vector<const std::int64_t>(offsets, "offsets", gpu);
        const auto v = matrix<T>(vertices, "vertices", gpu);
        const auto across = vector<std::int64_t>(neighbours, "neighbours", gpu);
        return interruptible(0, "", [&](const Control& control) {
            return cuda::laguerre::polygons(q, begin, v, across, reinterpret_cast<void*>(stream), device, control.poll,
                                            control.context);
        });
    });
}

}  // namespace

void register_laguerre(py::module_& m) {
    m.def("laguerre", &cells, py::arg("sites"), py::arg("psi"), py::arg("density"), py::arg("lower"), py::arg("upper"),
          py::arg("periodic"), py::arg("mass"), py::arg("centroid"), py::arg("second_moment"), py::arg("count"),
          py::arg("grad_sites"), py::arg("stream"), py::arg("device"),
          "Mass, centroid, second moment and number of vertices of each cell. Returns the number of cells done, the "
          "energy and the value.");
    m.def("laguerre_polygons", &polygons, py::arg("sites"), py::arg("psi"), py::arg("lower"), py::arg("upper"),
          py::arg("periodic"), py::arg("offsets"), py::arg("vertices"), py::arg("neighbours"), py::arg("stream"),
          py::arg("device"), "Polygons of the cells whose counts `offsets` adds up. Returns the number of cells done.");
}

}  // namespace deblai::bind
