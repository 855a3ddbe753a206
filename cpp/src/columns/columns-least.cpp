// Branch and bound over sorted multisets.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>

#include "deblai/columns.hpp"
#include "deblai/error.hpp"
#include "deblai/stop.hpp"

namespace deblai::columns {
namespace {

constexpr double inf = std::numeric_limits<double>::infinity();

// The multisets that begin with given sites: a depth-first search that keeps, for every depth, what each site costs
// with those that sit.
class Search {
public:
    Search(Matrix<const double> costs, const double* potential, int count, double threshold, const Stop& stop,
           int worker)
        : costs_(costs), n_(costs.rows), count_(count), best_(threshold), stop_(stop), worker_(worker), at_(count) {
        held_.resize(static_cast<std::size_t>(n_) * count);
        for (index_t b = 0; b < n_; ++b) held_[b] = -potential[b];
        for (index_t a = 0; a < n_; ++a)
            for (index_t b = a; b < n_; ++b) least_ = std::min(least_, costs(a, b));
    }

    // Returns whether all was seen within `budget` nodes.
    bool run(const std::int32_t* prefix, int length, std::int64_t budget) {
        left_ = budget;
        double value = 0;
        for (int k = 0; k < length; ++k) {
            value += held(k)[prefix[k]];
            if (value == inf) return true;
            sit(k, prefix[k]);
        }
        const index_t last = length ? prefix[length - 1] : 0;
        bound_ = std::max(quick(length, last, value), pairs(length, last, value));
        return descend(length, last, value);
    }

    double best() const { return best_; }
    double bound() const { return bound_; }  // of everything with this prefix
    bool found() const { return !argmin_.empty(); }
    const std::vector<std::int32_t>& argmin() const { return argmin_; }
    std::int64_t left() const { return left_; }

private:
    double* held(int depth) { return held_.data() + static_cast<std::size_t>(depth) * n_; }

    void sit(int depth, index_t site) {
        at_[depth] = static_cast<std::int32_t>(site);
        if (depth + 1 == count_) return;
        const double *const h = held(depth), *const c = &costs_(site, 0);
        double* const next = held(depth + 1);
        for (index_t b = 0; b < n_; ++b) next[b] = h[b] + c[b];
    }

    void keep(double value) {
        best_ = value;
        argmin_ = at_;
    }

    // With the least of each term.
    double quick(int depth, index_t last, double value) {
        const double* const h = held(depth);
        const double free = count_ - depth;
        return value + free * *std::min_element(h + last, h + n_) + free * (free - 1) / 2 * least_;
    }

    // With the least pair; for two free particles the minimum itself, which is kept.
    double pairs(int depth, index_t last, double value) {
        const int free = count_ - depth;
        const double* const h = held(depth);
        if (free < 2) return -inf;
        --left_;
        const double share = 1.0 / (free - 1), bar = (best_ - value) / (0.5 * free * (free - 1));
        const double lowest = share * *std::min_element(h + last, h + n_) + least_;
        double found = inf;
        for (index_t a = last; a < n_; ++a) {
            const double mine = share * h[a];
            if (mine + lowest >= std::min(found, free == 2 ? bar : inf)) continue;
            const double* const c = &costs_(a, 0);
            double row = inf;
            for (index_t b = a; b < n_; ++b) {
                const double v = c[b] + share * h[b];
                row = v < row ? v : row;
            }
            if (row + mine >= found) continue;
            found = row + mine;
            if (free > 2 || value + found >= best_) continue;
            for (index_t b = a; b < n_; ++b)
                if (c[b] + share * h[b] == row) {
                    at_[depth] = static_cast<std::int32_t>(a);
                    at_[depth + 1] = static_cast<std::int32_t>(b);
                    break;
                }
            keep(value + found);
        }
        return value + found * 0.5 * free * (free - 1);
    }

    bool descend(int depth, index_t last, double value) {
        const int free = count_ - depth;
        const double* const h = held(depth);
        if (free == 1) {
            for (index_t b = last; b < n_; ++b)
                if (value + h[b] < best_) {
                    at_[depth] = static_cast<std::int32_t>(b);
                    keep(value + h[b]);
                }
            return true;
        }
        if (left_ < 0 || stop_.requested(worker_)) return false;
        if (quick(depth, last, value) >= best_ || pairs(depth, last, value) >= best_ || free == 2) return true;
        for (index_t b = last; b < n_; ++b) {
            if (h[b] == inf) continue;
            sit(depth, b);
            if (!descend(depth + 1, b, value + h[b])) return false;
        }
        return true;
    }

    Matrix<const double> costs_;
    index_t n_;
    int count_;
    double best_, bound_ = inf, least_ = inf;
    const Stop& stop_;
    int worker_;
    std::int64_t left_ = 0;
    std::vector<double> held_;
    std::vector<std::int32_t> at_, argmin_;
};

struct Task {
    std::int32_t prefix[2];
    double best, bound;
    std::vector<std::int32_t> argmin;
    std::int64_t nodes = 0;
    bool done = false;
};

}  // namespace

Least least(Matrix<const double> costs, const double* potential, int n_particles, double threshold, std::int64_t budget,
            const Control& control) {
    const index_t n = costs.rows;
    if (n < 1 || costs.cols != n || costs.col_stride != 1 || n_particles < 2)
        throw InvalidValue("[multimarginal.least] costs: expected a square matrix, and at least two particles");
    const int length = n_particles <= 2 ? 0 : n_particles == 3 ? 1 : 2;
    std::vector<Task> tasks;
    const auto add = [&](index_t a, index_t b) {
        tasks.push_back({{static_cast<std::int32_t>(a), static_cast<std::int32_t>(b)}, threshold, -inf, {}, 0, false});
    };
    if (length == 0) add(0, 0);
    for (index_t a = 0; length > 0 && a < n; ++a)
        for (index_t b = length == 1 ? n - 1 : a; b < n; ++b)
            if (length == 1 || costs(a, b) < inf) add(a, b);

    Team team(control, 1e9);
    Least out{threshold, true, true, 0, {}, {}};
    // Waves, so that what easy subtrees leave of the budget goes to hard ones; where each ends does not depend on
    // threads. A subtree that was left begins anew, with the best that it had.
    std::vector<index_t> open(tasks.size());
    for (std::size_t t = 0; t < tasks.size(); ++t) open[t] = static_cast<index_t>(t);
    std::int64_t left = budget;
    for (std::int64_t share = 64; !open.empty() && left > 0 && !team.stopped(); share *= 8) {
        const std::int64_t each = std::min(share, left / static_cast<std::int64_t>(open.size()));
        if (each < 1) break;
        team.run(static_cast<index_t>(open.size()), [&](index_t i, int worker) {
            Task& task = tasks[open[i]];
            Search search(costs, potential, n_particles, task.best, team.stop(), worker);
            task.done = search.run(task.prefix, length, each);
            task.nodes += each - std::max<std::int64_t>(search.left(), 0);
            task.bound = search.bound();
            if (search.found()) {
                task.best = search.best();
                task.argmin = search.argmin();
            }
        });
        std::vector<index_t> still;
        left = budget;
        for (const Task& task : tasks) left -= task.nodes;
        for (const index_t t : open)
            if (!tasks[t].done) still.push_back(t);
        open.swap(still);
    }
    out.finished = !team.stopped();
    for (const Task& task : tasks) {
        out.nodes += task.nodes;
        out.exact &= task.done;
        out.lower = std::min(out.lower, task.done ? task.best : std::min(task.best, task.bound));
        if (task.argmin.empty()) continue;
        out.values.push_back(task.best);
        out.sites.insert(out.sites.end(), task.argmin.begin(), task.argmin.end());
    }
    return out;
}

}  // namespace deblai::columns
