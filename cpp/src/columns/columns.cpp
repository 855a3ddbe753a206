// Moves of one particle and of two.
#include "deblai/columns.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "deblai/error.hpp"

namespace deblai::columns {
namespace {

constexpr double inf = std::numeric_limits<double>::infinity();

// One parent: what each site costs with all of its particles, and the sites where that is infinite.
struct Parent {
    const Problem& problem;
    index_t n, count;
    const std::int32_t* sites = nullptr;
    std::vector<double> rest;  // f(b) - sum_k C(s_k, b), -inf where blocked
    std::vector<index_t> blocked;

    explicit Parent(const Problem& problem)
        : problem(problem), n(problem.costs.rows), count(problem.parents.cols), rest(n) {}

    const double* row(index_t site) const { return &problem.costs(site, 0); }

    void load(index_t j) {
        sites = &problem.parents(j, 0);
        std::fill(rest.begin(), rest.end(), 0.0);
        for (index_t k = 0; k < count; ++k) {
            const double* const c = row(sites[k]);
            for (index_t b = 0; b < n; ++b) rest[b] += c[b];
        }
        blocked.clear();
        for (index_t b = 0; b < n; ++b) {
            if (rest[b] == inf) blocked.push_back(b);
            rest[b] = problem.potential[b] - rest[b];
        }
    }

    // f(b) - the cost of b with all particles but those left out.
    double without(index_t b, index_t p, index_t q = -1) const {
        double sum = 0;
        for (index_t k = 0; k < count; ++k)
            if (k != p && k != q) sum += problem.costs(sites[k], b);
        return problem.potential[b] - sum;
    }
};

void best_moves(const Parent& parent, double* gain, std::int32_t* to) {
    for (index_t k = 0; k < parent.count; ++k) {
        const index_t here = parent.sites[k];
        const double* const c = parent.row(here);
        double best = -inf;
        index_t at = -1;
        for (index_t b = 0; b < parent.n; ++b) {
            const double v = parent.rest[b] + c[b];  // NaN where k itself blocks
            if (v > best && b != here) {
                best = v;
                at = b;
            }
        }
        for (const index_t b : parent.blocked) {
            if (c[b] != inf || b == here) continue;
            const double v = parent.without(b, k);
            if (v > best || (v == best && b < at)) {
                best = v;
                at = b;
            }
        }
        gain[k] = at < 0 ? -inf : best - parent.without(here, k);
        to[k] = static_cast<std::int32_t>(at);
    }
}

struct Pairs {
    std::vector<double> value;
    std::vector<index_t> order;

    void best(const Parent& parent, double least_cost, double& gain, std::int32_t* move) {
        const index_t n = parent.n;
        gain = 0;
        std::fill(move, move + 4, -1);
        value.resize(n);
        for (index_t p = 0; p < parent.count; ++p)
            for (index_t q = p + 1; q < parent.count; ++q) {
                const index_t here = parent.sites[p], there = parent.sites[q];
                const double *const cp = parent.row(here), *const cq = parent.row(there);
                for (index_t b = 0; b < n; ++b) value[b] = parent.rest[b] + (cp[b] + cq[b]);
                for (const index_t b : parent.blocked) value[b] = parent.without(b, p, q);
                const double now = value[here] + value[there] - cp[there];
                const double most = *std::max_element(value.begin(), value.end());
                order.clear();
                for (index_t b = 0; b < n; ++b)
                    if (value[b] + most - least_cost > now + gain) order.push_back(b);
                std::sort(order.begin(), order.end(),
                          [&](index_t a, index_t b) { return value[a] != value[b] ? value[a] > value[b] : a < b; });
                for (std::size_t i = 0; i < order.size(); ++i) {
                    const double* const c = parent.row(order[i]);
                    if (2 * value[order[i]] - least_cost <= now + gain) break;
                    for (std::size_t j = i; j < order.size(); ++j) {
                        const double sum = value[order[i]] + value[order[j]];
                        if (sum - least_cost <= now + gain) break;
                        const double v = sum - c[order[j]] - now;
                        if (!(v > gain)) continue;
                        gain = v;
                        move[0] = static_cast<std::int32_t>(p);
                        move[1] = static_cast<std::int32_t>(q);
                        move[2] = static_cast<std::int32_t>(order[i]);
                        move[3] = static_cast<std::int32_t>(order[j]);
                    }
                }
            }
    }
};

template <class F>
bool each_parent(const Problem& problem, double ns, const Control& control, const F& f) {
    constexpr index_t piece = 8;
    const index_t m = problem.parents.rows;
    Team team(control, ns * static_cast<double>(m));
    team.run((m + piece - 1) / piece,
             [&](index_t task, int) {
                 Parent parent(problem);
                 f(parent, task * piece, std::min(m, (task + 1) * piece));
             },
             ns * static_cast<double>(m));
    return !team.stopped();
}

}  // namespace

void require_shapes(const Problem& problem) {
    const std::string where = "[multimarginal.price] ";
    const index_t n = problem.costs.rows;
    if (n < 1 || problem.costs.cols != n || problem.costs.col_stride != 1)
        throw InvalidValue(where + "costs: expected a square matrix with contiguous rows");
    if (problem.parents.cols < 1 || problem.parents.col_stride != 1 ||
        problem.parents.row_stride != problem.parents.cols)
        throw InvalidValue(where + "parents: expected contiguous rows of at least one site");
}

bool price(const Problem& problem, double* gain, std::int32_t* to, const Control& control) {
    require_shapes(problem);
    const index_t n = problem.costs.rows, count = problem.parents.cols;
    const double ns = 1.5 * static_cast<double>(n) * static_cast<double>(count);
    return each_parent(problem, ns, control, [&](Parent& parent, index_t begin, index_t end) {
        for (index_t j = begin; j < end; ++j) {
            parent.load(j);
            best_moves(parent, gain + j * count, to + j * count);
        }
    });
}

bool price_pairs(const Problem& problem, double* gain, std::int32_t* move, const Control& control) {
    require_shapes(problem);
    const index_t n = problem.costs.rows, count = problem.parents.cols;
    double least_cost = inf;
    for (index_t a = 0; a < n; ++a)
        for (index_t b = 0; b < n; ++b) least_cost = std::min(least_cost, problem.costs(a, b));
    const double ns = 3.0 * static_cast<double>(n) * static_cast<double>(count * count);
    return each_parent(problem, ns, control, [&](Parent& parent, index_t begin, index_t end) {
        Pairs pairs;
        for (index_t j = begin; j < end; ++j) {
            parent.load(j);
            pairs.best(parent, least_cost, gain[j], move + 4 * j);
        }
    });
}

}  // namespace deblai::columns
