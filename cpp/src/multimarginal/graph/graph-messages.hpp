// Messages between the bags of a junction tree, kept until a potential that they depend on moves (Shafer and Shenoy
// 1990): up, from a bag to its parent, over what they share; above, all that a bag hears from its parent.
#pragma once

#include <vector>

#include "graph-algebra.hpp"

namespace deblai::multimarginal {

// Sums of what children tell their parent about it alone, in a binary tree, so that all but one are a few factors.
template <class T>
class Hub {
public:
    explicit Hub(std::size_t children) : size_(children), nodes_(2 * children) {}

    void forget(std::size_t child) {
        for (std::size_t k = size_ + child; k > 0; k /= 2) nodes_[k] = {};
    }
    // Of all children but one, or of all for child = -1; `told(c)` is what child c tells.
    template <class Told>
    void append(int child, Factors<T>& list, const Told& told) {
        if (child < 0) return add(1, list, told);
        for (std::size_t k = size_ + child; k > 1; k /= 2) add(k ^ 1, list, told);
    }

private:
    template <class Told>
    void add(std::size_t node, Factors<T>& list, const Told& told) {
        const Factor<T>& f = get(node, told);
        if (f.table) list.push_back(f);
    }
    template <class Told>
    const Factor<T>& get(std::size_t node, const Told& told) {
        if (!nodes_[node].table) {
            const auto sum = std::make_shared<Table<T>>();
            if (node >= size_) {
                for (const auto& f : told(node - size_)) include(f, *sum);
            } else {
                include(get(2 * node, told), *sum);
                include(get(2 * node + 1, told), *sum);
            }
            nodes_[node].table = sum;
        }
        return nodes_[node];
    }
    static void include(const Factor<T>& f, Table<T>& sum) {
        if (f.table->scope.size() > 1) return;
        sum.offset += f.table->offset;
        if (f.table->scope.empty()) return;
        sum.scope = f.table->scope;
        sum.line.resize(f.table->line.size(), 0.0);
        for (std::size_t i = 0; i < sum.line.size(); ++i) sum.line[i] += f.table->line[i];
    }

    std::size_t size_;
    std::vector<Factor<T>> nodes_;  // 1 is all; those from size_ on are the children
};

template <class T, class S>
class Messages {
public:
    Messages(const Problem<S>& problem, const EliminationTree& tree, Algebra<T, S>& algebra, Team& team);

    // The log-weights of variable p.
    void set(int p, std::vector<double> line);
    const std::vector<double>& get(int p) const { return given_[p]; }
    // Log of the sum over all variables but p, without p's own log-weights. Void after a stop.
    std::vector<double> conditional(int p);
    // Factors over p and q, which share a bag, that add up to the log of the sum over all others.
    Factors<T> around(int p, int q);
    // What a bag tells its parent; a root, all other components.
    const Factors<T>& up(int v);

private:
    const Factors<T>& above(int v);
    Factors<T> from_above(int v);
    Factors<T> own(int v);
    // What the children of v tell, but for one of them (-1: all).
    void append_children(int v, int but, Factors<T>& list);

    const EliminationTree& tree_;
    Algebra<T, S>& algebra_;
    Team& team_;
    std::vector<std::vector<double>> given_;
    std::vector<Factor<T>> lines_;
    std::vector<Factors<T>> up_, above_;
    std::vector<Hub<T>> hubs_;
    std::vector<int> place_;  // among the children of its parent
    std::vector<char> up_known_, above_known_;
};

// What the messages of a tree take.
struct Demand {
    double bytes = 0;       // of all tables at once
    double operations = 0;  // of all messages, each once, and of a sum over all variables but one, for each
};
Demand demand(const EliminationTree& tree, const std::vector<index_t>& sizes, const Edge* edges, std::size_t entry);

}  // namespace deblai::multimarginal
