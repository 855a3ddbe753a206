#include <pybind11/stl.h>

#include <array>

#include "bind.hpp"
#include "deblai/cuda/laguerre3.hpp"

namespace deblai::bind {
namespace {

using Corner = std::array<double, 3>;
constexpr Device gpu = Device::cuda;

template <class T>
laguerre3::Problem<T> problem(py::handle sites, py::handle psi, py::handle density, const Corner& lower,
                              const Corner& upper, bool periodic, py::handle planes) {
    return {matrix<const T>(sites, "sites", gpu),
            vector<const T>(psi, "psi", gpu),
            {lower[0], lower[1], lower[2]},
            {upper[0], upper[1], upper[2]},
            periodic,
            volume<const T>(density, "density", gpu),
            matrix<const double>(planes, "planes")};
}

py::tuple cells(py::handle sites, py::handle psi, py::handle density, const Corner& lower, const Corner& upper,
                bool periodic, py::handle planes, py::handle mass, py::handle centroid, py::handle second_moment,
                py::handle counts, py::handle grad_sites, std::uintptr_t stream, int device) {
    return by_dtype(sites, "sites", [&](auto type) {
        using T = decltype(type);
        const auto q = problem<T>(sites, psi, density, lower, upper, periodic, planes);
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

index_t polyhedra(py::handle sites, py::handle psi, py::handle density, const Corner& lower, const Corner& upper,
                  bool periodic, py::handle planes, py::handle offsets, py::handle vertices, py::handle neighbours,
                  py::handle areas, py::handle facet_offsets, py::handle corners, std::uintptr_t stream, int device) {
    return by_dtype(sites, "sites", [&](auto type) {
        using T = decltype(type);
        const auto q = problem<T>(sites, psi, density, lower, upper, periodic, planes);
        const laguerre3::Polyhedra<T> out{
            matrix<const std::int64_t>(offsets, "offsets", gpu),       matrix<T>(vertices, "vertices", gpu),
            vector<std::int64_t>(neighbours, "neighbours", gpu),       vector<T>(areas, "areas", gpu),
            vector<std::int64_t>(facet_offsets, "facet_offsets", gpu), vector<std::int64_t>(corners, "corners", gpu)};
        return interruptible(0, "", [&](const Control& control) {
            return cuda::laguerre3::polyhedra(q, out, reinterpret_cast<void*>(stream), device, control.poll,
                                              control.context);
        });
    });
}

index_t facets(py::handle sites, py::handle psi, py::handle density, const Corner& lower, const Corner& upper,
               bool periodic, py::handle planes, py::handle offsets, py::handle neighbours, py::handle mass,
               py::handle first, py::handle second, py::handle offset, std::uintptr_t stream, int device) {
    return by_dtype(sites, "sites", [&](auto type) {
        using T = decltype(type);
        const auto q = problem<T>(sites, psi, density, lower, upper, periodic, planes);
        const auto begin = matrix<const std::int64_t>(offsets, "offsets", gpu);
        const laguerre3::Facets<T> out{vector<std::int64_t>(neighbours, "neighbours", gpu),
                                       vector<T>(mass, "mass", gpu), matrix<T>(first, "first", gpu),
                                       matrix<T>(second, "second", gpu), matrix<T>(offset, "offset", gpu)};
        return interruptible(0, "", [&](const Control& control) {
            return cuda::laguerre3::facets(q, begin, out, reinterpret_cast<void*>(stream), device, control.poll,
                                           control.context);
        });
    });
}

}  // namespace

void register_laguerre3(py::module_& m) {
    m.def(
        "laguerre3", &cells, py::arg("sites"), py::arg("psi"), py::arg("density"), py::arg("lower"), py::arg("upper"),
        py::arg("periodic"), py::arg("planes"), py::arg("mass"), py::arg("centroid"), py::arg("second_moment"),
        py::arg("counts"), py::arg("grad_sites"), py::arg("stream"), py::arg("device"),
        "Mass, centroid, second moment and numbers of vertices, facets and corners of each cell of space; `planes` lie "
        "on the host. Returns the number of cells done, the energy and the value.");
    m.def("laguerre3_polyhedra", &polyhedra, py::arg("sites"), py::arg("psi"), py::arg("density"), py::arg("lower"),
          py::arg("upper"), py::arg("periodic"), py::arg("planes"), py::arg("offsets"), py::arg("vertices"),
          py::arg("neighbours"), py::arg("areas"), py::arg("facet_offsets"), py::arg("corners"), py::arg("stream"),
          py::arg("device"),
          "Polyhedra of the cells whose counts `offsets` adds up. Returns the number of cells done.");
    m.def("laguerre3_facets", &facets, py::arg("sites"), py::arg("psi"), py::arg("density"), py::arg("lower"),
          py::arg("upper"), py::arg("periodic"), py::arg("planes"), py::arg("offsets"), py::arg("neighbours"),
          py::arg("mass"), py::arg("first"), py::arg("second"), py::arg("offset"), py::arg("stream"), py::arg("device"),
          "The density on the facets of the polyhedra. Returns the number of cells done.");
}

}  // namespace deblai::bind
