// Arguments of multimarginal as Python gives them, for the bindings of the CPU and of CUDA.
#pragma once

#include <pybind11/stl.h>

#include <optional>
#include <utility>
#include <vector>

#include "bind.hpp"
#include "deblai/multimarginal.hpp"

namespace deblai::bind {

// None for the complete graph.
using Edges = std::optional<std::vector<std::pair<int, int>>>;

// The arrays behind a Problem, alive for one call.
template <class T>
struct Arguments {
    std::vector<multimarginal::Marginal<T>> marginals;
    std::vector<Matrix<const T>> costs;
    std::vector<multimarginal::Edge> edges;
    multimarginal::Problem<T> problem;

    Arguments(const std::vector<py::object>& points, const std::vector<py::object>& weights,
              const std::vector<py::object>& cost_matrices, const std::vector<index_t>& sizes, int n_marginals,
              int kind, double s, double strength, double epsilon, const Edges& pairs, Device device) {
        if (points.size() != sizes.size() || weights.size() != sizes.size())
            throw InvalidType("points, weights: expected one a distinct marginal");
        for (std::size_t p = 0; p < sizes.size(); ++p)
            marginals.push_back({sizes[p], matrix<const T>(points[p], "points", device),
                                 vector<const T>(weights[p], "weights", device)});
        for (const auto& c : cost_matrices) costs.push_back(matrix<const T>(c, "cost", device));
        const bool symmetric = sizes.size() == 1;
        problem = {n_marginals,
                   symmetric,
                   marginals.data(),
                   costs.empty() ? nullptr : costs.data(),
                   {static_cast<PairCost::Kind>(kind), s, strength},
                   epsilon};
        if (pairs) {
            edges.reserve(pairs->size() + 1);  // not null where there are none
            for (const auto& [p, q] : *pairs) edges.push_back({p, q});
            problem.edges = edges.data();
            problem.edge_count = static_cast<index_t>(edges.size());
        }
        if (!symmetric && sizes.size() != static_cast<std::size_t>(n_marginals))
            throw InvalidType("points: expected one marginal, or all");
        if (!costs.empty() && costs.size() != static_cast<std::size_t>(problem.pairs()))
            throw InvalidType("cost: expected one matrix a pair");
    }
    Arguments(const Arguments&) = delete;
};

using Objects = std::vector<py::object>;

// Calls f(arguments) with the dtype of the first array among points and costs.
template <class F>
auto with_arguments(const Objects& points, const Objects& weights, const Objects& costs,
                    const std::vector<index_t>& sizes, int n_marginals, int kind, double s, double strength,
                    double epsilon, const Edges& edges, Device device, F&& f) {
    const py::object& first = costs.empty() ? points.at(0) : costs.at(0);
    return by_dtype(first, "points", [&](auto type) {
        using T = decltype(type);
        const Arguments<T> arguments(points, weights, costs, sizes, n_marginals, kind, s, strength, epsilon, edges,
                                     device);
        return f(arguments.problem);
    });
}

inline double* doubles(py::handle capsule, index_t size, const char* what) {
    const auto v = vector<double>(capsule, what);
    if (v.size < size || v.stride != 1) throw InvalidType(std::string(what) + ": expected contiguous float64");
    return v.data;
}

// A Python callable that is told of progress; what it raises ends the call.
struct Report {
    const py::object& callable;
    std::optional<py::error_already_set> raised;

    static bool run(void* context, index_t sweeps) {
        auto& self = *static_cast<Report*>(context);
        const py::gil_scoped_acquire gil;
        try {
            return self.callable(sweeps).cast<bool>();
        } catch (py::error_already_set& error) {
            self.raised.emplace(std::move(error));
            return true;
        }
    }
};

template <class T>
index_t length(const multimarginal::Problem<T>& q) {
    index_t total = 0;
    for (int p = 0; p < q.distinct(); ++p) total += q.marginals[p].size;
    return total;
}

// The arrays that an evaluation writes.
template <class T>
struct Outputs {
    std::vector<Matrix<T>> plans, gradients;
    multimarginal::Output<T> output;

    Outputs(const multimarginal::Problem<T>& q, const Objects& pairs, const Objects& grad_points, bool plans_only,
            Device device) {
        for (const auto& p : pairs) plans.push_back(matrix<T>(p, "pairs", device));
        for (const auto& g : grad_points) gradients.push_back(matrix<T>(g, "grad_points", device));
        if (!plans.empty() && plans.size() != static_cast<std::size_t>(q.pairs()))
            throw InvalidType("pairs: expected one a pair");
        if (!gradients.empty() && gradients.size() != static_cast<std::size_t>(q.distinct()))
            throw InvalidType("grad_points: expected one a distinct marginal");
        output = {plans.empty() ? nullptr : plans.data(), gradients.empty() ? nullptr : gradients.data(), plans_only};
    }
    Outputs(const Outputs&) = delete;
};

// def(name, f, more arguments...) of functions that begin with a problem.
inline auto definer(py::module_& m) {
    return [&m](const char* name, auto f, auto... more) {
        m.def(name, f, py::arg("points"), py::arg("weights"), py::arg("costs"), py::arg("sizes"),
              py::arg("n_marginals"), py::arg("kind"), py::arg("s"), py::arg("strength"), py::arg("epsilon"),
              py::arg("edges"), more...);
    };
}

}  // namespace deblai::bind
