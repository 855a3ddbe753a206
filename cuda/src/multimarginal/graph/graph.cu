// Problems with edges: trees, messages and sweeps are the host's (deblai/multimarginal-graph.hpp), eliminations the
// device's.
#include "graph.cuh"

#include "graph_algebra.cuh"
#include "multimarginal/multimarginal_rows.cuh"

namespace deblai::cuda::multimarginal {

using deblai::multimarginal::EliminationTree;
using deblai::multimarginal::GraphSums;
using deblai::multimarginal::Minimum;
using deblai::multimarginal::Output;
using deblai::multimarginal::Progress;
using deblai::multimarginal::Schedule;
using deblai::multimarginal::Summary;

namespace {

constexpr const char* operation = "multimarginal.sinkhorn";

// What a call with tables of T has: its memory, arrays, tables and algebra, in this order.
template <class T, class S, bool Max>
struct Frame {
    const Call& call;
    std::size_t fixed, tables;
    Memory memory;
    Arena arena;
    GraphWorkspace<T> workspace;
    Pool pool;
    Watch watch;
    Algebra<T, S, Max> algebra;

    Frame(const Call& call, const Problem<S>& q, const EliminationTree& tree, double scale, bool plans, bool gradients,
          bool (*poll)(void*), void* context)
        : call(call),
          fixed(fixed_bytes(q, tree, plans, gradients)),
          tables(table_bytes(q, tree)),
          memory(call, fixed + tables),
          arena(memory.data()),
          workspace(arena, q, tree.width(), plans, gradients),
          pool(call, memory.data() + fixed, tables),
          watch(poll, context),
          algebra(call, q, scale, workspace, pool, watch) {}

    static std::size_t fixed_bytes(const Problem<S>& q, const EliminationTree& tree, bool plans, bool gradients) {
        Arena none(nullptr);
        GraphWorkspace<T>(none, q, tree.width(), plans, gradients);
        return none.used();
    }
    static std::size_t table_bytes(const Problem<S>& q, const EliminationTree& tree) {
        const double bytes =
            deblai::multimarginal::demand(tree, deblai::multimarginal::sizes_of(q), q.edges, sizeof(T)).tables;
        return bytes < 0x1p61 ? (static_cast<std::size_t>(bytes) + 255) / 256 * 256 : std::size_t{1} << 61;
    }

    // Weights come last: that is the CPU's order of errors.
    std::vector<Masses> masses(const Problem<S>& q) const {
        std::vector<Masses> all;
        for (int p = 0; p < q.n_marginals; ++p) {
            deblai::multimarginal::Marginal<S> m = q.marginals[p];
            std::vector<S> host;
            if (m.weights) {
                S* const staged = static_cast<S*>(workspace.staging);
                call.launch("copy", copy<S>, grid_of(m.size), block_threads, m.weights, staged);
                host.resize(m.size);
                fetch(call, host.data(), static_cast<const S*>(staged), host.size());
                m.weights = {host.data(), m.size, 1};
            }
            all.push_back(deblai::multimarginal::masses(p, m));
        }
        return all;
    }

    void clear(double* p, std::size_t count) const {
        call.check(cudaMemsetAsync(p, 0, count * sizeof(double), call.stream()), "cudaMemsetAsync");
    }
};

template <class T>
Placed<T> placed(const Matrix<T>& to, const int* row, const int* column) {
    return {to, row, column};
}

// Plans of the edges, and what their rows say.
template <class T>
bool read_plans(const Problem<T>& q, const Output<T>& out, const std::vector<index_t>& at, Frame<T, T, false>& frame,
                GraphSums& sums) {
    const GraphWorkspace<T>& w = frame.workspace;
    for (int e = 0; e < q.edge_count; ++e) {
        const Matrix<T> wanted = out.pairs ? out.pairs[e] : Matrix<T>{};
        if (out.plans_only && !wanted) continue;
        const Factors list = sums.messages.around(q.edges[e].p, q.edges[e].q);
        if (frame.algebra.stopped()) return false;
        for (const bool ahead : {true, false}) {
            const int p = ahead ? q.edges[e].p : q.edges[e].q, r = ahead ? q.edges[e].q : q.edges[e].p;
            double* const gradient = w.gradients[p];
            if (!ahead && !gradient) continue;
            const RowOutputs outputs{nullptr, ahead ? w.row_linear + at[p] : nullptr, gradient};
            frame.call.launch("summarise_rows", summarise_rows<T, PairPlan<T, T>, Placed<T>>,
                              dim3(static_cast<unsigned>(q.marginals[p].size)), block_threads,
                              frame.algebra.plan(list, p, r), q.marginals[r].size, q.cost, q.epsilon * log_2,
                              placed(ahead ? wanted : Matrix<T>{}, w.variables[p].natural, w.variables[r].natural),
                              outputs);
        }
        if (!frame.watch.asked()) continue;
        frame.call.wait();
        if (frame.watch.stopped()) return false;
    }
    return true;
}

}  // namespace

template <class T>
Progress graph_sinkhorn(const Problem<T>& q, const Schedule& schedule, double* potentials, double* errors,
                        double* values, void* stream, int device, bool (*poll)(void*), void* context) {
    deblai::multimarginal::require_shapes(q);
    const EliminationTree tree = deblai::multimarginal::tree_of(q);
    const Call call(operation, stream, device);
    Frame<T, T, false> frame(call, q, tree, q.epsilon, false, false, poll, context);
    GraphSums sums(q.epsilon, frame.masses(q), tree, frame.algebra);
    Progress done = deblai::multimarginal::iterate(q, schedule, sums, potentials, errors, values);
    done.exact_rows = frame.algebra.exact();
    return done;
}

template <class T>
Summary graph_evaluate(const Problem<T>& q, const double* potentials, const Output<T>& out, void* stream, int device,
                       bool (*poll)(void*), void* context) {
    deblai::multimarginal::require_shapes(q);
    const EliminationTree tree = deblai::multimarginal::tree_of(q);
    const Call call(operation, stream, device);
    const bool gradients = out.grad_points && !q.costs && !out.plans_only;
    Frame<T, T, false> frame(call, q, tree, q.epsilon, true, gradients, poll, context);
    GraphSums sums(q.epsilon, frame.masses(q), tree, frame.algebra);
    const GraphWorkspace<T>& w = frame.workspace;
    const std::vector<index_t> at = deblai::multimarginal::offsets(q);
    const index_t d = q.costs ? 0 : q.marginals[0].points.cols;
    for (int p = 0; p < q.n_marginals; ++p) sums.set_potential(p, potentials + at[p]);
    frame.clear(w.row_linear, at.back());
    for (int p = 0; p < q.n_marginals; ++p)
        if (w.gradients[p]) frame.clear(w.gradients[p], q.marginals[p].size * d);

    std::vector<double> marginals(at.back()), linear(at.back()), rows(at.back());
    for (int p = 0; p < q.n_marginals && !out.plans_only; ++p) {
        const std::vector<double> marginal = sums.marginal(p);
        if (frame.algebra.stopped()) return {0, 0, 0, 0, false};
        std::copy(marginal.begin(), marginal.end(), marginals.begin() + at[p]);
    }
    if (!read_plans(q, out, at, frame, sums)) return {0, 0, 0, 0, false};
    for (int p = 0; p < q.n_marginals; ++p) {
        if (!w.gradients[p] || !out.grad_points[p]) continue;
        const index_t count = q.marginals[p].size * d;
        call.launch("emit_gradient", emit_gradient<T, Placed<T>>, grid_of(count), block_threads,
                    static_cast<const double*>(w.gradients[p]), 1.0, count, d,
                    placed(out.grad_points[p], w.variables[p].natural, nullptr));
    }
    fetch(call, rows.data(), static_cast<const double*>(w.row_linear), rows.size());
    for (int p = 0; p < q.n_marginals; ++p) frame.algebra.to_natural(p, &rows[at[p]], &linear[at[p]]);
    Summary summary = deblai::multimarginal::summarise(q, sums, potentials, marginals, linear);
    summary.exact_rows = frame.algebra.exact();
    return summary;
}

template <class T>
bool pair_plan(const Problem<T>& q, const double* potentials, int p, int r, Matrix<T> plan, void* stream, int device,
               bool (*poll)(void*), void* context) {
    deblai::multimarginal::require_shapes(q);
    deblai::multimarginal::require_pair(q, p, r);
    const EliminationTree tree = deblai::multimarginal::tree_of(q, {p, r});
    const Call call(operation, stream, device);
    Frame<T, T, false> frame(call, q, tree, q.epsilon, true, false, poll, context);
    GraphSums sums(q.epsilon, frame.masses(q), tree, frame.algebra);
    const std::vector<index_t> at = deblai::multimarginal::offsets(q);
    for (int k = 0; k < q.n_marginals; ++k) sums.set_potential(k, potentials + at[k]);
    const Factors list = sums.messages.around(p, r);
    if (frame.algebra.stopped()) return false;
    const auto& w = frame.workspace;
    call.launch("summarise_rows", summarise_rows<T, PairPlan<T, T>, Placed<T>>,
                dim3(static_cast<unsigned>(q.marginals[p].size)), block_threads, frame.algebra.plan(list, p, r),
                q.marginals[r].size, q.cost, 0.0, placed(plan, w.variables[p].natural, w.variables[r].natural),
                RowOutputs{});
    call.wait();
    return !frame.watch.stopped();
}

template <class T>
Minimum graph_minimum(const Problem<T>& q, const double* potentials, void* stream, int device, bool (*poll)(void*),
                      void* context) {
    deblai::multimarginal::require_shapes(q);
    if (!q.edges) throw InvalidValue("[multimarginal.sinkhorn] graph: expected a problem with edges");
    const EliminationTree tree = deblai::multimarginal::tree_of(q);
    const Call call(operation, stream, device);
    Frame<double, T, true> frame(call, q, tree, 1.0, false, false, poll, context);
    return deblai::multimarginal::least(q.edges, q.edge_count, frame.masses(q), potentials, tree, frame.algebra);
}

#define DEBLAI_INSTANCES(T)                                                                                          \
    template Progress graph_sinkhorn(const Problem<T>&, const Schedule&, double*, double*, double*, void*, int,      \
                                     bool (*)(void*), void*);                                                        \
    template Summary graph_evaluate(const Problem<T>&, const double*, const Output<T>&, void*, int, bool (*)(void*), \
                                    void*);                                                                          \
    template bool pair_plan(const Problem<T>&, const double*, int, int, Matrix<T>, void*, int, bool (*)(void*),      \
                            void*);                                                                                  \
    template Minimum graph_minimum(const Problem<T>&, const double*, void*, int, bool (*)(void*), void*);
DEBLAI_INSTANCES(float)
DEBLAI_INSTANCES(double)

}  // namespace deblai::cuda::multimarginal
