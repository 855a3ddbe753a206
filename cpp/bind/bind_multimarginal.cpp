#include "deblai/multimarginal-minimum.hpp"
#include "multimarginal.hpp"

namespace deblai::bind {
namespace {

py::tuple iterate(const Objects& points, const Objects& weights, const Objects& costs,
                  const std::vector<index_t>& sizes, int n_marginals, int kind, double s, double strength,
                  double epsilon, double tol, index_t max_iter, int memory, const py::object& report,
                  py::handle potentials, py::handle errors, py::handle values, int threads, const std::string& simd) {
    return with_arguments(
        points, weights, costs, sizes, n_marginals, kind, s, strength, epsilon, Device::cpu, [&](const auto& q) {
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
    return with_arguments(
        points, weights, costs, sizes, n_marginals, kind, s, strength, epsilon, Device::cpu, [&](const auto& q) {
            using T = std::remove_cvref_t<decltype(*q.marginals->weights.data)>;
            double* const f = doubles(potentials, length(q), "potentials");
            const Outputs<T> outputs(q, pairs, grad_points, plans_only, Device::cpu);
            const multimarginal::Summary r = interruptible(threads, simd, [&](const Control& control) {
                return multimarginal::evaluate(q, f, outputs.output, control);
            });
            return py::make_tuple(r.value, r.value_linear, r.mass, r.marginal_error, r.marginals);
        });
}

std::size_t workspace(const Objects& points, const Objects& weights, const Objects& costs,
                      const std::vector<index_t>& sizes, int n_marginals, int kind, double s, double strength,
                      double epsilon, int threads, int memory) {
    return with_arguments(points, weights, costs, sizes, n_marginals, kind, s, strength, epsilon, Device::cpu,
                          [&](const auto& q) { return multimarginal::workspace_bytes(q, threads, memory); });
}

py::tuple minimum(const Objects& points, const Objects& weights, const Objects& costs,
                  const std::vector<index_t>& sizes, int n_marginals, int kind, double s, double strength,
                  double epsilon, py::handle potentials, std::int64_t budget, int threads, const std::string& simd) {
    return with_arguments(
        points, weights, costs, sizes, n_marginals, kind, s, strength, epsilon, Device::cpu, [&](const auto& q) {
            double* const f = doubles(potentials, length(q), "potentials");
            const multimarginal::Minimum r = interruptible(
                threads, simd, [&](const Control& control) { return multimarginal::minimum(q, f, budget, control); });
            return py::make_tuple(r.value, r.best, r.exact, r.nodes, r.at);
        });
}

}  // namespace

void register_multimarginal(py::module_& m) {
    const auto def = definer(m);
    def("multimarginal", &iterate, py::arg("tol"), py::arg("max_iter"), py::arg("memory"), py::arg("report"),
        py::arg("potentials"), py::arg("errors"), py::arg("values"), py::arg("threads"), py::arg("simd"),
        "Sweeps of Sinkhorn on the potentials (float64, one after the other), each one's marginal error and dual "
        "value; report(sweeps) is called now and then, True stops. Returns their number and whether the last error was "
        "at most tol.");
    def("multimarginal_evaluate", &evaluate, py::arg("potentials"), py::arg("pairs"), py::arg("grad_points"),
        py::arg("plans_only"), py::arg("threads"), py::arg("simd"),
        "Plans of pairs into pairs, gradients of the value in the points into grad_points; returns value, <c, plan>, "
        "mass, marginal error and the marginals.");
    def("multimarginal_workspace", &workspace, py::arg("threads"), py::arg("memory"),
        "Bytes that one call of either allocates at most.");
    def("multimarginal_minimum", &minimum, py::arg("potentials"), py::arg("budget"), py::arg("threads"),
        py::arg("simd"),
        "The least cost less potentials over all tuples, in float64: a lower bound, what was attained, whether both "
        "are "
        "equal, nodes searched (at most about budget), where.");
}

}  // namespace deblai::bind
