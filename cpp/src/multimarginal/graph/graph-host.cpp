// What backends share beside messages: the steps of a reduction, sums at given potentials, the least of all sums.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "deblai/multimarginal-graph.hpp"

namespace deblai::multimarginal {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

template <class T>
void gather(const Matrix<const T>& x, index_t* begin, index_t* end) {
    if (end - begin <= 4) return;
    index_t widest = 0;
    double most = -1;
    for (index_t k = 0; k < x.cols; ++k) {
        const auto [low, high] =
            std::minmax_element(begin, end, [&](index_t a, index_t b) { return x(a, k) < x(b, k); });
        const double extent = static_cast<double>(x(*high, k)) - static_cast<double>(x(*low, k));
        if (extent > most) most = extent, widest = k;
    }
    index_t* const middle = begin + (end - begin) / 2;
    std::nth_element(begin, middle, end, [&](index_t a, index_t b) {
        return x(a, widest) != x(b, widest) ? x(a, widest) < x(b, widest) : a < b;
    });
    gather(x, begin, middle);
    gather(x, middle, end);
}

}  // namespace

template <class T>
std::vector<index_t> near_each_other(const Matrix<const T>& points) {
    std::vector<index_t> order(points.rows);
    std::iota(order.begin(), order.end(), index_t{0});
    gather(points, order.data(), order.data() + points.rows);
    return order;
}
template std::vector<index_t> near_each_other(const Matrix<const float>&);
template std::vector<index_t> near_each_other(const Matrix<const double>&);

Scope GraphAlgebra::scope_of(const Factor& f) const {
    if (f.table) return f.table->scope;
    return {edges_[f.edge].p, edges_[f.edge].q};
}

Factors GraphAlgebra::reduce(Factors list, const Scope& keep) {
    std::vector<Scope> scopes;
    for (const auto& f : list) scopes.push_back(scope_of(f));
    for (const Step& step : steps(scopes, keep, sizes_)) {
        if (stopped()) return {};
        Factor result = eliminate(step, list);
        for (const int k : step.used) list[k] = {};
        list.push_back(std::move(result));
    }
    std::erase_if(list, [](const Factor& f) { return !f.table && f.edge < 0; });
    return list;
}

Factor GraphAlgebra::eliminate(const Step& step, const Factors& list) {
    const auto out = std::make_shared<Table>();
    Factors wide;
    std::vector<double> lifted(sizes_[step.variable], 0.0);
    out->scope = step.scope;
    for (const int k : step.used) {
        const Factor& f = list[k];
        if (f.table) out->offset += f.table->offset;
        if (!f.table || f.table->scope.size() > 1)
            wide.push_back(f);
        else
            for (std::size_t i = 0; i < lifted.size(); ++i) lifted[i] += f.table->line[i];
    }
    const double top = *std::max_element(lifted.begin(), lifted.end());
    out->offset += top;
    if (top > -infinity)
        for (double& v : lifted) v -= top;
    if (step.scope.empty()) {
        double sum = 0;
        for (const double v : lifted) sum += std::exp(v);
        if (semiring_ == Semiring::sum) out->offset += std::log(sum);
    } else if (step.scope.size() == 1) {
        to_line(step, wide, lifted, *out);
    } else {
        to_table(step, wide, lifted, *out);
    }
    return {out};
}

GraphAlgebra::Roles GraphAlgebra::roles(const Step& step, const Factors& used) const {
    Roles best{-1, -1, {}, true};
    double most = -1;
    for (const int a : step.scope)
        for (const int b : step.scope) {
            if (b <= a) continue;
            const bool coupled = std::any_of(used.begin(), used.end(), [&](const Factor& f) {
                const Scope s = scope_of(f);
                return contains(s, a) && contains(s, b);
            });
            const double size = product({a, b}, sizes_);
            if (coupled > best.coupled || (coupled == best.coupled && size <= most)) continue;
            best = {a, b, {}, coupled};
            most = size;
        }
    for (const int v : step.scope)
        if (v != best.a && v != best.b) best.fixed.push_back(v);
    return best;
}

std::vector<double> GraphAlgebra::line(const Factors& list, int p) const {
    std::vector<double> sum(sizes_[p], 0.0);
    for (const auto& f : list)
        if (f.table && f.table->scope == Scope{p})
            for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += f.table->line[i];
    return sum;
}

double GraphAlgebra::constant(const Factors& list) const {
    double sum = 0;
    for (const auto& f : list)
        if (f.table) sum += f.table->offset;
    return sum;
}

GraphSums::GraphSums(double epsilon, std::vector<Masses> masses, const EliminationTree& tree, GraphAlgebra& algebra)
    : epsilon_(epsilon), masses_(std::move(masses)), tree_(tree), algebra_(algebra), messages(tree, algebra) {}

void GraphSums::set_potential(int p, const double* f) {
    std::vector<double> line = masses_[p].logs;
    for (std::size_t i = 0; i < line.size(); ++i) line[i] += f[i] / epsilon_;
    messages.set(p, std::move(line));
}

bool GraphSums::conditional(int p, double, double* lse) {
    const std::vector<double> found = messages.conditional(p);
    if (algebra_.stopped()) return false;
    std::copy(found.begin(), found.end(), lse);
    return true;
}

std::vector<double> GraphSums::marginal(int p) {
    std::vector<double> found = messages.conditional(p);
    const std::vector<double>& g = messages.get(p);
    for (std::size_t i = 0; i < found.size(); ++i) found[i] = g[i] > -infinity ? std::exp(g[i] + found[i]) : 0.0;
    return found;
}

Minimum least(const Edge* edges, index_t edge_count, const std::vector<Masses>& masses, const double* potentials,
              const EliminationTree& tree, GraphAlgebra& algebra) {
    Messages messages(tree, algebra);
    const std::vector<index_t>& sizes = algebra.sizes();
    const Demand cost = demand(tree, sizes, edges, sizeof(double));
    std::vector<std::vector<double>> lines;
    for (std::size_t p = 0; p < sizes.size(); potentials += sizes[p++]) {
        lines.emplace_back(potentials, potentials + sizes[p]);
        for (index_t i = 0; i < sizes[p]; ++i)
            if (masses[p].weights[i] == 0) lines[p][i] = -infinity;
        messages.set(static_cast<int>(p), lines[p]);
    }
    Minimum found{0, 0, true, static_cast<std::int64_t>(std::min(cost.operations, 0x1p62)), {}};
    for (const int v : tree.roots) found.value -= algebra.constant(messages.up(v));
    if (algebra.stopped()) return {-infinity, infinity, false, 0, {}};
    found.at.assign(sizes.size(), 0);
    for (const int v : tree.traversal) {
        std::vector<double> score(sizes[v]);
        algebra.from_natural(v, lines[v].data(), score.data());
        for (const int e : tree.bags[v].edges) algebra.add_at({nullptr, e}, v, found.at.data(), score);
        for (const int c : tree.bags[v].children)
            for (const auto& f : messages.up(c)) algebra.add_at(f, v, found.at.data(), score);
        found.at[v] = std::max_element(score.begin(), score.end()) - score.begin();
    }
    for (int e = 0; e < edge_count; ++e) {
        std::vector<double> costs(sizes[edges[e].q], 0.0);
        algebra.add_at({nullptr, e}, edges[e].q, found.at.data(), costs);
        found.best -= costs[found.at[edges[e].q]];
    }
    for (std::size_t p = 0; p < sizes.size(); ++p) {
        found.at[p] = algebra.natural(static_cast<int>(p), found.at[p]);
        found.best -= lines[p][found.at[p]];
    }
    return found;
}

}  // namespace deblai::multimarginal
