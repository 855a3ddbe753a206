// How a sum over the variables of a graph is taken one variable after another: an order in which they are eliminated
// (least fill first), the tree of bags that it makes (a junction tree), and the steps of one elimination. Sizes and
// indices only. See Koller and Friedman, "Probabilistic Graphical Models" (2009), chapters 9 and 10.
#pragma once

#include <vector>

#include "deblai/multimarginal.hpp"

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

private:
    void eliminate(const std::vector<index_t>& sizes, const std::vector<Edge>& edges, const Scope& extra);
    void plant(const std::vector<Edge>& edges);
    std::vector<int> enter_, leave_;  // positions in the traversal
};

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

}  // namespace deblai::multimarginal
