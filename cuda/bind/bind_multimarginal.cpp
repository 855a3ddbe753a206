#include "deblai/cuda/multimarginal-minimum.hpp"
#include "deblai/cuda/multimarginal.hpp"

#include "multimarginal.hpp"

namespace deblai::bind {
namespace {

py::tuple iterate(const Objects& points, const Objects& weights, const Objects& costs,
                  const std::vector<index_t>& sizes, int n_marginals, int kind, double s, double strength,
                  double epsilon, const Edges& edges, double tol, index_t max_iter, int memory,
                  const py::object& report, py::handle potentials, py::handle errors, py::handle values,
                  std::uintptr_t stream, int device) {
    return with_arguments(points, weights, costs, sizes, n_marginals, kind, s, strength, epsilon, edges, Device::cuda,
                          [&](const auto& q) {
                              double* const f = doubles(potentials, length(q), "potentials");
                              double* const e = doubles(errors, max_iter, "errors");
                              double* const v = doubles(values, max_iter, "values");
                              Report call{report, {}};
                              multimarginal::Schedule schedule{tol, max_iter, memory};
                              if (!report.is_none()) schedule.report = &Report::run;
                              schedule.context = &call;
                              const multimarginal::Progress done = interruptible(0, "", [&](const Control& control) {
                                  return cuda::multimarginal::sinkhorn(q, schedule, f, e, v,
                                                                       reinterpret_cast<void*>(stream), device,
                                                                       control.poll, control.context);
                              });
                              if (call.raised) throw *call.raised;
                              return py::make_tuple(done.sweeps, done.converged);
                          });
}

py::tuple evaluate(const Objects& points, const Objects& weights, const Objects& costs,
                   const std::vector<index_t>& sizes, int n_marginals, int kind, double s, double strength,
                   double epsilon, const Edges& edges, py::handle potentials, const Objects& pairs,
                   const Objects& grad_points, bool plans_only, std::uintptr_t stream, int device) {
    return with_arguments(
        points, weights, costs, sizes, n_marginals, kind, s, strength, epsilon, edges, Device::cuda,
        [&](const auto& q) {
            using T = std::remove_cvref_t<decltype(*q.marginals->weights.data)>;
            double* const f = doubles(potentials, length(q), "potentials");
            const Outputs<T> outputs(q, pairs, grad_points, plans_only, Device::cuda);
            const multimarginal::Summary r = interruptible(0, "", [&](const Control& control) {
                return cuda::multimarginal::evaluate(q, f, outputs.output, reinterpret_cast<void*>(stream), device,
                                                     control.poll, control.context);
            });
            return py::make_tuple(r.value, r.value_linear, r.mass, r.marginal_error, r.marginals, r.exact_rows);
        });
}

py::tuple minimum(const Objects& points, const Objects& weights, const Objects& costs,
                  const std::vector<index_t>& sizes, int n_marginals, int kind, double s, double strength,
                  double epsilon, const Edges& edges, py::handle potentials, std::int64_t budget, std::uintptr_t stream,
                  int device) {
    return with_arguments(points, weights, costs, sizes, n_marginals, kind, s, strength, epsilon, edges, Device::cuda,
                          [&](const auto& q) {
                              double* const f = doubles(potentials, length(q), "potentials");
                              const multimarginal::Minimum r = interruptible(0, "", [&](const Control& control) {
                                  return cuda::multimarginal::minimum(q, f, budget, reinterpret_cast<void*>(stream),
                                                                      device, control.poll, control.context);
                              });
                              return py::make_tuple(r.value, r.best, r.exact, r.nodes, r.at);
                          });
}

bool pair_plan(const Objects& points, const Objects& weights, const Objects& costs, const std::vector<index_t>& sizes,
               int n_marginals, int kind, double s, double strength, double epsilon, const Edges& edges,
               py::handle potentials, int p, int q, py::handle plan, std::uintptr_t stream, int device) {
    return with_arguments(points, weights, costs, sizes, n_marginals, kind, s, strength, epsilon, edges, Device::cuda,
                          [&](const auto& problem) {
                              using T = std::remove_cvref_t<decltype(*problem.marginals->weights.data)>;
                              double* const f = doubles(potentials, length(problem), "potentials");
                              const Matrix<T> out = matrix<T>(plan, "plan", Device::cuda);
                              return interruptible(0, "", [&](const Control& control) {
                                  return cuda::multimarginal::pair_plan(problem, f, p, q, out,
                                                                        reinterpret_cast<void*>(stream), device,
                                                                        control.poll, control.context);
                              });
                          });
}

py::tuple graph_minimum(const Objects& points, const Objects& weights, const Objects& costs,
                        const std::vector<index_t>& sizes, int n_marginals, int kind, double s, double strength,
                        double epsilon, const Edges& edges, py::handle potentials, std::uintptr_t stream, int device) {
    return with_arguments(points, weights, costs, sizes, n_marginals, kind, s, strength, epsilon, edges, Device::cuda,
                          [&](const auto& q) {
                              double* const f = doubles(potentials, length(q), "potentials");
                              const multimarginal::Minimum r = interruptible(0, "", [&](const Control& control) {
                                  return cuda::multimarginal::graph_minimum(q, f, reinterpret_cast<void*>(stream),
                                                                            device, control.poll, control.context);
                              });
                              return py::make_tuple(r.value, r.best, r.exact, r.nodes, r.at);
                          });
}

}  // namespace

void register_multimarginal(py::module_& m) {
    const auto def = definer(m);
    def("multimarginal", &iterate, py::arg("tol"), py::arg("max_iter"), py::arg("memory"), py::arg("report"),
        py::arg("potentials"), py::arg("errors"), py::arg("values"), py::arg("stream"), py::arg("device"),
        "As deblai._core.multimarginal, of arrays on a device; potentials, errors and values are the host's.");
    def("multimarginal_evaluate", &evaluate, py::arg("potentials"), py::arg("pairs"), py::arg("grad_points"),
        py::arg("plans_only"), py::arg("stream"), py::arg("device"),
        "As deblai._core.multimarginal_evaluate; potentials are the host's.");
    def("multimarginal_minimum", &minimum, py::arg("potentials"), py::arg("budget"), py::arg("stream"),
        py::arg("device"),
        "As deblai._core.multimarginal_minimum, of all tuples, or of subsets of marginals; potentials are the host's.");
    def("multimarginal_pair", &pair_plan, py::arg("potentials"), py::arg("p"), py::arg("q"), py::arg("plan"),
        py::arg("stream"), py::arg("device"), "As deblai._core.multimarginal_pair; potentials are the host's.");
    def("multimarginal_graph_minimum", &graph_minimum, py::arg("potentials"), py::arg("stream"), py::arg("device"),
        "As deblai._core.multimarginal_minimum, of a problem with edges; potentials are the host's.");
}

}  // namespace deblai::bind
