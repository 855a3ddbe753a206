#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "deblai/check.hpp"
#include "deblai/multimarginal-host.hpp"
#include "deblai/multimarginal-minimum.hpp"

#include "minimum-search.hpp"
#include "multimarginal/graph/graph.hpp"

namespace deblai::multimarginal {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

// Marginals p and r, each its own or the only one: costs of point i of p with all of r.
template <class T>
void cost_row(const Problem<T>& q, int p, int r, index_t i, double* out) {
    const int a = q.symmetric ? 0 : p, b = q.symmetric ? 0 : r;
    const index_t n = q.marginals[b].size;
    if (q.costs) {
        const index_t pair = q.symmetric ? 0 : q.pair(std::min(p, r), std::max(p, r));
        const Matrix<const T>& c = q.costs[pair];
        for (index_t j = 0; j < n; ++j) {
            const double v = p <= r ? c(i, j) : c(j, i);
            if (std::isnan(v) || v == -infinity) throw not_a_cost(q.symmetric ? -1 : pair, v);
            out[j] = v;
        }
        return;
    }
    const Matrix<const T>&x = q.marginals[a].points, &y = q.marginals[b].points;
    std::fill(out, out + n, 0.0);
    for (index_t k = 0; k < x.cols; ++k) {
        const double mine = x(i, k);
        for (index_t j = 0; j < n; ++j) {
            const double d = mine - static_cast<double>(y(j, k));
            out[j] += d * d;
        }
    }
    for (index_t j = 0; j < n; ++j) out[j] = q.cost.cost(out[j]);
}

// Two marginals: nothing but rows is ever stored.
template <class T>
Minimum scan(const Problem<T>& q, const std::vector<std::vector<double>>& unary, const Control& control) {
    constexpr index_t block = 32;
    const std::vector<double>&h = unary[0], &g = unary[q.symmetric ? 0 : 1];
    const auto n = static_cast<index_t>(h.size()), m = static_cast<index_t>(g.size());
    const double low = *std::min_element(g.begin(), g.end());
    Team team(control, 2.0 * static_cast<double>(n) * static_cast<double>(m));
    struct Best {
        double value = infinity;
        index_t i = -1, j = -1;
    };
    std::vector<Best> found((n + block - 1) / block);
    std::vector<std::vector<double>> rows(team.size(), std::vector<double>(m));
    team.run(static_cast<index_t>(found.size()), [&](index_t task, int worker) {
        double* const c = rows[worker].data();
        Best& best = found[task];
        for (index_t i = task * block; i < std::min(n, (task + 1) * block); ++i) {
            if (h[i] == infinity || low == infinity) continue;
            cost_row(q, 0, 1, i, c);
            if (!(h[i] + least(c, g.data(), m) < best.value)) continue;
            for (index_t j = 0; j < m; ++j)
                if (h[i] + (c[j] + g[j]) < best.value) best = {h[i] + (c[j] + g[j]), i, j};
        }
    });
    Best best;
    for (const Best& b : found)
        if (b.value < best.value) best = b;
    const bool done = !team.stopped();
    Minimum result{done ? best.value : -infinity, best.value, done, 1, {}};
    if (best.i >= 0) result.at = {best.i, best.j};
    return result;
}

template <class T>
Tables tables(const Problem<T>& q, std::vector<std::vector<double>> unary, const std::vector<int>& order,
              const Control& control) {
    Tables t{q.n_marginals, q.symmetric, {}, {}, {}, {}, {}};
    for (int k = 0; k < q.distinct(); ++k) {
        t.sizes.push_back(q.marginals[order[k]].size);
        t.unary.push_back(std::move(unary[order[k]]));
    }
    for (int a = 0; a < q.distinct(); ++a)
        for (int b = q.symmetric ? a : a + 1; b < q.distinct(); ++b) {
            const index_t n = t.sizes[a], m = t.sizes[b];
            t.costs.emplace_back(n * m);
            std::vector<double>& to = t.costs.back();
            Team team(control, 2.0 * static_cast<double>(n) * static_cast<double>(m));
            team.run(n, [&](index_t i, int) { cost_row(q, order[a], order[b], i, to.data() + i * m); });
            for (index_t i = 0; q.costs && q.symmetric && i < n; ++i)
                for (index_t j = 0; j < i; ++j)
                    if (!mirrored(to[i * m + j], to[j * m + i])) throw not_symmetric(i, j);
            std::vector<double> rows(n, infinity), cols(m, infinity);
            for (index_t i = 0; i < n; ++i)
                for (index_t j = 0; j < m; ++j) {
                    rows[i] = std::min(rows[i], to[i * m + j]);
                    cols[j] = std::min(cols[j], to[i * m + j]);
                }
            t.rows.push_back(std::move(rows));
            t.cols.push_back(std::move(cols));
        }
    return t;
}

// What was found with no threshold, as it is with one.
Minimum below(Minimum found, const Wanted& wanted) {
    found.value = std::min(found.value, wanted.threshold);
    if (!(found.best < wanted.threshold)) {
        found.best = infinity;
        found.at.clear();
    } else if (wanted.tuples) {
        found.values = {found.best};
        found.tuples = found.at;
    }
    return found;
}

// From positions to marginals.
void restore(std::vector<index_t>& tuples, const std::vector<int>& order) {
    std::vector<index_t> at(order.size());
    for (auto tuple = tuples.begin(); tuple != tuples.end(); tuple += static_cast<std::ptrdiff_t>(order.size())) {
        for (std::size_t k = 0; k < order.size(); ++k) at[order[k]] = tuple[static_cast<std::ptrdiff_t>(k)];
        std::copy(at.begin(), at.end(), tuple);
    }
}

}  // namespace

template <class T>
Minimum minimum(const Problem<T>& q, const double* potentials, const Wanted& wanted, const Control& control) {
    if (q.edges) return below(graph_minimum(q, potentials, control), wanted);
    require_shapes(q);
    const std::vector<index_t> offset = offsets(q);
    std::vector<std::vector<double>> unary;
    Team serial({.threads = 1}, 0);
    for (int p = 0; p < q.distinct(); ++p) {
        if (!q.costs) require_finite(named("points", q.symmetric ? -1 : p).c_str(), q.marginals[p].points, serial);
        const Masses mass = masses(q.symmetric ? -1 : p, q.marginals[p]);
        unary.emplace_back(q.marginals[p].size);
        for (index_t i = 0; i < q.marginals[p].size; ++i)
            unary[p][i] = mass.weights[i] > 0 ? -potentials[offset[p] + i] : infinity;
    }
    if (q.n_marginals == 2) return below(scan(q, unary, control), wanted);

    // The last two positions are scanned as a whole: the longest ones.
    std::vector<int> order(q.distinct());
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(),
                     [&](int a, int b) { return q.marginals[a].size < q.marginals[b].size; });
    Minimum found = search(tables(q, std::move(unary), order, control), wanted, control);
    if (!q.symmetric) {
        restore(found.at, order);
        restore(found.tuples, order);
    }
    return found;
}

template Minimum minimum(const Problem<float>&, const double*, const Wanted&, const Control&);
template Minimum minimum(const Problem<double>&, const double*, const Wanted&, const Control&);

}  // namespace deblai::multimarginal
