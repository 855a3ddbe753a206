// Paths of the branch and bound of multimarginal-minimum.hpp, in float64. Positions are marginals in the order that
// they are fixed in.
#pragma once

#include <limits>
#include <vector>

#include "deblai/multimarginal-minimum.hpp"
#include "deblai/stop.hpp"

namespace deblai::multimarginal {

struct Tables {
    int n_marginals;
    bool symmetric;                          // one unary and one table, tuples in ascending order
    std::vector<index_t> sizes;              // by position, one if symmetric
    std::vector<std::vector<double>> unary;  // -f, +inf where there is no weight
    std::vector<std::vector<double>> costs;  // of positions a < b at pair(a, b), rows of a
    std::vector<std::vector<double>> rows;   // the least of each row, at pair(a, b)
    std::vector<std::vector<double>> cols;   // and of each column

    int own(int p) const { return symmetric ? 0 : p; }
    index_t size(int p) const { return sizes[own(p)]; }
    std::size_t pair(int a, int b) const {
        return symmetric ? 0 : std::size_t(a) * (2 * n_marginals - a - 1) / 2 + (b - a - 1);
    }
    // The least cost of each point of position a with any of b.
    const std::vector<double>& least(int a, int b) const {
        return symmetric || a < b ? rows[pair(a, b)] : cols[pair(b, a)];
    }
    const double* row(int a, int b, index_t i) const { return costs[pair(a, b)].data() + i * size(b); }
};

// The least a[j] + b[j].
double least(const double* a, const double* b, index_t n);

// What was fixed, and the costs of all points beside it. Of three marginals or more.
class Walk {
public:
    double best = std::numeric_limits<double>::infinity();  // looks for less than that
    std::vector<index_t> at;                                // where it was attained; empty where nothing was found
    std::int64_t nodes = 0, limit = 0;

    Walk(const Tables& t, const Stop& stop, int worker);

    // Begins with the first points of a tuple.
    void start(const std::vector<index_t>& prefix);

    // Searches below the first k points, whose bound is given; returns the least bound of what stays open.
    double visit(int k, double bound);

    // Points of position k that may lead to less than the best, the most promising ones first; bound(k, x) of each.
    const std::vector<index_t>& children(int k);
    double bound(int k, index_t x) const { return bounds_[k][x]; }

    // Greedy choices from point x on, then the best point of each position in turn while that helps.
    void descend(index_t x);

private:
    using Rows = std::vector<std::vector<double>>;

    void fix(int k, index_t x);
    void take(double value, const std::vector<index_t>& tuple);
    void scan(int k);
    void spread(int k);
    double least_of(int r, int s, index_t x) const;
    double least_pair(int r, int s, index_t first, std::vector<double>& low) const;
    void bound_each(int k);
    void bound_equal(int k);

    const Tables& t_;
    const Stop& stop_;
    int worker_;
    std::vector<index_t> at_;
    std::vector<double> base_, least_share_;
    std::vector<Rows> beside_;  // by number of fixed positions, by position; +inf where no better tuple goes
    Rows bounds_, share_, lows_, floors_;
    std::vector<std::vector<index_t>> order_;
};

}  // namespace deblai::multimarginal
