#include <pybind11/stl.h>

#include <array>

#include "bind.hpp"
#include "deblai/cuda/laguerre.hpp"

namespace deblai::bind {
namespace {

using Corner = std::array<double, 2>;
using Arrays = std::array<py::object, 5>;  // as in cpp/bind/bind_laguerre.cpp, on the host

Arrays no_arrays() { return {py::none(), py::none(), py::none(), py::none(), py::none()}; }

template <class T>
laguerre::Problem<T> cells_of(py::handle sites, py::handle psi, py::handle density, const Corner& lower,
                              const Corner& upper, bool periodic, const Arrays& form) {
    constexpr Device gpu = Device::cuda;
    return {matrix<const T>(sites, "sites", gpu),
            vector<const T>(psi, "psi", gpu),
            {lower[0], lower[1]},
            {upper[0], upper[1]},
            matrix<const T>(density, "density", gpu),
            periodic,
            {matrix<const double>(form[0], "form"), matrix<const double>(form[1], "form"),
             matrix<const double>(form[2], "form"), matrix<const std::int64_t>(form[3], "form"),
             vector<const double>(form[4], "form")}};
}

py::tuple cells(py::handle sites, py::handle psi, py::handle density, const Corner& lower, const Corner& upper,
                bool periodic, py::handle mass, py::handle centroid, py::handle second_moment, py::handle count,
                py::handle grad_sites, std::uintptr_t stream, int device, const Arrays& form) {
    return by_dtype(sites, "sites", [&](auto type) {
        using T = decltype(type);
        constexpr Device gpu = Device::cuda;
        const auto q = cells_of<T>(sites, psi, density, lower, upper, periodic, form);
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
                 py::handle offsets, py::handle vertices, py::handle neighbours, std::uintptr_t stream, int device,
                 const Arrays& form) {
    return by_dtype(sites, "sites", [&](auto type) {
        using T = decltype(type);
        constexpr Device gpu = Device::cuda;
        const auto q = cells_of<T>(sites, psi, py::none(), lower, upper, periodic, form);
        const auto begin = vector<const std::int64_t>(offsets, "offsets", gpu);
        const auto v = matrix<T>(vertices, "vertices", gpu);
        const auto across = vector<std::int64_t>(neighbours, "neighbours", gpu);
        return interruptible(0, "", [&](const Control& control) {
            return cuda::laguerre::polygons(q, begin, v, across, reinterpret_cast<void*>(stream), device, control.poll,
                                            control.context);
        });
    });
}

index_t facets(py::handle sites, py::handle psi, py::handle density, const Corner& lower, const Corner& upper,
               bool periodic, py::handle offsets, py::handle neighbours, py::handle mass, py::handle first,
               py::handle second, py::handle offset, std::uintptr_t stream, int device, const Arrays& form) {
    return by_dtype(sites, "sites", [&](auto type) {
        using T = decltype(type);
        constexpr Device gpu = Device::cuda;
        const auto q = cells_of<T>(sites, psi, density, lower, upper, periodic, form);
        const auto begin = vector<const std::int64_t>(offsets, "offsets", gpu);
        const laguerre::Facets<T> out{vector<T>(mass, "mass", gpu), matrix<T>(first, "first", gpu),
                                      matrix<T>(second, "second", gpu), matrix<T>(offset, "offset", gpu),
                                      vector<std::int64_t>(neighbours, "neighbours", gpu)};
        return interruptible(0, "", [&](const Control& control) {
            return cuda::laguerre::facets(q, begin, out, reinterpret_cast<void*>(stream), device, control.poll,
                                          control.context);
        });
    });
}

}  // namespace

void register_laguerre(py::module_& m) {
    m.def("laguerre", &cells, py::arg("sites"), py::arg("psi"), py::arg("density"), py::arg("lower"), py::arg("upper"),
          py::arg("periodic"), py::arg("mass"), py::arg("centroid"), py::arg("second_moment"), py::arg("count"),
          py::arg("grad_sites"), py::arg("stream"), py::arg("device"), py::arg("form") = no_arrays(),
          "Mass, centroid, second moment and number of vertices of each cell. Returns the number of cells done, the "
          "energy and the value.");
    m.def("laguerre_polygons", &polygons, py::arg("sites"), py::arg("psi"), py::arg("lower"), py::arg("upper"),
          py::arg("periodic"), py::arg("offsets"), py::arg("vertices"), py::arg("neighbours"), py::arg("stream"),
          py::arg("device"), py::arg("form") = no_arrays(),
          "Polygons of the cells whose counts `offsets` adds up. Returns the number of cells done.");
    m.def("laguerre_facets", &facets, py::arg("sites"), py::arg("psi"), py::arg("density"), py::arg("lower"),
          py::arg("upper"), py::arg("periodic"), py::arg("offsets"), py::arg("neighbours"), py::arg("mass"),
          py::arg("first"), py::arg("second"), py::arg("offset"), py::arg("stream"), py::arg("device"),
          py::arg("form") = no_arrays(),
          "The density along the edges of the polygons. Returns the number of cells done.");
}

}  // namespace deblai::bind
