#include "deblai/multimarginal-graph.hpp"

#include <algorithm>
#include <limits>
#include <set>

namespace deblai::multimarginal {
namespace {

using Neighbours = std::vector<std::set<int>>;

// What eliminating v would add: the entries of the matrices between neighbours that are no neighbours yet.
double fill_of(int v, const Neighbours& near, const std::vector<index_t>& sizes) {
    double fill = 0;
    for (const int a : near[v])
        for (auto b = near[v].upper_bound(a); b != near[v].end(); ++b)
            if (!near[a].contains(*b)) fill += static_cast<double>(sizes[a]) * static_cast<double>(sizes[*b]);
    return fill;
}

}  // namespace

bool contains(const Scope& scope, int variable) { return std::binary_search(scope.begin(), scope.end(), variable); }

Scope united(const Scope& a, const Scope& b) {
    Scope all;
    std::set_union(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(all));
    return all;
}

double product(const Scope& scope, const std::vector<index_t>& sizes) {
    double count = 1;
    for (const int v : scope) count *= static_cast<double>(sizes[v]);
    return count;
}

int EliminationTree::width() const {
    std::size_t width = 0;
    for (const Bag& b : bags) width = std::max(width, b.others.size());
    return static_cast<int>(width);
}

EliminationTree::EliminationTree(const std::vector<index_t>& sizes, const std::vector<Edge>& edges, Scope extra)
    : bags(sizes.size()), enter_(sizes.size()), leave_(sizes.size()) {
    eliminate(sizes, edges, extra);
    plant(edges);
}

void EliminationTree::eliminate(const std::vector<index_t>& sizes, const std::vector<Edge>& edges, const Scope& extra) {
    const int count = static_cast<int>(sizes.size());
    Neighbours near(count);
    const auto join = [&](int a, int b) {
        near[a].insert(b);
        near[b].insert(a);
    };
    for (const Edge& e : edges) join(e.p, e.q);
    if (!extra.empty()) join(extra[0], extra[1]);
    // Those with one neighbour or none go first, whatever the others would add.
    constexpr double unknown = -1;
    std::vector<double> fill(count, unknown);
    std::vector<char> gone(count, 0);
    const auto choose = [&] {
        for (int v = 0; v < count; ++v)
            if (!gone[v] && near[v].size() <= 1) return v;
        int best = -1;
        for (int v = 0; v < count; ++v) {
            if (gone[v]) continue;
            if (fill[v] == unknown) fill[v] = fill_of(v, near, sizes);
            if (best < 0 || fill[v] < fill[best]) best = v;
        }
        return best;
    };
    for (int step = 0; step < count; ++step) {
        const int next = choose();
        gone[next] = 1;
        order.push_back(next);
        const std::set<int> others = near[next];
        bags[next].others.assign(others.begin(), others.end());
        std::set<int> touched = others;
        for (const int a : others) {
            near[a].erase(next);
            for (const int b : others)
                if (a < b && !near[a].contains(b)) {
                    join(a, b);
                    touched.insert(near[a].begin(), near[a].end());
                    touched.insert(near[b].begin(), near[b].end());
                }
        }
        for (const int v : touched) fill[v] = unknown;
    }
}

void EliminationTree::plant(const std::vector<Edge>& edges) {
    const int count = static_cast<int>(bags.size());
    std::vector<int> when(count);
    for (int k = 0; k < count; ++k) when[order[k]] = k;
    for (const int v : order) {
        for (const int u : bags[v].others)
            if (bags[v].parent < 0 || when[u] < when[bags[v].parent]) bags[v].parent = u;
        if (bags[v].parent >= 0)
            bags[bags[v].parent].children.push_back(v);
        else
            roots.push_back(v);
    }
    for (std::size_t e = 0; e < edges.size(); ++e)
        bags[when[edges[e].p] < when[edges[e].q] ? edges[e].p : edges[e].q].edges.push_back(static_cast<int>(e));
    for (int v = 0; v < count; ++v) {
        bags[v].kept = {v};
        for (const int c : bags[v].children) bags[v].kept = united(bags[v].kept, bags[c].others);
    }
    std::vector<int> stack(roots.rbegin(), roots.rend());
    while (!stack.empty()) {
        const int v = stack.back();
        stack.pop_back();
        enter_[v] = static_cast<int>(traversal.size());
        traversal.push_back(v);
        stack.insert(stack.end(), bags[v].children.rbegin(), bags[v].children.rend());
    }
    for (const int v : traversal) leave_[v] = enter_[v] + 1;
    for (const int v : order)
        if (bags[v].parent >= 0) leave_[bags[v].parent] = std::max(leave_[bags[v].parent], leave_[v]);
}

std::vector<Step> steps(std::vector<Scope>& scopes, const Scope& keep, const std::vector<index_t>& sizes) {
    std::vector<Step> out;
    std::vector<char> used(scopes.size(), 0);
    Scope left;
    for (const Scope& s : scopes) left = united(left, s);
    std::erase_if(left, [&](int v) { return contains(keep, v); });
    while (!left.empty()) {
        Step best{};
        double least = std::numeric_limits<double>::infinity();
        for (const int v : left) {
            Step step{v, {}, {}};
            for (std::size_t k = 0; k < scopes.size(); ++k) {
                if (used[k] || !contains(scopes[k], v)) continue;
                step.used.push_back(static_cast<int>(k));
                step.scope = united(step.scope, scopes[k]);
            }
            std::erase(step.scope, v);
            const double size = product(step.scope, sizes);
            if (size < least || best.used.empty()) {
                least = size;
                best = std::move(step);
            }
        }
        for (const int k : best.used) used[k] = 1;
        std::erase(left, best.variable);
        scopes.push_back(best.scope);
        used.push_back(0);
        out.push_back(std::move(best));
    }
    return out;
}

}  // namespace deblai::multimarginal
