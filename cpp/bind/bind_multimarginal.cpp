#include "deblai/multimarginal-minimum.hpp"
#include "multimarginal.hpp"

namespace deblai::bind {
namespace {

py::tuple iterate(const Objects& points, const Objects& weights, const Objects& costs,
                  const std::vector<index_t>& sizes, int n_marginals, int kind, double s, double strength,
                  double epsilon, const Edges& edges, double tol, index_t max_iter, int memory,
                  const py::object& report, py::handle potentials, py::handle errors, py::handle values, int threads,
                  const std::string& simd) {
    return with_arguments(
        points, weights, costs, sizes, n_marginals, kind, s, strength, epsilon, edges, Device::cpu, [&](const auto& q) {
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
                   double epsilon, const Edges& edges, py::handle potentials, const Objects& pairs,
                   const Objects& grad_points, bool plans_only, int threads, const std::string& simd) {
    return with_arguments(
        points, weights, costs, sizes, n_marginals, kind, s, strength, epsilon, edges, Device::cpu, [&](const auto& q) {
            using T = std::remove_cvref_t<decltype(*q.marginals->weights.data)>;
            double* const f = doubles(potentials, length(q), "potentials");
            const Outputs<T> outputs(q, pairs, grad_points, plans_only, Device::cpu);
            const multimarginal::Summary r = interruptible(threads, simd, [&](const Control& control) {
                return multimarginal::evaluate(q, f, outputs.output, control);
            });
            return py::make_tuple(r.value, r.value_linear, r.mass, r.marginal_error, r.marginals, r.exact_rows);
        });
}

bool pair_plan(const Objects& points, const Objects& weights, const Objects& costs, const std::vector<index_t>& sizes,
               int n_marginals, int kind, double s, double strength, double epsilon, const Edges& edges,
               py::handle potentials, int p, int q, py::handle plan, int threads, const std::string& simd) {
    return with_arguments(points, weights, costs, sizes, n_marginals, kind, s, strength, epsilon, edges, Device::cpu,
                          [&](const auto& problem) {
                              using T = std::remove_cvref_t<decltype(*problem.marginals->weights.data)>;
                              double* const f = doubles(potentials, length(problem), "potentials");
                              const Matrix<T> out = matrix<T>(plan, "plan");
                              return interruptible(threads, simd, [&](const Control& control) {
                                  return multimarginal::pair_plan(problem, f, p, q, out, control);
                              });
                          });
}

std::size_t pair_workspace(const Objects& points, const Objects& weights, const Objects& costs,
                           const std::vector<index_t>& sizes, int n_marginals, int kind, double s, double strength,
                           double epsilon, const Edges& edges, int p, int q, int threads) {
    return with_arguments(
        points, weights, costs, sizes, n_marginals, kind, s, strength, epsilon, edges, Device::cpu,
        [&](const auto& problem) { return multimarginal::pair_workspace_bytes(problem, p, q, threads); });
}

std::vector<std::vector<int>> bags(const std::vector<index_t>& sizes, const std::vector<std::pair<int, int>>& edges) {
    std::vector<multimarginal::Edge> list;
    for (const auto& [p, q] : edges) list.push_back({p, q});
    return multimarginal::elimination_bags(sizes, list);
}

std::size_t workspace(const Objects& points, const Objects& weights, const Objects& costs,
                      const std::vector<index_t>& sizes, int n_marginals, int kind, double s, double strength,
                      double epsilon, const Edges& edges, int threads, int memory) {
    return with_arguments(points, weights, costs, sizes, n_marginals, kind, s, strength, epsilon, edges, Device::cpu,
                          [&](const auto& q) { return multimarginal::workspace_bytes(q, threads, memory); });
}

py::tuple minimum(const Objects& points, const Objects& weights, const Objects& costs,
                  const std::vector<index_t>& sizes, int n_marginals, int kind, double s, double strength,
                  double epsilon, const Edges& edges, py::handle potentials, std::int64_t budget, double threshold,
                  bool tuples, int threads, const std::string& simd) {
    return with_arguments(
        points, weights, costs, sizes, n_marginals, kind, s, strength, epsilon, edges, Device::cpu, [&](const auto& q) {
            double* const f = doubles(potentials, length(q), "potentials");
            const multimarginal::Minimum r = interruptible(threads, simd, [&](const Control& control) {
                return multimarginal::minimum(q, f, {budget, threshold, tuples}, control);
            });
            return py::make_tuple(r.value, r.best, r.exact, r.nodes, r.at, r.values, r.tuples);
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
        "mass, marginal error, the marginals and the number of rows of plans that were summed term by term.");
    def("multimarginal_workspace", &workspace, py::arg("threads"), py::arg("memory"),
        "Bytes that one call of either allocates at most.");
    def("multimarginal_pair", &pair_plan, py::arg("potentials"), py::arg("p"), py::arg("q"), py::arg("plan"),
        py::arg("threads"), py::arg("simd"),
        "The plan's marginal of any two marginals p < q of a problem with edges, into plan; False after a stop.");
    def("multimarginal_pair_workspace", &pair_workspace, py::arg("p"), py::arg("q"), py::arg("threads"),
        "Bytes that multimarginal_pair allocates at most.");
    def("multimarginal_minimum", &minimum, py::arg("potentials"), py::arg("budget"), py::arg("threshold"),
        py::arg("tuples"), py::arg("threads"), py::arg("simd"),
        "The least cost less potentials over all tuples, in float64, as far as it is below a threshold: a lower bound, "
        "what was attained, whether both (or the first and the threshold) are equal, nodes searched (at most about "
        "budget), where; with tuples, values below the threshold, the least of each subtree, and their tuples.");
    m.def("multimarginal_bags", &bags, py::arg("sizes"), py::arg("edges"),
          "The bags of the junction tree of a graph in the order of elimination: the marginal that is eliminated, then "
          "its neighbours at that time.");
}

}  // namespace deblai::bind
