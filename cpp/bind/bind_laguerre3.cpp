#include <pybind11/stl.h>

#include <array>

#include "bind.hpp"
#include "deblai/laguerre3.hpp"

namespace deblai::bind {
namespace {

using Corner = std::array<double, 3>;

template <class T>
laguerre3::Problem<T> problem(py::handle sites, py::handle psi, py::handle density, const Corner& lower,
                              const Corner& upper, bool periodic, py::handle planes) {
    return {matrix<const T>(sites, "sites"),
            vector<const T>(psi, "psi"),
            {lower[0], lower[1], lower[2]},
            {upper[0], upper[1], upper[2]},
            periodic,
            volume<const T>(density, "density"),
            matrix<const double>(planes, "planes")};
}

py::tuple cells(py::handle sites, py::handle psi, py::handle density, const Corner& lower, const Corner& upper,
                bool periodic, py::handle planes, py::handle mass, py::handle centroid, py::handle second_moment,
                py::handle counts, py::handle grad_sites, int threads, const std::string& simd) {
    return by_dtype(sites, "sites", [&](auto type) {
        using T = decltype(type);
        const auto q = problem<T>(sites, psi, density, lower, upper, periodic, planes);
        const laguerre3::Output<T> out{vector<T>(mass, "mass"), matrix<T>(centroid, "centroid"),
                                       vector<T>(second_moment, "second_moment"),
                                       matrix<std::int64_t>(counts, "counts"), matrix<T>(grad_sites, "grad_sites")};
        const laguerre3::Summary s =
            interruptible(threads, simd, [&](const Control& control) { return laguerre3::cells(q, out, control); });
        return py::make_tuple(s.done, s.energy, s.value);
    });
}

index_t polyhedra(py::handle sites, py::handle psi, py::handle density, const Corner& lower, const Corner& upper,
                  bool periodic, py::handle planes, py::handle offsets, py::handle vertices, py::handle neighbours,
                  py::handle areas, py::handle facet_offsets, py::handle corners, int threads,
                  const std::string& simd) {
    return by_dtype(sites, "sites", [&](auto type) {
        using T = decltype(type);
        const auto q = problem<T>(sites, psi, density, lower, upper, periodic, planes);
        const laguerre3::Polyhedra<T> out{
            matrix<const std::int64_t>(offsets, "offsets"),       matrix<T>(vertices, "vertices"),
            vector<std::int64_t>(neighbours, "neighbours"),       vector<T>(areas, "areas"),
            vector<std::int64_t>(facet_offsets, "facet_offsets"), vector<std::int64_t>(corners, "corners")};
        return interruptible(threads, simd,
                             [&](const Control& control) { return laguerre3::polyhedra(q, out, control); });
    });
}

index_t facets(py::handle sites, py::handle psi, py::handle density, const Corner& lower, const Corner& upper,
               bool periodic, py::handle planes, py::handle offsets, py::handle neighbours, py::handle mass,
               py::handle first, py::handle second, py::handle offset, int threads, const std::string& simd) {
    return by_dtype(sites, "sites", [&](auto type) {
        using T = decltype(type);
        const auto q = problem<T>(sites, psi, density, lower, upper, periodic, planes);
        const auto begin = matrix<const std::int64_t>(offsets, "offsets");
        const laguerre3::Facets<T> out{vector<std::int64_t>(neighbours, "neighbours"), vector<T>(mass, "mass"),
                                       matrix<T>(first, "first"), matrix<T>(second, "second"),
                                       matrix<T>(offset, "offset")};
        return interruptible(threads, simd,
                             [&](const Control& control) { return laguerre3::facets(q, begin, out, control); });
    });
}

std::size_t workspace(py::handle sites, py::handle psi, py::handle density, int threads) {
    return by_dtype(sites, "sites", [&](auto type) {
        using T = decltype(type);
        return laguerre3::workspace_bytes(problem<T>(sites, psi, density, {0, 0, 0}, {1, 1, 1}, false, py::none()),
                                          threads);
    });
}

}  // namespace

void register_laguerre3(py::module_& m) {
    m.def(
        "laguerre3", &cells, py::arg("sites"), py::arg("psi"), py::arg("density"), py::arg("lower"), py::arg("upper"),
        py::arg("periodic"), py::arg("planes"), py::arg("mass"), py::arg("centroid"), py::arg("second_moment"),
        py::arg("counts"), py::arg("grad_sites"), py::arg("threads"), py::arg("simd"),
        "Mass, centroid, second moment and numbers of vertices, facets and corners of each cell of space. Returns the "
        "number of cells done, the energy and the value.");
    m.def("laguerre3_polyhedra", &polyhedra, py::arg("sites"), py::arg("psi"), py::arg("density"), py::arg("lower"),
          py::arg("upper"), py::arg("periodic"), py::arg("planes"), py::arg("offsets"), py::arg("vertices"),
          py::arg("neighbours"), py::arg("areas"), py::arg("facet_offsets"), py::arg("corners"), py::arg("threads"),
          py::arg("simd"), "Polyhedra of the cells whose counts `offsets` adds up. Returns the number of cells done.");
    m.def("laguerre3_facets", &facets, py::arg("sites"), py::arg("psi"), py::arg("density"), py::arg("lower"),
          py::arg("upper"), py::arg("periodic"), py::arg("planes"), py::arg("offsets"), py::arg("neighbours"),
          py::arg("mass"), py::arg("first"), py::arg("second"), py::arg("offset"), py::arg("threads"), py::arg("simd"),
          "The density on the facets of the polyhedra. Returns the number of cells done.");
    m.def("laguerre3_workspace", &workspace, py::arg("sites"), py::arg("psi"), py::arg("density"), py::arg("threads"),
          "Bytes of workspace that the same call of laguerre3 allocates.");
}

}  // namespace deblai::bind
