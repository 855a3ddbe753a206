// Multi-marginal transport: the sweeps are those of the CPU (deblai/multimarginal-host.hpp), the sums in the .cuh
// files.
#include "deblai/cuda/multimarginal.hpp"

#include "graph/graph.cuh"
#include "multimarginal_rows.cuh"
#include "multimarginal_sums.cuh"

namespace deblai::cuda::multimarginal {

using deblai::multimarginal::Output;
using deblai::multimarginal::Progress;
using deblai::multimarginal::Schedule;
using deblai::multimarginal::Summary;

namespace {

constexpr const char* operation = "multimarginal.sinkhorn";

// Plans of pairs, and what their rows say.
template <class T>
class Evaluation {
public:
    Evaluation(const Call& call, const Problem<T>& problem, const Output<T>& out, const Workspace<T>& workspace,
               Sums<T>& sums)
        : call_(call),
          problem_(problem),
          out_(out),
          w_(workspace),
          sums_(sums),
          at_(deblai::multimarginal::offsets(problem)) {
        clear(w_.row_mass, at_.back());
        clear(w_.row_linear, at_.back());
        for (int p = 0; p < problem.distinct(); ++p)
            if (w_.gradients[p]) clear(w_.gradients[p], sums.side(p).size * sums.dimension());
    }

    // False after a stop.
    bool run(Watch& watch) {
        const int N = problem_.n_marginals;
        for (int a = 0; a < problem_.distinct(); ++a)
            for (int b = a + 1; b < (problem_.symmetric ? 2 : N); ++b) {
                if (out_.plans_only && !wanted(a, b)) continue;
                if (N > 2 && !sums_.pair(a, b)) return false;
                rows(a, b, false);
                if (!problem_.symmetric && !out_.plans_only) rows(b, a, true);
                if (!watch.asked()) continue;
                call_.wait();
                if (watch.stopped()) return false;
            }
        return true;
    }

    Summary finish(const double* potentials) const {
        for (int p = 0; p < problem_.distinct(); ++p) {
            if (!w_.gradients[p]) continue;
            const Matrix<T>& to = out_.grad_points[p];
            const double factor = problem_.symmetric ? 2 * deblai::multimarginal::pairs_of_one(problem_) : 1.0;
            if (to)
                call_.launch("emit_gradient", emit_gradient<T, Matrix<T>>, grid_of(to.rows * to.cols), block_threads,
                             static_cast<const double*>(w_.gradients[p]), factor, to.rows * to.cols, to.cols, to);
        }
        std::vector<double> mass(at_.back()), linear(at_.back());
        sums_.fetch(mass.data(), static_cast<const double*>(w_.row_mass), mass.size());
        sums_.fetch(linear.data(), static_cast<const double*>(w_.row_linear), linear.size());
        Summary summary = deblai::multimarginal::summarise(problem_, sums_, potentials, mass, linear);
        summary.exact_rows = sums_.exact_rows();
        return summary;
    }

private:
    Matrix<T> wanted(int a, int b) const { return out_.pairs ? out_.pairs[problem_.pair(a, b)] : Matrix<T>{}; }

    void clear(double* p, std::size_t count) const {
        call_.check(cudaMemsetAsync(p, 0, count * sizeof(double), call_.stream()), "cudaMemsetAsync");
    }

    // Rows of the plan of (p, q), which is stored as it is, or turned.
    void rows(int p, int q, bool turned) const {
        const Side<T>&P = sums_.side(p), &Q = sums_.side(q);
        const bool counts = !turned, first = turned ? q == 0 && p == 1 : p == 0 && q == 1;
        const bool marginal = first || (turned && q == 0);
        double* const gradient = w_.gradients[p];
        if (!counts && !marginal && !gradient) return;
        const Plan<T> plan{w_.plan, turned ? 1 : Q.ld, turned ? P.ld : 1, sums_.costs(p, q), P.g, Q.g};
        const RowOutputs outputs{marginal ? w_.row_mass + at_[p] : nullptr, counts ? w_.row_linear + at_[p] : nullptr,
                                 gradient};
        call_.launch("summarise_rows", summarise_rows<T, Plan<T>, Matrix<T>>, dim3(static_cast<unsigned>(P.size)),
                     block_threads, plan, Q.size, problem_.cost, problem_.epsilon * log_2,
                     turned ? Matrix<T>{} : wanted(p, q), outputs);
    }

    const Call& call_;
    const Problem<T>& problem_;
    const Output<T>& out_;
    const Workspace<T>& w_;
    Sums<T>& sums_;
    std::vector<index_t> at_;
};

}  // namespace

template <class T>
Progress sinkhorn(const Problem<T>& q, const Schedule& schedule, double* potentials, double* errors, double* values,
                  void* stream, int device, bool (*poll)(void*), void* context) {
    if (q.edges) return graph_sinkhorn(q, schedule, potentials, errors, values, stream, device, poll, context);
    deblai::multimarginal::require_shapes(q);
    const Call call(operation, stream, device);
    const Memory memory(call, Workspace<T>::bytes(q, false, false));
    Arena arena(memory.data());
    const Workspace<T> workspace(arena, q, false, false);
    Watch watch(poll, context);
    Sums<T> sums(call, q, workspace, watch);
    return deblai::multimarginal::iterate(q, schedule, sums, potentials, errors, values);
}

template <class T>
Summary evaluate(const Problem<T>& q, const double* potentials, const Output<T>& out, void* stream, int device,
                 bool (*poll)(void*), void* context) {
    if (q.edges) return graph_evaluate(q, potentials, out, stream, device, poll, context);
    deblai::multimarginal::require_shapes(q);
    const Call call(operation, stream, device);
    const bool gradients = out.grad_points && !q.costs && !out.plans_only;
    const Memory memory(call, Workspace<T>::bytes(q, true, gradients));
    Arena arena(memory.data());
    const Workspace<T> workspace(arena, q, true, gradients);
    Watch watch(poll, context);
    Sums<T> sums(call, q, workspace, watch);
    const std::vector<index_t> at = deblai::multimarginal::offsets(q);
    for (int p = 0; p < q.distinct(); ++p) sums.set_potential(p, potentials + at[p]);
    Evaluation<T> evaluation(call, q, out, workspace, sums);
    if (!evaluation.run(watch)) return {0, 0, 0, 0, false};
    return evaluation.finish(potentials);
}

#define DEBLAI_INSTANCES(T)                                                                               \
    template Progress sinkhorn(const Problem<T>&, const Schedule&, double*, double*, double*, void*, int, \
                               bool (*)(void*), void*);                                                   \
    template Summary evaluate(const Problem<T>&, const double*, const Output<T>&, void*, int, bool (*)(void*), void*);
DEBLAI_INSTANCES(float)
DEBLAI_INSTANCES(double)

}  // namespace deblai::cuda::multimarginal
