// What the backends of multimarginal share on the host, none of it more than O(n) numbers: masses, the tuples of
// marginals that are looped over, sweeps with Anderson acceleration (Walker and Ni, SINUM 2011), the last sums of an
// evaluation, errors of bad entries. A backend brings the sums over all marginals but one.
#pragma once

#include <cmath>
#include <string>
#include <vector>

#include "deblai/error.hpp"
#include "deblai/multimarginal.hpp"

namespace deblai::multimarginal {

// Normalised weights and their logs.
struct Masses {
    std::vector<double> weights, logs;
};

// Of marginal p, or the only one for p < 0. Throws InvalidValue.
template <class T>
Masses masses(int p, const Marginal<T>& marginal);

// Where the potential of each distinct marginal begins, and where all end.
template <class T>
std::vector<index_t> offsets(const Problem<T>& q) {
    std::vector<index_t> at(q.distinct() + 1, 0);
    for (int p = 0; p < q.distinct(); ++p) at[p + 1] = at[p] + q.marginals[p].size;
    return at;
}

// "[multimarginal.sinkhorn] argument[k]"; without the index for k < 0, where there is only one.
std::string named(const char* argument, int k);
InvalidValue not_a_cost(index_t pair, double value);
InvalidValue not_symmetric(index_t i, index_t j);
// Whether entries of M = -c / epsilon are one another's mirror images.
template <class T>
DEBLAI_HD bool mirrored(T a, T b) {
    constexpr T tolerance = sizeof(T) == 4 ? T(0x1p-17) : T(0x1p-46);  // 64 rounding errors
    const T gap = a > b ? a - b : b - a, size = (a < 0 ? -a : a) + (b < 0 ? -b : b);
    return a == b || (gap <= tolerance * size && size - size == T(0));
}

// Equal marginals whose points are infinitely far from themselves (`alone(i)`) have a plan only if no point has more
// than 1 / N of the mass.
template <class Alone>
void require_room(const std::vector<double>& weights, int n_marginals, const Alone& alone) {
    for (std::size_t i = 0; i < weights.size(); ++i) {
        if (weights[i] * n_marginals <= 1.0 + 1e-6 || !alone(static_cast<index_t>(i))) continue;
        throw InvalidValue("[multimarginal.sinkhorn] weights: expected at most 1/" + std::to_string(n_marginals) +
                           " of the mass at a point whose cost with itself is infinite, got " +
                           std::to_string(weights[i]) + " at [" + std::to_string(i) + "]");
    }
}

// Indices of the marginals that are looped over, the first one given. Those of equal marginals are sorted, and stand
// for all their orders.
class Tuple {
public:
    std::vector<index_t> at;

    Tuple(std::size_t depth, bool sorted, index_t first) : at(depth, sorted ? first : 0), sorted_(sorted) {
        if (depth) at[0] = first;
        double orders = 1;  // std::lgamma writes a global variable
        for (std::size_t l = 2; sorted && l <= depth; ++l) orders *= static_cast<double>(l);
        log_orders_ = std::log(orders);
    }

    // The next one; false where there is none. `size(l)` is the number of points of the l-th of them.
    template <class Size>
    bool next(const Size& size) {
        if (at.empty()) return false;
        std::size_t l = at.size() - 1;
        while (l > 0 && at[l] + 1 == size(l)) --l;
        if (l == 0) return false;
        ++at[l];
        for (std::size_t m = l + 1; m < at.size(); ++m) at[m] = sorted_ ? at[l] : 0;
        return true;
    }

    // Log of the number of orders, to which add(l, sum) may add what belongs to the l-th index.
    template <class Add>
    double log_weight(const Add& add) const {
        double sum = log_orders_;
        index_t run = 1;
        for (std::size_t l = 0; l < at.size(); ++l) {
            add(l, sum);
            run = l > 0 && at[l] == at[l - 1] ? run + 1 : 1;
            if (sorted_) sum -= std::log(static_cast<double>(run));
        }
        return sum;
    }

private:
    bool sorted_;
    double log_orders_;
};

// Which marginals are what in one sum: p has the rows, q the columns, r is contracted, the rest are looped over.
struct Roles {
    int p, q, r = -1;
    std::vector<int> fixed;
};

// Of three marginals or more; q < 0 is chosen. The longest are contracted and columns: what is looped over is short.
template <class T>
Roles choose_roles(const Problem<T>& problem, int p, int q);

// How many terms one row of a sum has, and what any of so many may drop below the largest without a trace, as a log.
template <class T>
double terms(const Problem<T>& problem, const Roles& roles);
template <class T>
double negligible(double terms) {
    return (sizeof(T) == 4 ? 22.0 : 42.0) + std::log(terms);
}

// Sums over all marginals but one, at the potentials that it was given.
class Conditionals {
public:
    virtual const std::vector<double>& weights(int p) const = 0;
    virtual void set_potential(int p, const double* f) = 0;
    // The marginal that the k-th update of a sweep is of.
    virtual int order(int k) const { return k; }
    // lse(i) = log of the sum over all marginals but p. `drift`: by how much lse may differ from -f_p / epsilon, which
    // predicts it; inf if nothing is known. False after a stop: lse is void.
    virtual bool conditional(int p, double drift, double* lse) = 0;

protected:
    ~Conditionals() = default;
};

// What `sinkhorn` says, of checked arguments.
template <class T>
Progress iterate(const Problem<T>& problem, const Schedule& schedule, Conditionals& sums, double* potentials,
                 double* errors, double* values);

// What `evaluate` says, from the plan's marginals and from <c, plan> row by row, laid out as the potentials are.
template <class T>
Summary summarise(const Problem<T>& problem, const Conditionals& sums, const double* potentials,
                  const std::vector<double>& marginals, const std::vector<double>& linear);

// What the plan of one pair counts for in symmetric mode, where it stands for all.
template <class T>
double pairs_of_one(const Problem<T>& q) {
    return q.symmetric ? 0.5 * q.n_marginals * (q.n_marginals - 1) : 1.0;
}

}  // namespace deblai::multimarginal
