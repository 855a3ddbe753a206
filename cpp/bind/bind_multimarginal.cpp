#include <pybind11/stl.h>

#include <vector>

#include "bind.hpp"
#include "deblai/multimarginal.hpp"

namespace deblai::bind {
namespace {

// The arrays behind a Problem, alive for one call.
template <class T>
struct Arguments {
    std::vector<multimarginal::Marginal<T>> marginals;
    std::vector<Matrix<const T>> costs;
    multimarginal::Problem<T> problem;

    Arguments(const std::vector<py::object>& points, const std::vector<py::object>& weights,
              const std::vector<py::object>& cost_matrices, const std::vector<index_t>& sizes, int n_marginals,
              int kind, double s, double strength, double epsilon) {
        if (points.size() != sizes.size() || weights.size() != sizes.size())
            throw InvalidType("points, weights: expected one a distinct marginal");
        for (std::size_t p = 0; p < sizes.size(); ++p)
            marginals.push_back(
                {sizes[p], matrix<const T>(points[p], "points"), vector<const T>(weights[p], "weights")});
        for (const auto& c : cost_matrices) costs.push_back(matrix<const T>(c, "cost"));
        const bool symmetric = sizes.size() == 1;
        problem = {n_marginals,
                   symmetric,
                   marginals.data(),
                   costs.empty() ? nullptr : costs.data(),
                   {static_cast<PairCost::Kind>(kind), s, strength},
                   epsilon};
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
                    double epsilon, F&& f) {
    const py::object& first = costs.empty() ? points.at(0) : costs.at(0);
    return by_dtype(first, "points", [&](auto type) {
        using T = decltype(type);
        const Arguments<T> arguments(points, weights, costs, sizes, n_marginals, kind, s, strength, epsilon);
        return f(arguments.problem);
    });
}

double* doubles(py::handle capsule, index_t size, const char* what) {
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

py::tuple iterate(const Objects& points, const Objects& weights, const Objects& costs,
                  const std::vector<index_t>& sizes, int n_marginals, int kind, double s, double strength,
                  double epsilon, double tol, index_t max_iter, int memory, const py::object& report,
                  py::handle potentials, py::handle errors, py::handle values, int threads, const std::string& simd) {
    return with_arguments(points, weights, costs, sizes, n_marginals, kind, s, strength, epsilon, [&](const auto& q) {
        double* const f = doubles(potentials, length(q), "potentials");
        double* const e = doubles(errors, max_iter, "errors");
        double* const v = doubles(values, max_iter, "values");
        Report call{report, {}};
        multimarginal::Schedule schedule{tol, max_iter, memory};
        if (!report.is_none()) schedule.report = &Report::run;
        schedule.context = &call;
        const multimarginal::Progress done = interruptible(threads, simd, [&](const Control& control) {
            return multimarginal::sinkhorn(q, schedule, f, e, v, control);
        });
        if (call.raised) throw *call.raised;
        return py::make_tuple(done.sweeps, done.converged);
    });
}

py::tuple evaluate(const Objects& points, const Objects& weights, const Objects& costs,
                   const std::vector<index_t>& sizes, int n_marginals, int kind, double s, double strength,
                   double epsilon, py::handle potentials, const Objects& pairs, const Objects& grad_points,
                   bool plans_only, int threads, const std::string& simd) {
    return with_arguments(points, weights, costs, sizes, n_marginals, kind, s, strength, epsilon, [&](const auto& q) {
        using T = std::remove_cvref_t<decltype(*q.marginals->weights.data)>;
        double* const f = doubles(potentials, length(q), "potentials");
        std::vector<Matrix<T>> plans, gradients;
        for (const auto& p : pairs) plans.push_back(matrix<T>(p, "pairs"));
        for (const auto& g : grad_points) gradients.push_back(matrix<T>(g, "grad_points"));
        if (!plans.empty() && plans.size() != static_cast<std::size_t>(q.pairs()))
            throw InvalidType("pairs: expected one a pair");
        if (!gradients.empty() && gradients.size() != static_cast<std::size_t>(q.distinct()))
            throw InvalidType("grad_points: expected one a distinct marginal");
        const multimarginal::Output<T> out{plans.empty() ? nullptr : plans.data(),
                                           gradients.empty() ? nullptr : gradients.data(), plans_only};
        const multimarginal::Summary r = interruptible(
            threads, simd, [&](const Control& control) { return multimarginal::evaluate(q, f, out, control); });
        return py::make_tuple(r.value, r.value_linear, r.mass, r.marginal_error);
    });
}

std::size_t workspace(const Objects& points, const Objects& weights, const Objects& costs,
                      const std::vector<index_t>& sizes, int n_marginals, int kind, double s, double strength,
                      double epsilon, int threads) {
    return with_arguments(points, weights, costs, sizes, n_marginals, kind, s, strength, epsilon,
                          [&](const auto& q) { return multimarginal::workspace_bytes(q, threads); });
}

}  // namespace

void register_multimarginal(py::module_& m) {
    const auto def = [&](const char* name, auto f, auto... more) {
        m.def(name, f, py::arg("points"), py::arg("weights"), py::arg("costs"), py::arg("sizes"),
              py::arg("n_marginals"), py::arg("kind"), py::arg("s"), py::arg("strength"), py::arg("epsilon"), more...);
    };
    def("multimarginal", &iterate, py::arg("tol"), py::arg("max_iter"), py::arg("memory"), py::arg("report"),
        py::arg("potentials"), py::arg("errors"), py::arg("values"), py::arg("threads"), py::arg("simd"),
        "Sweeps of Sinkhorn on the potentials (float64, one after the other), each one's marginal error and dual "
        "value; report(sweeps) is called now and then, True stops. Returns their number and whether the last error was "
        "at most tol.");
    def("multimarginal_evaluate", &evaluate, py::arg("potentials"), py::arg("pairs"), py::arg("grad_points"),
        py::arg("plans_only"), py::arg("threads"), py::arg("simd"),
        "Plans of pairs into pairs, gradients of the value in the points into grad_points; returns value, <c, plan>, "
        "mass and marginal error.");
    def("multimarginal_workspace", &workspace, py::arg("threads"), "Bytes that one call of either allocates at most.");
}

}  // namespace deblai::bind
