// The elimination of a variable on the device; see deblai/multimarginal-graph.hpp. Entries of tables are T whatever the
// problem's type S is.
#pragma once

#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include "deblai/check.hpp"
#include "graph_line.cuh"
#include "graph_rows.cuh"
#include "graph_table.cuh"
#include "graph_workspace.cuh"
#include "multimarginal/multimarginal_call.cuh"
#include "multimarginal/multimarginal_setup.cuh"
#include "multimarginal/multimarginal_stream.cuh"
#include "multimarginal/multimarginal_workspace.cuh"

namespace deblai::cuda::multimarginal {

using deblai::multimarginal::Factor;
using deblai::multimarginal::Factors;
using deblai::multimarginal::GraphAlgebra;
using deblai::multimarginal::Masses;
using deblai::multimarginal::Scope;
using deblai::multimarginal::Semiring;
using deblai::multimarginal::Step;
using deblai::multimarginal::Table;

template <class T, class S, bool Max>
class Algebra final : public GraphAlgebra {
public:
    // Checks entries of points and costs; throws InvalidValue. `scale`: what costs are divided by.
    Algebra(const Call& call, const Problem<S>& problem, double scale, const GraphWorkspace<T>& workspace, Pool& pool,
            Watch& watch)
        : GraphAlgebra(deblai::multimarginal::sizes_of(problem), {problem.edges, problem.edges + problem.edge_count},
                       Max ? Semiring::largest : Semiring::sum),
          call_(call),
          problem_(problem),
          w_(workspace),
          pool_(pool),
          watch_(watch),
          scale_{problem.costs ? 0 : problem.marginals[0].points.cols,
                 ScaledCost<T>(problem.cost, scale * unit_ * log2_e), bounded(-1 / (scale * unit_))} {
        for (int p = 0; p < problem.n_marginals && !problem.costs; ++p) load(p);
        if (problem.costs) require_costs();
        call_.check(cudaMemsetAsync(w_.exact, 0, sizeof(*w_.exact), call_.stream()), "cudaMemsetAsync");
    }

    bool stopped() override { return watch_.stopped(); }

    void add_at(const Factor& f, int v, const index_t* at, std::vector<double>& to) override {
        const Scope scope = scope_of(f);
        if (!deblai::multimarginal::contains(scope, v)) return;  // the same for all
        if (scope.size() == 1) {
            for (std::size_t i = 0; i < to.size(); ++i) to[i] += f.table->line[i];
            return;
        }
        index_t base = 0;
        for (const int u : scope)
            if (u != v) base += at[u] * stride(f, u);
        const index_t n = sizes_[v];
        double* const found = reinterpret_cast<double*>(w_.total);
        call_.launch("one_line", one_line<T, S>, grid_of(n), block_threads, term(f, -1, -1, v), scale_, base, n, found);
        std::vector<double> line(n);
        fetch(call_, line.data(), static_cast<const double*>(found), line.size());
        for (index_t i = 0; i < n; ++i) to[i] += unit_ * line[i];
    }

    // Sums of tables that no product could be trusted with, so far.
    index_t exact() const {
        unsigned long long count;
        fetch(call_, &count, static_cast<const unsigned long long*>(w_.exact), 1);
        return static_cast<index_t>(count);
    }

    // Rows of the plan of p and r, from factors around them; arrays of the workspace, until the next call.
    PairPlan<T, S> plan(const Factors& list, int p, int r) {
        EdgeCosts<T, S> M{
            {},      scale_, w_.variables[p].points, w_.variables[r].points, w_.variables[p].ld, w_.variables[r].ld,
            scale_.d};
        const index_t edge = problem_.pair(std::min(p, r), std::max(p, r));
        if (edge >= 0) M.term = term({nullptr, static_cast<int>(edge)}, p, -1, r);
        std::vector<Term<T, S>> tables;
        for (const auto& f : list)
            if (f.table && f.table->scope.size() == 2) tables.push_back(term(f, p, -1, r));
        const double shift = constant(list);
        std::vector<double> own = line(list, p), other = line(list, r);
        for (double& v : own) v = (v + shift) / unit_;
        for (double& v : other) v /= unit_;
        send(call_, w_.g_p, own.data(), own.size());
        send(call_, w_.g_q, other.data(), other.size());
        return {M, describe({}, tables, {}).terms, static_cast<int>(tables.size()), w_.g_p, w_.g_q};
    }

private:
    static constexpr double unit_ = Max ? 1.0 : log_2;  // of exponents: they are of powers of two, or as they are

    static T bounded(double v) {
        constexpr double most = std::numeric_limits<T>::max();
        return static_cast<T>(std::max(-most, std::min(most, v)));  // so that zero costs stay zero
    }

    // Points by coordinate, in the order of tables.
    void load(int p) {
        const auto& v = w_.variables[p];
        const Matrix<const S>& points = problem_.marginals[p].points;
        const index_t d = points.cols;
        std::vector<S> host(d * v.ld);
        S* const staged = reinterpret_cast<S*>(v.points);
        static_assert(sizeof(S) <= sizeof(T));
        call_.launch("by_coordinate", by_coordinate<S>, grid_of(d * v.ld), block_threads, points, v.ld, staged);
        fetch(call_, host.data(), static_cast<const S*>(staged), host.size());
        Team alone({.threads = 1}, 0);
        const Matrix<const S> given{host.data(), v.size, d, 1, v.ld};
        deblai::require_finite(deblai::multimarginal::named("points", p).c_str(), given, alone);
        if (v.natural) {
            order_[p] = deblai::multimarginal::near_each_other(given);
            const std::vector<int> order(order_[p].begin(), order_[p].end());
            send(call_, v.natural, order.data(), order.size());
        }
        std::vector<T> placed(host.size(), T(0));
        for (index_t c = 0; c < d; ++c)
            for (index_t i = 0; i < v.size; ++i) placed[c * v.ld + i] = static_cast<T>(given(natural(p, i), c));
        send(call_, v.points, placed.data(), placed.size());
    }

    void require_costs() const {
        std::vector<unsigned long long> first(problem_.edge_count);
        call_.check(cudaMemsetAsync(w_.first, 0xFF, first.size() * sizeof(first[0]), call_.stream()),
                    "cudaMemsetAsync");
        for (index_t e = 0; e < problem_.edge_count; ++e)
            call_.launch("find_no_cost", find_no_cost<S>, grid_of(problem_.costs[e].rows * problem_.costs[e].cols),
                         block_threads, problem_.costs[e], w_.first + e);
        fetch(call_, first.data(), static_cast<const unsigned long long*>(w_.first), first.size());
        for (index_t e = 0; e < problem_.edge_count; ++e) {
            if (first[e] == ~0ull) continue;
            const Matrix<const S>& c = problem_.costs[e];
            const index_t at = static_cast<index_t>(first[e]);
            S value;
            fetch(call_, &value, &c(at / c.cols, at % c.cols), 1);
            throw deblai::multimarginal::not_a_cost(e, static_cast<double>(value));
        }
    }

    // How far apart a factor's neighbours in one variable are; of points, 1.
    index_t stride(const Factor& f, int variable) const {
        if (variable < 0) return 0;
        if (!f.table) {
            const auto [p, q] = edges_[f.edge];
            if (variable != p && variable != q) return 0;
            if (!problem_.costs) return 1;
            return variable == p ? problem_.costs[f.edge].row_stride : problem_.costs[f.edge].col_stride;
        }
        return stride(f.table->scope, variable);
    }
    index_t stride(const Scope& scope, int variable) const {
        index_t step = 1;
        for (auto v = scope.rbegin(); v != scope.rend(); step *= sizes_[*v++])
            if (*v == variable) return step;
        return 0;
    }

    Term<T, S> term(const Factor& f, int row, int column, int inner) const {
        Term<T, S> t;
        t.row = stride(f, row);
        t.column = stride(f, column);
        t.inner = stride(f, inner);
        if (f.table) {
            t.table = f.table->template values<T>();
        } else if (problem_.costs) {
            t.costs = problem_.costs[f.edge].data;
        } else {
            const auto [p, q] = edges_[f.edge];
            const auto &x = w_.variables[p == inner ? q : p], &y = w_.variables[inner];
            t.x = x.points;
            t.y = y.points;
            t.ld_x = x.ld;
            t.ld_y = y.ld;
        }
        return t;
    }

    // What an elimination needs on the device, in one piece.
    struct Described {
        const index_t* numbers;
        const Term<T, S>* terms;
        const T* lift;
    };
    Described describe(const std::vector<index_t>& numbers, const std::vector<Term<T, S>>& terms,
                       const std::vector<double>& lifted) {
        const index_t n = static_cast<index_t>(lifted.size());
        std::vector<T> lift(padded(n), -std::numeric_limits<T>::infinity());
        for (index_t k = 0; k < n; ++k) lift[k] = static_cast<T>(lifted[k] / unit_);
        const auto lay_out = [&](std::byte* base, bool fill) {
            Arena arena(base);
            Described d{};
            const auto take = [&](const auto& values, auto*& to) {
                using V = std::remove_cvref_t<decltype(values[0])>;
                V* const there = arena.take<V>(values.size());
                to = there;
                if (fill && !values.empty()) std::memcpy(there, values.data(), values.size() * sizeof(V));
            };
            take(numbers, d.numbers);
            take(terms, d.terms);
            take(lift, d.lift);
            return std::pair{d, arena.used()};
        };
        const std::size_t bytes = lay_out(nullptr, false).second;
        if (bytes > capacity_) {
            described_.emplace(call_, 2 * bytes);
            capacity_ = 2 * bytes;
        }
        std::vector<std::byte> host(bytes);
        lay_out(host.data(), true);
        send(call_, described_->data(), host.data(), bytes);
        return lay_out(described_->data(), false).first;
    }

    // Between launches of some milliseconds: false after a stop.
    bool going() {
        if (!watch_.asked()) return true;
        call_.wait();
        return !watch_.stopped();
    }

    void to_line(const Step& step, const Factors& used, const std::vector<double>& lifted, Table& out) override {
        const int a = step.scope[0], r = step.variable;
        std::vector<Term<T, S>> terms;
        for (const auto& f : used) terms.push_back(term(f, a, -1, r));
        const Described there = describe({}, terms, lifted);
        LineSum<T, S> q{there.terms, static_cast<int>(terms.size()), scale_, there.lift, sizes_[a], sizes_[r], 0, 0};
        const index_t most =
            std::max<index_t>(1, static_cast<index_t>(most_terms / (tile * static_cast<double>(q.inner))));
        for (q.begin = 0; q.begin < q.rows; q.begin += most * tile) {
            q.height = std::min(q.rows - q.begin, most * tile);
            const index_t grid = tiles_of(q.height), chunks = chunks_of(grid, tiles_of(q.inner));
            call_.launch("sum_to_line", sum_to_line<T, S, Max>,
                         dim3(static_cast<unsigned>(grid), static_cast<unsigned>(chunks)), tile_threads, q, w_.parts);
            call_.launch("merge", merge, dim3(static_cast<unsigned>(grid)), block_threads, q.height, chunks,
                         static_cast<const Scaled*>(w_.parts), true, w_.total + q.begin);
            if (q.begin + q.height < q.rows && !going()) return;
        }
        std::vector<Scaled> total(q.rows);
        fetch(call_, total.data(), static_cast<const Scaled*>(w_.total), total.size());
        out.line.resize(q.rows);
        for (index_t i = 0; i < q.rows; ++i)
            out.line[i] = out.offset + (Max ? total[i].top : total[i].top * log_2 + std::log(total[i].sum));
        out.offset = 0;
    }

    void to_table(const Step& step, const Factors& used, const std::vector<double>& lifted, Table& out) override {
        const Roles roles = this->roles(step, used);
        const std::size_t depth = roles.fixed.size();
        std::vector<index_t> numbers;
        for (const int v : roles.fixed) numbers.push_back(sizes_[v]);
        for (const int v : roles.fixed) numbers.push_back(stride(step.scope, v));
        std::vector<Term<T, S>> terms;
        int counts[3] = {};
        for (int part = 0; part < 3; ++part)  // rows or neither, columns, both
            for (const auto& f : used) {
                const Scope scope = scope_of(f);
                const bool row = deblai::multimarginal::contains(scope, roles.a),
                           column = deblai::multimarginal::contains(scope, roles.b);
                if (part != (column ? row ? 2 : 1 : 0)) continue;
                terms.push_back(term(f, roles.a, roles.b, step.variable));
                terms.back().fixed = static_cast<index_t>(numbers.size());
                for (const int v : roles.fixed) numbers.push_back(stride(f, v));
                ++counts[part];
            }
        const Described there = describe(numbers, terms, lifted);
        const index_t size = static_cast<index_t>(deblai::multimarginal::product(step.scope, sizes_));
        out.memory = pool_.take(size * sizeof(T));
        T* const values = out.values<T>();
        TableSum<T, S> q{there.terms,
                         counts[0],
                         counts[1],
                         counts[2],
                         scale_,
                         there.lift,
                         sizes_[roles.a],
                         sizes_[roles.b],
                         sizes_[step.variable],
                         static_cast<int>(depth),
                         there.numbers,
                         stride(step.scope, roles.a),
                         stride(step.scope, roles.b),
                         0,
                         values,
                         w_.exact};
        const index_t blocks = size / (q.rows * q.cols) * tiles_of(q.rows) * tiles_of(q.cols);
        const double each = static_cast<double>(tile) * tile * static_cast<double>(q.inner);
        const index_t most = std::max<index_t>(1, static_cast<index_t>(most_terms / each));
        for (; q.begin < blocks; q.begin += most) {
            call_.launch("sum_to_table", sum_to_table<T, S, Max>,
                         dim3(static_cast<unsigned>(std::min(most, blocks - q.begin))), tile_threads, q);
            if (q.begin + most < blocks && !going()) return;
        }
        out.offset += unit_ * normalise(values, size);
    }

    // Lowers a table by its largest entry, which is returned; 0 where all are -inf.
    double normalise(T* values, index_t size) const {
        const index_t parts = std::min<index_t>((size + block_threads - 1) / block_threads, w_.top_blocks);
        call_.launch("largest", largest<T>, dim3(static_cast<unsigned>(parts)), block_threads,
                     static_cast<const T*>(values), size, w_.tops);
        std::vector<T> tops(parts);
        fetch(call_, tops.data(), static_cast<const T*>(w_.tops), tops.size());
        const T top = *std::max_element(tops.begin(), tops.end());
        if (!(top > -std::numeric_limits<T>::infinity())) return 0;
        call_.launch("lower", lower<T>, grid_of(size), block_threads, values, size, top);
        return static_cast<double>(top);
    }

    const Call& call_;
    const Problem<S>& problem_;
    const GraphWorkspace<T>& w_;
    Pool& pool_;
    Watch& watch_;
    const CostScale<T> scale_;
    std::optional<Memory> described_;  // factors of one elimination
    std::size_t capacity_ = 0;
};

}  // namespace deblai::cuda::multimarginal
