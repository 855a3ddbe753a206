#include <pybind11/stl.h>

#include <array>

#include "bind.hpp"
#include "deblai/descents.hpp"

namespace deblai::bind {
namespace {

using Corner = std::vector<double>;
using Arrays = std::vector<py::object>;  // of a Form: corners or planes, points, triangles, values, gaussians, or None

void require_sizes(const Corner& lower, const Corner& upper, const Arrays& form) {
    if ((lower.size() != 2 && lower.size() != 3) || upper.size() != lower.size() || form.size() != 5)
        throw InvalidType("lower: expected two corners of 2 or 3 numbers, and a form of 5 arrays");
}

laguerre::Problem<double> plane(py::handle sites, py::handle density, const Corner& lower, const Corner& upper,
                                bool periodic, const Arrays& form) {
    return {matrix<const double>(sites, "sites"),
            {},
            {lower[0], lower[1]},
            {upper[0], upper[1]},
            matrix<const double>(density, "density"),
            periodic,
            {matrix<const double>(form[0], "form"), matrix<const double>(form[4], "form"),
             matrix<const double>(form[1], "form"), matrix<const std::int64_t>(form[2], "form"),
             vector<const double>(form[3], "form")}};
}

laguerre3::Problem<double> space(py::handle sites, py::handle density, const Corner& lower, const Corner& upper,
                                 bool periodic, const Arrays& form) {
    return {matrix<const double>(sites, "sites"), {},       {lower[0], lower[1], lower[2]},
            {upper[0], upper[1], upper[2]},       periodic, volume<const double>(density, "density"),
            matrix<const double>(form[0], "form")};
}

index_t cells(py::handle sites, py::handle density, const Corner& lower, const Corner& upper, bool periodic,
              const Arrays& form, double p, py::handle mass, py::handle energy, py::handle gradient, py::handle second,
              py::handle counts, int threads, const std::string& simd) {
    require_sizes(lower, upper, form);
    const powers::Output out{vector<double>(mass, "mass"), vector<double>(energy, "energy"),
                             matrix<double>(gradient, "gradient"), matrix<double>(second, "second"),
                             matrix<std::int64_t>(counts, "counts")};
    const auto run = [&](const auto& q) {
        return interruptible(threads, simd, [&](const Control& control) { return powers::cells(q, p, out, control); });
    };
    if (lower.size() == 2) return run(plane(sites, density, lower, upper, periodic, form));
    return run(space(sites, density, lower, upper, periodic, form));
}

index_t facets(py::handle sites, py::handle density, const Corner& lower, const Corner& upper, bool periodic,
               const Arrays& form, double p, py::handle offsets, py::handle neighbours, py::handle mass,
               py::handle first, py::handle second, py::handle offset, int threads, const std::string& simd) {
    require_sizes(lower, upper, form);
    const auto across = vector<std::int64_t>(neighbours, "neighbours");
    const auto m = vector<double>(mass, "mass");
    const auto f = matrix<double>(first, "first"), s = matrix<double>(second, "second"),
               d = matrix<double>(offset, "offset");
    const auto run = [&](const auto& q, const auto& begin, const auto& out) {
        return interruptible(threads, simd,
                             [&](const Control& control) { return powers::facets(q, p, begin, out, control); });
    };
    if (lower.size() == 2)
        return run(plane(sites, density, lower, upper, periodic, form), vector<const std::int64_t>(offsets, "offsets"),
                   laguerre::Facets<double>{m, f, s, d, across});
    return run(space(sites, density, lower, upper, periodic, form), matrix<const std::int64_t>(offsets, "offsets"),
               laguerre3::Facets<double>{across, m, f, s, d});
}

bool descend(py::handle first, py::handle density, const Corner& lower, const Corner& upper, bool periodic,
             const Arrays& form, double p, double tol, int max_iter, bool invariant, py::handle sites,
             py::handle history, py::handle n_iter, py::handle end, int threads, const std::string& simd) {
    require_sizes(lower, upper, form);
    const descents::Options options{p, tol, max_iter, invariant};
    const descents::Output out{matrix<double>(sites, "sites"), matrix<double>(history, "history"),
                               vector<std::int64_t>(n_iter, "n_iter"), vector<std::int64_t>(end, "end")};
    const auto run = [&](const auto& q) {
        return interruptible(threads, simd,
                             [&](const Control& control) { return descents::descend(q, options, out, control); });
    };
    if (lower.size() == 2) return run(plane(first, density, lower, upper, periodic, form));
    return run(space(first, density, lower, upper, periodic, form));
}

}  // namespace

void register_powers(py::module_& m) {
    m.def("powers", &cells, py::arg("sites"), py::arg("density"), py::arg("lower"), py::arg("upper"),
          py::arg("periodic"), py::arg("form"), py::arg("p"), py::arg("mass"), py::arg("energy"), py::arg("gradient"),
          py::arg("second"), py::arg("counts"), py::arg("threads"), py::arg("simd"),
          "Integrals of |x - y|^p over the cells of Voronoi of the plane or of space, and two derivatives of fixed "
          "cells. Returns the number of cells done.");
    m.def("powers_facets", &facets, py::arg("sites"), py::arg("density"), py::arg("lower"), py::arg("upper"),
          py::arg("periodic"), py::arg("form"), py::arg("p"), py::arg("offsets"), py::arg("neighbours"),
          py::arg("mass"), py::arg("first"), py::arg("second"), py::arg("offset"), py::arg("threads"), py::arg("simd"),
          "The density times |x - y|^(p-2) on the facets. Returns the number of cells done.");
    m.def("descend", &descend, py::arg("first"), py::arg("density"), py::arg("lower"), py::arg("upper"),
          py::arg("periodic"), py::arg("form"), py::arg("p"), py::arg("tol"), py::arg("max_iter"), py::arg("invariant"),
          py::arg("sites"), py::arg("history"), py::arg("n_iter"), py::arg("end"), py::arg("threads"), py::arg("simd"),
          "Descents of the energy of quantization from rows of sites, of which `first` has the shape: `end` says "
          "converged, stuck, out of steps, a cell without mass, stopped. False after a stop.");
}

}  // namespace deblai::bind
