#include <pybind11/stl.h>

#include <array>

#include "bind.hpp"
#include "deblai/laguerre.hpp"
#include "deblai/laplacian.hpp"

namespace deblai::bind {
namespace {

using Corner = std::array<double, 2>;
using Arrays = std::array<py::object, 5>;  // corners, gaussians, points, triangles, values of a Form, or None each

Arrays no_arrays() { return {py::none(), py::none(), py::none(), py::none(), py::none()}; }

template <class T>
laguerre::Problem<T> problem(py::handle sites, py::handle psi, py::handle density, const Corner& lower,
                             const Corner& upper, bool periodic, const Arrays& form = no_arrays()) {
    return {matrix<const T>(sites, "sites"),
            vector<const T>(psi, "psi"),
            {lower[0], lower[1]},
            {upper[0], upper[1]},
            matrix<const T>(density, "density"),
            periodic,
            {matrix<const double>(form[0], "form"), matrix<const double>(form[1], "form"),
             matrix<const double>(form[2], "form"), matrix<const std::int64_t>(form[3], "form"),
             vector<const double>(form[4], "form")}};
}

py::tuple cells(py::handle sites, py::handle psi, py::handle density, const Corner& lower, const Corner& upper,
                bool periodic, py::handle mass, py::handle centroid, py::handle second_moment, py::handle count,
                py::handle grad_sites, int threads, const std::string& simd, const std::array<py::object, 4>& graph,
                const std::array<py::object, 2>& known, const Arrays& form) {
    return by_dtype(sites, "sites", [&](auto type) {
        using T = decltype(type);
        auto q = problem<T>(sites, psi, density, lower, upper, periodic, form);
        q.known = {vector<const std::int32_t>(known[0], "known"), vector<const std::int32_t>(known[1], "known")};
        const laguerre::Output<T> out{vector<T>(mass, "mass"),
                                      matrix<T>(centroid, "centroid"),
                                      vector<T>(second_moment, "second_moment"),
                                      vector<std::int64_t>(count, "count"),
                                      matrix<T>(grad_sites, "grad_sites"),
                                      {vector<std::int32_t>(graph[0], "graph"), vector<std::int32_t>(graph[1], "graph"),
                                       vector<double>(graph[2], "graph"), vector<double>(graph[3], "graph")}};
        const laguerre::Summary s =
            interruptible(threads, simd, [&](const Control& control) { return laguerre::cells(q, out, control); });
        return py::make_tuple(s.done, s.energy, s.value, s.entries, s.area);
    });
}

index_t polygons(py::handle sites, py::handle psi, const Corner& lower, const Corner& upper, bool periodic,
                 py::handle offsets, py::handle vertices, py::handle neighbours, int threads, const std::string& simd,
                 const Arrays& form) {
    return by_dtype(sites, "sites", [&](auto type) {
        using T = decltype(type);
        const auto q = problem<T>(sites, psi, py::none(), lower, upper, periodic, form);
        const auto begin = vector<const std::int64_t>(offsets, "offsets");
        const auto v = matrix<T>(vertices, "vertices");
        const auto across = vector<std::int64_t>(neighbours, "neighbours");
        return interruptible(threads, simd,
                             [&](const Control& control) { return laguerre::polygons(q, begin, v, across, control); });
    });
}

index_t facets(py::handle sites, py::handle psi, py::handle density, const Corner& lower, const Corner& upper,
               bool periodic, py::handle offsets, py::handle neighbours, py::handle mass, py::handle first,
               py::handle second, py::handle offset, int threads, const std::string& simd, const Arrays& form) {
    return by_dtype(sites, "sites", [&](auto type) {
        using T = decltype(type);
        const auto q = problem<T>(sites, psi, density, lower, upper, periodic, form);
        const auto begin = vector<const std::int64_t>(offsets, "offsets");
        const laguerre::Facets<T> out{vector<T>(mass, "mass"), matrix<T>(first, "first"), matrix<T>(second, "second"),
                                      matrix<T>(offset, "offset"), vector<std::int64_t>(neighbours, "neighbours")};
        return interruptible(threads, simd,
                             [&](const Control& control) { return laguerre::facets(q, begin, out, control); });
    });
}

py::tuple solve(py::handle begin, py::handle across, py::handle weight, py::handle rhs, py::handle x, double rtol,
                int max_iter, int threads, laplacian::Levels* levels, bool renew) {
    const laplacian::Problem q{vector<const std::int32_t>(begin, "begin"), vector<const std::int32_t>(across, "across"),
                               vector<const double>(weight, "weight"), vector<const double>(rhs, "rhs")};
    const auto out = vector<double>(x, "x");
    const laplacian::Summary s = interruptible(threads, "", [&](const Control& control) {
        return laplacian::solve(q, out, rtol, max_iter, control, levels, renew);
    });
    return py::make_tuple(s.iterations, s.levels, s.residual);
}

bool potential(py::handle sites, py::handle psi, py::handle density, const Corner& lower, const Corner& upper,
               bool periodic, py::handle out, int threads, const std::string& simd) {
    return by_dtype(sites, "sites", [&](auto type) {
        using T = decltype(type);
        const auto q = problem<T>(sites, psi, density, lower, upper, periodic, no_arrays());
        const auto v = matrix<double>(out, "out");
        return interruptible(threads, simd, [&](const Control& control) { return laguerre::potential(q, v, control); });
    });
}

std::size_t workspace(py::handle sites, py::handle psi, py::handle density, int threads, const Arrays& form) {
    return by_dtype(sites, "sites", [&](auto type) {
        using T = decltype(type);
        return laguerre::workspace_bytes(problem<T>(sites, psi, density, {0, 0}, {1, 1}, false, form), threads);
    });
}

}  // namespace

void register_laguerre(py::module_& m) {
    m.def("laguerre", &cells, py::arg("sites"), py::arg("psi"), py::arg("density"), py::arg("lower"), py::arg("upper"),
          py::arg("periodic"), py::arg("mass"), py::arg("centroid"), py::arg("second_moment"), py::arg("count"),
          py::arg("grad_sites"), py::arg("threads"), py::arg("simd"),
          py::arg("graph") = std::array<py::object, 4>{py::none(), py::none(), py::none(), py::none()},
          py::arg("known") = std::array<py::object, 2>{py::none(), py::none()}, py::arg("form") = no_arrays(),
          "Mass, centroid, second moment and number of vertices of each cell, and the graph (begin, across, coupling, "
          "bare) if it is given, from the tree or from known neighbours. Returns the number of cells done, the energy, "
          "the value, the entries of the graph, and the area of all cells.");
    m.def("laguerre_potential", &potential, py::arg("sites"), py::arg("psi"), py::arg("density"), py::arg("lower"),
          py::arg("upper"), py::arg("periodic"), py::arg("out"), py::arg("threads"), py::arg("simd"),
          "The integral over each pixel of min_i |x - y_i|^2 - psi_i.");
    m.def("laguerre_facets", &facets, py::arg("sites"), py::arg("psi"), py::arg("density"), py::arg("lower"),
          py::arg("upper"), py::arg("periodic"), py::arg("offsets"), py::arg("neighbours"), py::arg("mass"),
          py::arg("first"), py::arg("second"), py::arg("offset"), py::arg("threads"), py::arg("simd"),
          py::arg("form") = no_arrays(),
          "The density along the edges of the polygons. Returns the number of cells done.");
    m.def("laguerre_polygons", &polygons, py::arg("sites"), py::arg("psi"), py::arg("lower"), py::arg("upper"),
          py::arg("periodic"), py::arg("offsets"), py::arg("vertices"), py::arg("neighbours"), py::arg("threads"),
          py::arg("simd"), py::arg("form") = no_arrays(),
          "Polygons of the cells whose counts `offsets` adds up. Returns the number of cells done.");
    py::class_<laplacian::Levels>(m, "LaplacianLevels").def(py::init<>());
    m.def("laplacian_solve", &solve, py::arg("begin"), py::arg("across"), py::arg("weight"), py::arg("rhs"),
          py::arg("x"), py::arg("rtol"), py::arg("max_iter"), py::arg("threads"), py::arg("levels") = nullptr,
          py::arg("renew") = true,
          "The solution of mean 0 of a graph Laplacian, by levels that may be kept from the one before. Returns "
          "iterations, levels and the relative residual.");
    m.def("laguerre_workspace", &workspace, py::arg("sites"), py::arg("psi"), py::arg("density"), py::arg("threads"),
          py::arg("form") = no_arrays(), "Bytes of workspace that the same call of laguerre allocates.");
}

}  // namespace deblai::bind
