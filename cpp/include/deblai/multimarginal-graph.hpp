// What the backends of multimarginal share on the host where edges are given, none of it more than O(n) numbers: an
// order in which variables are eliminated (least fill first), the tree of bags that it makes (a junction tree), factors
// over few variables in the log domain and in units of epsilon, and messages between the bags. A backend brings the
// elimination of one variable from a sum of factors, log sum exp or the maximum, and keeps the tables that it leaves.
// See Koller and Friedman, "Probabilistic Graphical Models" (2009), chapters 9 and 10.
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "deblai/multimarginal-host.hpp"
#include "deblai/multimarginal-minimum.hpp"

namespace deblai::multimarginal {

using Scope = std::vector<int>;  // variables, ascending

bool contains(const Scope& scope, int variable);
Scope united(const Scope& a, const Scope& b);
double product(const Scope& scope, const std::vector<index_t>& sizes);

// One variable, and those of its neighbours that are there when it is eliminated.
struct Bag {
    Scope others;
    int parent = -1;            // the first of the others that is eliminated; -1: the last of its component
    std::vector<int> children;  // of which this is the parent
    std::vector<int> edges;     // with the others: where they stand in the list
    Scope kept;                 // this variable, and what bags of children share with it
};

struct EliminationTree {
    std::vector<Bag> bags;       // one a variable
    std::vector<int> order;      // of elimination: children before parents
    std::vector<int> traversal;  // parents before children, each subtree in one piece
    std::vector<int> roots;

    // `extra` (two different variables, or none) share a bag, too.
    EliminationTree(const std::vector<index_t>& sizes, const std::vector<Edge>& edges, Scope extra = {});

    bool below(int v, int ancestor) const { return enter_[ancestor] <= enter_[v] && enter_[v] < leave_[ancestor]; }
    // The bag in which two variables that share one meet.
    int meeting(int p, int q) const { return contains(bags[p].others, q) ? p : q; }
    // The most variables of a table.
    int width() const;

private:
    void eliminate(const std::vector<index_t>& sizes, const std::vector<Edge>& edges, const Scope& extra);
    void plant(const std::vector<Edge>& edges);
    std::vector<int> enter_, leave_;  // positions in the traversal
};

template <class T>
std::vector<index_t> sizes_of(const Problem<T>& q) {
    std::vector<index_t> sizes;
    for (int p = 0; p < q.n_marginals; ++p) sizes.push_back(q.marginals[p].size);
    return sizes;
}
template <class T>
EliminationTree tree_of(const Problem<T>& q, Scope extra = {}) {
    return {sizes_of(q), {q.edges, q.edges + q.edge_count}, std::move(extra)};
}

// Throws InvalidValue where pair_plan knows no such pair.
template <class T>
void require_pair(const Problem<T>& q, int p, int r) {
    if (!q.edges || p < 0 || p >= r || r >= q.n_marginals)
        throw InvalidValue("[multimarginal.pair_plan] p, q: expected marginals p < q of a problem with edges");
}

// One elimination: the factors that have the variable, as positions in a list that each step's result joins, and the
// variables of the result.
struct Step {
    int variable;
    std::vector<int> used;
    Scope scope;
};

// Eliminates all variables but those to keep, the one that leaves the smallest table first. Nothing is done for a
// variable that no factor has. `scopes` gets those of the results.
std::vector<Step> steps(std::vector<Scope>& scopes, const Scope& keep, const std::vector<index_t>& sizes);

// A number (no variables), a line (one), or a table, row-major in the order of its scope, of the backend's numbers
// where it keeps them; `offset` adds to all entries.
struct Table {
    Scope scope;
    double offset = 0;
    std::vector<double> line;
    std::shared_ptr<void> memory;

    template <class T>
    T* values() const {
        return static_cast<T*>(memory.get());
    }
};

// A table, or the scaled cost of an edge, which is never stored.
struct Factor {
    std::shared_ptr<const Table> table;
    int edge = -1;
};
using Factors = std::vector<Factor>;

enum class Semiring { sum, largest };

class GraphAlgebra {
public:
    virtual ~GraphAlgebra() = default;
    GraphAlgebra(const GraphAlgebra&) = delete;

    // Whether somebody has asked the call to stop.
    virtual bool stopped() = 0;
    // to(i) += what a factor says of i as variable v, the others being at[].
    virtual void add_at(const Factor& f, int v, const index_t* at, std::vector<double>& to) = 0;

    const std::vector<index_t>& sizes() const { return sizes_; }
    // Tables may list points that are near each other together: the k-th of p is the natural(p, k)-th of those given.
    index_t natural(int p, index_t k) const { return order_[p].empty() ? k : order_[p][k]; }
    template <class V>
    void to_natural(int p, const V* from, V* to) const {
        for (index_t k = 0; k < sizes_[p]; ++k) to[natural(p, k)] = from[k];
    }
    template <class V>
    void from_natural(int p, const V* from, V* to) const {
        for (index_t k = 0; k < sizes_[p]; ++k) to[k] = from[natural(p, k)];
    }
    Scope scope_of(const Factor& f) const;
    // Eliminates all variables but those to keep. Void after a stop.
    Factors reduce(Factors list, const Scope& keep);
    // What the lines of p add up to, and what all tables add to every entry.
    std::vector<double> line(const Factors& list, int p) const;
    double constant(const Factors& list) const;

protected:
    // Which variables of a table are its rows and its columns: two that no factor has both, if there are.
    struct Roles {
        int a, b;
        Scope fixed;
        bool coupled;  // whether a factor has a and b both
    };

    GraphAlgebra(std::vector<index_t> sizes, std::vector<Edge> edges, Semiring semiring)
        : sizes_(std::move(sizes)), edges_(std::move(edges)), semiring_(semiring), order_(sizes_.size()) {}

    // out = the sum over the step's variable k, its lines being lifted(k) <= 0, of factors over two variables or more;
    // the offset of out holds all of theirs. One variable is left, or a table of more.
    virtual void to_line(const Step& step, const Factors& used, const std::vector<double>& lifted, Table& out) = 0;
    virtual void to_table(const Step& step, const Factors& used, const std::vector<double>& lifted, Table& out) = 0;
    Roles roles(const Step& step, const Factors& used) const;

    const std::vector<index_t> sizes_;
    const std::vector<Edge> edges_;
    const Semiring semiring_;
    std::vector<std::vector<index_t>> order_;  // empty: as given

private:
    Factor eliminate(const Step& step, const Factors& list);
};

// Sorts points so that every few of them are near each other: halves along the widest direction, and so on.
template <class T>
std::vector<index_t> near_each_other(const Matrix<const T>& points);

// Sums of what children tell their parent about it alone, in a binary tree, so that all but one are a few factors.
class Hub {
public:
    explicit Hub(std::size_t children) : size_(children), nodes_(2 * children) {}

    void forget(std::size_t child);
    // Of all children but one, or of all for child = -1; told[children[c]] is what child c tells.
    void append(int child, Factors& list, const std::vector<int>& children, const std::vector<Factors>& told);

private:
    const Factor& get(std::size_t node, const std::vector<int>& children, const std::vector<Factors>& told);

    std::size_t size_;
    std::vector<Factor> nodes_;  // 1 is all; those from size_ on are the children
};

// Messages between the bags of a junction tree, kept until a potential that they depend on moves (Shafer and Shenoy
// 1990): up, from a bag to its parent, over what they share; above, all that a bag hears from its parent.
class Messages {
public:
    Messages(const EliminationTree& tree, GraphAlgebra& algebra);

    // The log-weights of variable p.
    void set(int p, std::vector<double> line);
    const std::vector<double>& get(int p) const { return given_[p]; }
    // Log of the sum over all variables but p, without p's own log-weights. Void after a stop.
    std::vector<double> conditional(int p);
    // Factors over p and q, which share a bag, that add up to the log of the sum over all others.
    Factors around(int p, int q);
    // What a bag tells its parent; a root, all other components.
    const Factors& up(int v);

private:
    const Factors& above(int v);
    Factors from_above(int v);
    Factors own(int v);
    // What the children of v tell, but for one of them (-1: all).
    void append_children(int v, int but, Factors& list);

    const EliminationTree& tree_;
    GraphAlgebra& algebra_;
    std::vector<std::vector<double>> given_;
    std::vector<Factor> lines_;
    std::vector<Factors> up_, above_;
    std::vector<Hub> hubs_;
    std::vector<int> place_;  // among the children of its parent
    std::vector<char> up_known_, above_known_;
};

// What the messages of a tree take.
struct Demand {
    double bytes = 0;       // of all tables and lines at once
    double tables = 0;      // of which tables
    double operations = 0;  // of all messages, each once, and of a sum over all variables but one, for each
};
Demand demand(const EliminationTree& tree, const std::vector<index_t>& sizes, const Edge* edges, std::size_t entry);

// Sums along the tree at the potentials that it was given.
class GraphSums final : public Conditionals {
public:
    GraphSums(double epsilon, std::vector<Masses> masses, const EliminationTree& tree, GraphAlgebra& algebra);

    const std::vector<double>& weights(int p) const override { return masses_[p].weights; }
    int order(int k) const override { return tree_.traversal[k]; }
    void set_potential(int p, const double* f) override;
    bool conditional(int p, double drift, double* lse) override;
    // The plan's marginal of p; void after a stop.
    std::vector<double> marginal(int p);

private:
    double epsilon_;
    std::vector<Masses> masses_;
    const EliminationTree& tree_;
    GraphAlgebra& algebra_;

public:
    Messages messages;
};

// The least cost less potentials: messages of (max, +) in an algebra of costs at scale 1, then the best choice of each
// variable given those of its bag.
Minimum least(const Edge* edges, index_t edge_count, const std::vector<Masses>& masses, const double* potentials,
              const EliminationTree& tree, GraphAlgebra& algebra);

}  // namespace deblai::multimarginal
