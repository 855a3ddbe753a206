// One call of multimarginal on the device: checked arguments in its workspace, and the sums over all marginals but one
// or two at given potentials.
#pragma once

#include <algorithm>
#include <cstring>
#include <string>

#include "deblai/check.hpp"
#include "multimarginal_call.cuh"
#include "multimarginal_contract.cuh"
#include "multimarginal_setup.cuh"
#include "multimarginal_stream.cuh"
#include "multimarginal_workspace.cuh"

namespace deblai::cuda::multimarginal {

using deblai::multimarginal::Marginal;
using deblai::multimarginal::Masses;

template <class T>
class Sums final : public deblai::multimarginal::Conditionals {
public:
    // Checks entries; throws InvalidValue.
    Sums(const Call& call, const Problem<T>& problem, const Workspace<T>& workspace, Watch& watch)
        : call_(call), problem_(problem), w_(workspace), watch_(watch) {
        for (int p = 0; p < problem.distinct(); ++p) load(p);
        make_tables();
        make_costs();
        if (problem.symmetric) {
            const std::vector<T> own = own_costs();
            deblai::multimarginal::require_room(weights(0), problem.n_marginals, [&](index_t i) {
                return own[i] == -std::numeric_limits<T>::infinity();
            });
        }
        barren_.resize(problem.distinct());
    }

    const std::vector<double>& weights(int p) const override { return masses_[p].weights; }

    void set_potential(int p, const double* f) override {
        const Side<T>& s = w_.sides[p];
        std::vector<double>& both = potentials_;
        both.assign(2 * s.ld, -std::numeric_limits<double>::infinity());
        for (index_t i = 0; i < s.size; ++i) {
            kept_[p][i] = f[i] / problem_.epsilon;
            both[i] = kept_[p][i] * log2_e;
            both[s.ld + i] = masses_[p].logs[i] * log2_e + both[i];
        }
        send(s.f, both.data(), both.size());
    }

    bool conditional(int p, double drift, double* lse) override {
        const index_t n = w_.sides[p].size;
        std::vector<Scaled> total(n);
        for (;;) {
            if (!add_up(p, drift)) return false;
            fetch(total.data(), w_.total, n);
            bool sound = true;
            barren_[p].resize(n);
            for (index_t i = 0; i < n; ++i) {
                lse[i] = total[i].top * log_2 + std::log(total[i].sum);
                if (std::isinf(drift))
                    barren_[p][i] = !(total[i].sum > 0);
                else
                    sound &= barren_[p][i] || lse[i] >= -drift - 1;
            }
            if (sound) break;
            drift = std::numeric_limits<double>::infinity();  // what was left out may matter
        }
        const double* const f = kept_[p].data();
        for (index_t i = 0; i < n; ++i) lse[i] -= f[i];
        return !watch_.stopped();
    }

    // The plan of a pair of three marginals or more, (size of p, ld of q); false after a stop.
    bool pair(int p, int q) {
        const index_t n = side(p).size;
        call_.check(cudaMemsetAsync(w_.exact, 0, n, call_.stream()), "cudaMemsetAsync");
        if (!contract_all(deblai::multimarginal::choose_roles(problem_, p, q), std::numeric_limits<double>::infinity(),
                          w_.plan))
            return false;
        std::vector<char> exact(n);
        fetch(exact.data(), static_cast<const char*>(w_.exact), exact.size());
        exact_rows_ += std::count(exact.begin(), exact.end(), 1);
        return true;
    }
    // Rows of such plans with terms that were summed one by one.
    index_t exact_rows() const { return exact_rows_; }

    Pair<T> costs(int p, int q) const {
        const Side<T>&a = side(p), &b = side(q);
        return {w_.pairs[index(p, q)].M,
                a.points,
                b.points,
                a.ld,
                b.ld,
                dimension(),
                ScaledCost<T>(problem_.cost, problem_.epsilon)};
    }
    const Side<T>& side(int p) const { return w_.sides[own(p)]; }
    index_t dimension() const { return problem_.costs ? 0 : problem_.marginals[0].points.cols; }

    template <class V>
    void send(V* to, const V* from, std::size_t count) const {
        multimarginal::send(call_, to, from, count);
    }
    // Waits.
    template <class V>
    void fetch(V* to, const V* from, std::size_t count) const {
        multimarginal::fetch(call_, to, from, count);
    }

private:
    int own(int p) const { return problem_.symmetric ? 0 : p; }
    std::size_t index(int p, int q) const { return own(p) * problem_.distinct() + own(q); }

    // Points by coordinate, and masses.
    void load(int p) {
        const Side<T>& s = w_.sides[p];
        Marginal<T> m = problem_.marginals[p];
        std::vector<T> host;
        if (m.weights) {
            call_.launch("copy", copy<T>, grid_of(s.size), block_threads, m.weights, w_.staging);
            host.resize(s.size);
            fetch(host.data(), static_cast<const T*>(w_.staging), s.size);
            m.weights = {host.data(), s.size, 1};
        }
        masses_.push_back(deblai::multimarginal::masses(problem_.symmetric ? -1 : p, m));
        send(w_.masses[p], masses_[p].weights.data(), s.size);
        kept_.emplace_back(s.size);
        if (problem_.costs) return;
        const index_t d = dimension();
        call_.launch("by_coordinate", by_coordinate<T>, grid_of(d * s.ld), block_threads, m.points, s.ld, s.points);
        host.resize(d * s.ld);
        fetch(host.data(), static_cast<const T*>(s.points), host.size());
        Team alone({.threads = 1}, 0);
        require_finite(deblai::multimarginal::named("points", problem_.symmetric ? -1 : p).c_str(),
                       Matrix<const T>{host.data(), s.size, d, 1, s.ld}, alone);
    }

    void make_tables() const {
        std::vector<const T*> M;
        for (const auto& pair : w_.pairs) M.push_back(pair.M);
        std::vector<const double*> g;
        std::vector<index_t> ld;
        for (const Side<T>& s : w_.sides) g.push_back(s.g), ld.push_back(s.ld);
        send(w_.M_table, M.data(), M.size());
        send(w_.g_table, g.data(), g.size());
        send(w_.ld_table, ld.data(), ld.size());
    }

    void make_costs() const {
        const int count = problem_.distinct();
        call_.check(cudaMemsetAsync(w_.first, 0xFF, (problem_.pairs() + 1) * sizeof(flat_index), call_.stream()),
                    "cudaMemsetAsync");
        for (int p = 0; p < count; ++p)
            for (int q = 0; q < count; ++q)
                if (w_.pairs[p * count + q].M) make_costs(p, q);
        if (problem_.costs) refuse_costs();
    }

    void make_costs(int p, int q) const {
        const auto& a = w_.pairs[index(p, q)];
        const index_t n = side(p).size, m = side(q).size, ld = side(q).ld;
        if (problem_.costs) {
            const index_t pair = problem_.pair(std::min(p, q), std::max(p, q));
            Matrix<const T> given = problem_.costs[pair];
            if (p > q) given = {given.data, given.cols, given.rows, given.col_stride, given.row_stride};
            call_.launch("scale_costs", scale_costs<T>, grid_of(n * ld), block_threads, given,
                         -log2_e / problem_.epsilon, ld, a.M, w_.first + pair);
            if (problem_.symmetric)
                call_.launch("find_asymmetry", find_asymmetry<T>, grid_of(n * n), block_threads,
                             static_cast<const T*>(a.M), n, ld, w_.first + problem_.pairs());
        } else {
            Pair<T> pair = costs(p, q);
            pair.stored = nullptr;
            call_.launch("fill_costs", fill_costs<T>, grid_of(n * ld), block_threads, pair, n, m, a.M);
        }
        if (!a.kernel) return;
        call_.launch("stabilise", stabilise<T>, grid_of(tiles_of(n) * ld), block_threads, static_cast<const T*>(a.M), n,
                     ld, a.tops, a.kernel);
        call_.launch("widen", widen<T>, grid_of(tiles_of(n) * tiles_of(ld)), block_threads,
                     static_cast<const T*>(a.tops), tiles_of(n), ld, a.highest);
    }

    void refuse_costs() const {
        std::vector<flat_index> first(problem_.pairs() + 1);
        fetch(first.data(), static_cast<const flat_index*>(w_.first), first.size());
        for (index_t pair = 0; pair < problem_.pairs(); ++pair) {
            if (first[pair] == ~flat_index{0}) continue;
            const Matrix<const T>& given = problem_.costs[pair];
            const index_t at = static_cast<index_t>(first[pair]);
            T value;
            fetch(&value, &given(at / given.cols, at % given.cols), 1);
            throw deblai::multimarginal::not_a_cost(problem_.symmetric ? -1 : pair, static_cast<double>(value));
        }
        if (first.back() == ~flat_index{0}) return;
        const index_t at = static_cast<index_t>(first.back()), n = side(0).size;
        throw deblai::multimarginal::not_symmetric(at / n, at % n);
    }

    std::vector<T> own_costs() const {
        const index_t n = side(0).size;
        std::vector<T> host(n);
        call_.launch("diagonal", diagonal<T>, grid_of(n), block_threads, costs(0, 0), n, w_.staging);
        fetch(host.data(), static_cast<const T*>(w_.staging), n);
        return host;
    }

    // total(i) of the rows of p, relative to what their potential predicts.
    bool add_up(int p, double drift) {
        const T unset = std::isinf(drift) ? Range<T>::unset : T(0);
        if (problem_.n_marginals > 2)
            return contract_all(deblai::multimarginal::choose_roles(problem_, p, -1), drift, nullptr);
        const Side<T>&P = side(p), &Q = side(1 - p);
        const index_t rows = tiles_of(P.size), chunks = chunks_of(rows, tiles_of(Q.size));
        call_.launch("stream", stream<T>, dim3(static_cast<unsigned>(rows), static_cast<unsigned>(chunks)),
                     tile_threads, costs(p, 1 - p), P, Q, unset, w_.parts);
        call_.launch("merge", merge, dim3(static_cast<unsigned>(rows)), block_threads, P.size, chunks,
                     static_cast<const Scaled*>(w_.parts), true, w_.total);
        return true;
    }

    Contraction<T> contraction(const Roles& roles, double drift) const {
        const auto &pq = w_.pairs[index(roles.p, roles.q)], &pr = w_.pairs[index(roles.p, roles.r)],
                   &rq = w_.pairs[index(roles.r, roles.q)];
        Contraction<T> c{{w_.M_table, w_.g_table, w_.ld_table, problem_.distinct()},
                         own(roles.p),
                         own(roles.q),
                         own(roles.r),
                         side(roles.p),
                         side(roles.q),
                         side(roles.r),
                         pq.M,
                         pr.M,
                         rq.M,
                         rq.kernel,
                         rq.tops,
                         rq.highest,
                         {w_.tuples, nullptr, w_.tuple_weights, static_cast<int>(roles.fixed.size())},
                         0,
                         0,
                         -std::numeric_limits<double>::infinity(),
                         -Range<T>::infinity,
                         Range<T>::unset,
                         nullptr};
        c.tuples.at = w_.tuples + roles.fixed.size();
        if (std::isinf(drift)) return c;
        // A product below 2^bound loses less than 2^(bound - range) of each of its terms.
        const double terms = deblai::multimarginal::terms(problem_, roles), off = drift * log2_e;
        constexpr double range = sizeof(T) == 4 ? 126 : 1022, wanted = sizeof(T) == 4 ? 32 : 64;
        c.floor = -(deblai::multimarginal::negligible<T>(terms) + 2 * drift) * log2_e;
        c.safe = static_cast<T>(std::min(range - wanted - std::log2(terms) - off, double{Range<T>::wide}));
        c.start = 0;
        if (c.safe < T(16)) {  // better measured against what has been found
            c.safe = -Range<T>::infinity;
            c.start = Range<T>::unset;
        }
        return c;
    }

    bool contract_all(const Roles& roles, double drift, T* plan) {
        Contraction<T> c = contraction(roles, drift);
        if (plan) c.exact = w_.exact;
        const std::size_t depth = roles.fixed.size();
        const auto size = [&](std::size_t l) { return side(roles.fixed[l]).size; };
        const index_t batch = w_.tuple_batch(problem_);
        std::vector<int> at;
        std::vector<double> weights;
        bool first = true;
        const auto flush = [&] {
            const index_t count = static_cast<index_t>(weights.size());
            send(w_.tuples, at.data(), at.size());
            send(w_.tuple_weights, weights.data(), weights.size());
            call_.launch("weigh_tuples", weigh_tuples<T>, grid_of(count), block_threads, c.all, c.tuples, count);
            const bool going = launch(c, count * tiles_of(c.R.size), first, plan);
            first = false;
            start(roles, at, weights);
            return going;
        };
        start(roles, at, weights);
        for (index_t f = 0; f < (depth ? size(0) : 1); ++f) {
            deblai::multimarginal::Tuple tuple(depth, problem_.symmetric, f);
            do {
                for (const index_t i : tuple.at) at.push_back(static_cast<int>(i));
                weights.push_back(tuple.log_weight([](std::size_t, double&) {}) * log2_e);
                if (static_cast<index_t>(weights.size()) == batch && !flush()) return false;
            } while (tuple.next(size));
        }
        return weights.empty() || flush();
    }

    // An upload begins with the marginals that are fixed.
    void start(const Roles& roles, std::vector<int>& at, std::vector<double>& weights) const {
        at.clear();
        weights.clear();
        for (const int l : roles.fixed) at.push_back(own(l));
    }

    // All items of one batch of tuples, in launches of some milliseconds.
    bool launch(Contraction<T>& c, index_t items, bool first, T* plan) {
        const index_t columns = tiles_of(c.Q.size), grid = tiles_of(c.P.size) * columns;
        const double each = static_cast<double>(grid) * tile * tile * tile;
        const index_t step = std::max<index_t>(1, static_cast<index_t>(most_terms / each));
        for (c.begin = 0; c.begin < items; c.begin = c.end) {
            c.end = std::min(items, c.begin + step);
            const index_t chunks = plan ? 1 : chunks_of(grid, c.end - c.begin);
            call_.launch("contract", contract<T>, dim3(static_cast<unsigned>(grid), static_cast<unsigned>(chunks)),
                         tile_threads, c, w_.parts, plan, first && c.begin == 0);
            if (!plan)
                call_.launch("merge", merge, dim3(static_cast<unsigned>(tiles_of(c.P.size))), block_threads, c.P.size,
                             columns * chunks, static_cast<const Scaled*>(w_.parts), first && c.begin == 0, w_.total);
            if (c.end == items || !watch_.asked()) continue;
            call_.wait();
            if (watch_.stopped()) return false;
        }
        return true;
    }

    const Call& call_;
    const Problem<T>& problem_;
    const Workspace<T>& w_;
    Watch& watch_;
    std::vector<Masses> masses_;
    std::vector<std::vector<double>> kept_;  // f / epsilon
    std::vector<std::vector<char>> barren_;  // rows without a term
    std::vector<double> potentials_;
    index_t exact_rows_ = 0;
};

}  // namespace deblai::cuda::multimarginal
