// Messages between the bags of a junction tree, kept until a potential that they depend on moves (Shafer and Shenoy
// 1990): up, from a bag to its parent, over what they share; above, all that a bag hears from its parent.
#pragma once

#include <vector>

#include "graph-algebra.hpp"

namespace deblai::multimarginal {

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
    Factors<T> own(int v) const;

    const EliminationTree& tree_;
    Algebra<T, S>& algebra_;
    Team& team_;
    std::vector<std::vector<double>> given_;
    std::vector<Factor<T>> lines_;
    std::vector<Factors<T>> up_, above_;
    std::vector<char> up_known_, above_known_;
};

// What the messages of a tree take.
struct Demand {
    double bytes = 0;       // of all tables at once
    double operations = 0;  // of all messages, each once, and of a sum over all variables but one, for each
};
Demand demand(const EliminationTree& tree, const std::vector<index_t>& sizes, const Edge* edges, std::size_t entry);

}  // namespace deblai::multimarginal
