#include <algorithm>
#include <utility>

#include "deblai/multimarginal-graph.hpp"

namespace deblai::multimarginal {

namespace {

void append(Factors& to, const Factors& from) { to.insert(to.end(), from.begin(), from.end()); }

void include(const Factor& f, Table& sum) {
    if (f.table->scope.size() > 1) return;
    sum.offset += f.table->offset;
    if (f.table->scope.empty()) return;
    sum.scope = f.table->scope;
    sum.line.resize(f.table->line.size(), 0.0);
    for (std::size_t i = 0; i < sum.line.size(); ++i) sum.line[i] += f.table->line[i];
}

}  // namespace

void Hub::forget(std::size_t child) {
    for (std::size_t k = size_ + child; k > 0; k /= 2) nodes_[k] = {};
}

void Hub::append(int child, Factors& list, const std::vector<int>& children, const std::vector<Factors>& told) {
    const auto add = [&](std::size_t node) {
        const Factor& f = get(node, children, told);
        if (f.table) list.push_back(f);
    };
    if (child < 0) return add(1);
    for (std::size_t k = size_ + child; k > 1; k /= 2) add(k ^ 1);
}

const Factor& Hub::get(std::size_t node, const std::vector<int>& children, const std::vector<Factors>& told) {
    if (!nodes_[node].table) {
        const auto sum = std::make_shared<Table>();
        if (node >= size_) {
            for (const auto& f : told[children[node - size_]]) include(f, *sum);
        } else {
            include(get(2 * node, children, told), *sum);
            include(get(2 * node + 1, children, told), *sum);
        }
        nodes_[node].table = sum;
    }
    return nodes_[node];
}

Messages::Messages(const EliminationTree& tree, GraphAlgebra& algebra)
    : tree_(tree),
      algebra_(algebra),
      given_(tree.bags.size()),
      lines_(tree.bags.size()),
      up_(tree.bags.size()),
      above_(tree.bags.size()),
      place_(tree.bags.size(), -1),
      up_known_(tree.bags.size(), 0),
      above_known_(tree.bags.size(), 0) {
    for (const Bag& bag : tree.bags) {
        hubs_.emplace_back(bag.children.size());
        for (std::size_t k = 0; k < bag.children.size(); ++k) place_[bag.children[k]] = static_cast<int>(k);
    }
}

void Messages::set(int p, std::vector<double> line) {
    if (given_[p] == line) return;
    const auto table = std::make_shared<Table>();
    table->scope = {p};
    table->line.resize(line.size());
    algebra_.from_natural(p, line.data(), table->line.data());
    given_[p] = std::move(line);
    lines_[p].table = table;
    // All that is told on the way up from p, and all that is told down to where p is not.
    for (int v = p; v >= 0; v = tree_.bags[v].parent) {
        up_[v].clear();
        up_known_[v] = 0;
        if (tree_.bags[v].parent >= 0) hubs_[tree_.bags[v].parent].forget(place_[v]);
    }
    for (int v = 0; v < static_cast<int>(above_.size()); ++v)
        if (!tree_.below(p, v)) {
            above_[v].clear();
            above_known_[v] = 0;
        }
}

// The factors of a bag and what its children tell.
Factors Messages::own(int v) {
    Factors list{lines_[v]};
    for (const int e : tree_.bags[v].edges) list.push_back({nullptr, e});
    append_children(v, -1, list);
    return list;
}

void Messages::append_children(int v, int but, Factors& list) {
    const std::vector<int>& children = tree_.bags[v].children;
    for (const int c : children) {
        if (c == but) continue;
        for (const auto& f : up(c))
            if (f.table->scope.size() > 1) list.push_back(f);
    }
    if (!children.empty() && !algebra_.stopped()) hubs_[v].append(but < 0 ? -1 : place_[but], list, children, up_);
}

const Factors& Messages::up(int root) {
    if (up_known_[root]) return up_[root];
    std::vector<int> stack{root};
    while (!stack.empty() && !algebra_.stopped()) {
        const int v = stack.back();
        const std::size_t depth = stack.size();
        for (const int c : tree_.bags[v].children)
            if (!up_known_[c]) stack.push_back(c);
        if (stack.size() > depth) continue;
        stack.pop_back();
        if (up_known_[v]) continue;
        Factors found = algebra_.reduce(own(v), tree_.bags[v].others);
        if (algebra_.stopped()) break;
        up_[v] = std::move(found);
        up_known_[v] = 1;
    }
    return up_[root];
}

// What the parent of v knows without v, and the edges of v: factors over the bag and the parent's.
Factors Messages::from_above(int v) {
    const int parent = tree_.bags[v].parent;
    Factors list;
    if (parent >= 0) {
        list = above_[parent];
        list.push_back(lines_[parent]);
    }
    if (parent >= 0) append_children(parent, v, list);
    for (const int r : tree_.roots)
        if (parent < 0 && r != v) append(list, up(r));
    for (const int e : tree_.bags[v].edges) list.push_back({nullptr, e});
    return list;
}

const Factors& Messages::above(int v) {
    std::vector<int> path;
    for (int u = v; u >= 0 && !above_known_[u]; u = tree_.bags[u].parent) path.push_back(u);
    for (; !path.empty() && !algebra_.stopped(); path.pop_back()) {
        const int u = path.back();
        Factors list = from_above(u);
        if (algebra_.stopped()) break;
        above_[u] = algebra_.reduce(std::move(list), tree_.bags[u].kept);
        above_known_[u] = !algebra_.stopped();
    }
    return above_[v];
}

std::vector<double> Messages::conditional(int p) {
    Factors list = above(p);
    append_children(p, -1, list);
    if (algebra_.stopped()) return {};
    list = algebra_.reduce(std::move(list), {p});
    if (algebra_.stopped()) return {};
    const std::vector<double> line = algebra_.line(list, p);
    std::vector<double> sum(line.size());
    algebra_.to_natural(p, line.data(), sum.data());
    for (double& v : sum) v += algebra_.constant(list);
    return sum;
}

Factors Messages::around(int p, int q) {
    const int v = tree_.meeting(p, q), parent = tree_.bags[v].parent;
    if (parent >= 0) above(parent);
    if (algebra_.stopped()) return {};
    Factors list = from_above(v);
    list.push_back(lines_[v]);
    append_children(v, -1, list);
    if (algebra_.stopped()) return {};
    return algebra_.reduce(std::move(list), {std::min(p, q), std::max(p, q)});
}

namespace {

// Bytes of results: all, and those of tables.
struct Bytes {
    double all = 0, tables = 0;
};

// Follows the scopes of factors through the steps that a message takes.
class Count {
public:
    Count(const std::vector<index_t>& sizes, std::size_t entry) : sizes_(sizes), entry_(entry) {}

    void add(const Scope& scope, Bytes& to) const {
        const double n = product(scope, sizes_), table = scope.size() > 1 ? static_cast<double>(entry_) * n : 0;
        to.tables += scope.size() > 1 ? table + 512 : 0;
        to.all += 512 + (scope.size() > 1 ? table : scope.empty() ? 0 : 8 * n);
    }

    // The scopes that are left; `made` is what the results that are among them take.
    std::vector<Scope> reduce(std::vector<Scope> scopes, const Scope& keep, Bytes& made) {
        const std::size_t given = scopes.size();
        const std::vector<Step> todo = steps(scopes, keep, sizes_);
        std::vector<char> used(scopes.size(), 0);
        Bytes sum{1024 * static_cast<double>(scopes.size()), 0};
        for (const Step& s : todo) {
            add(s.scope, sum);
            operations += product(s.scope, sizes_) * static_cast<double>(sizes_[s.variable]);
            for (const int k : s.used) used[k] = 1;
        }
        most = {std::max(most.all, sum.all), std::max(most.tables, sum.tables)};
        std::vector<Scope> left;
        for (std::size_t k = 0; k < scopes.size(); ++k) {
            if (used[k]) continue;
            if (k >= given) add(scopes[k], made);
            left.push_back(scopes[k]);
        }
        return left;
    }

    double operations = 0;
    Bytes most;

private:
    const std::vector<index_t>& sizes_;
    std::size_t entry_;
};

}  // namespace

Demand demand(const EliminationTree& tree, const std::vector<index_t>& sizes, const Edge* edges, std::size_t entry) {
    using Scopes = std::vector<Scope>;
    Count count(sizes, entry);
    const std::size_t n = sizes.size();
    std::vector<Scopes> up(n), above(n);
    Bytes kept, none;
    const auto append = [](Scopes& to, const Scopes& from) {
        for (const Scope& s : from)
            if (s.size() > 1 || std::find(to.begin(), to.end(), s) == to.end()) to.push_back(s);
    };
    const auto own = [&](int v) {
        Scopes list{{v}};
        for (const int e : tree.bags[v].edges) list.push_back({edges[e].p, edges[e].q});
        for (const int c : tree.bags[v].children) append(list, up[c]);
        return list;
    };
    for (const int v : tree.order) up[v] = count.reduce(own(v), tree.bags[v].others, kept);
    for (const int v : tree.traversal) {
        const Bag& bag = tree.bags[v];
        Scopes heard, beside;
        if (bag.parent >= 0) {
            heard = above[bag.parent];
            heard.push_back({bag.parent});
        }
        for (const int s : bag.parent >= 0 ? tree.bags[bag.parent].children : tree.roots)
            if (s != v) append(heard, up[s]);
        for (const int u : bag.others) {
            Scopes all = heard;
            append(all, own(v));
            const double before = count.operations;
            count.reduce(all, {std::min(u, v), std::max(u, v)}, none);
            count.operations = before;
        }
        for (const int e : bag.edges) heard.push_back({edges[e].p, edges[e].q});
        above[v] = count.reduce(heard, bag.kept, kept);
        beside = above[v];
        for (const int c : bag.children) append(beside, up[c]);
        count.reduce(beside, {v}, none);
        Bytes line;
        count.add({v}, line);
        kept.all += (1 + 2 * static_cast<double>(bag.children.size())) * line.all +
                    64.0 * static_cast<double>(up[v].size() + above[v].size());
    }
    return {kept.all + count.most.all, kept.tables + count.most.tables, count.operations};
}

}  // namespace deblai::multimarginal
