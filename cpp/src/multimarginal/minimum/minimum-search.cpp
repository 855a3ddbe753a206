#include "minimum-search.hpp"

#include <algorithm>
#include <cstring>
#include <numeric>

namespace deblai::multimarginal {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr std::size_t round_size = 64;  // subtrees that start from one best value; threads share them out
constexpr int starts = 16;              // of the descents that find the first one

struct Prefix {
    std::vector<index_t> at;
    double bound;
};

// A path of the search: what was fixed, and the costs of all points beside it.
class Walk {
public:
    double best = infinity;
    std::vector<index_t> best_at;
    std::int64_t nodes = 0, limit = 0;

    Walk(const Tables& t, const Stop& stop, int worker)
        : t_(t), stop_(stop), worker_(worker), at_(t.n_marginals), base_(t.n_marginals + 1, 0.0) {
        beside_.resize(t.n_marginals + 1, t.unary);
        bounds_.resize(t.n_marginals);
        order_.resize(t.n_marginals);
        share_ = t.unary;
        lows_.resize(t.unary.size());
        for (std::size_t p = 0; p < t.unary.size(); ++p) lows_[p].resize(t.sizes[p]);
    }

    // Fixes position k at point x: all later ones stand beside it.
    void fix(int k, index_t x) {
        at_[k] = x;
        base_[k + 1] = base_[k] + beside_[k][t_.own(k)][x];
        for (int r = k + 1; r < (t_.symmetric ? k + 2 : t_.n_marginals) && r < t_.n_marginals; ++r) {
            const double *c = t_.row(k, r, x), *from = beside_[k][t_.own(r)].data();
            double* const to = beside_[k + 1][t_.own(r)].data();
            for (index_t y = 0; y < t_.size(r); ++y) to[y] = from[y] + c[y];
        }
    }

    void fix(const Prefix& prefix) {
        for (std::size_t k = 0; k < prefix.at.size(); ++k) fix(static_cast<int>(k), prefix.at[k]);
    }

    // Searches below the first k points, whose bound is given; returns the least bound of what stays open.
    double visit(int k, double bound) {
        if (bound >= best) return infinity;
        if (nodes >= limit || stop_.requested(worker_)) return bound;
        ++nodes;
        if (k + 2 == t_.n_marginals) {
            scan(k);
            return infinity;
        }
        double open = infinity;
        for (const index_t x : children(k)) {
            if (bounds_[k][x] >= best) break;
            fix(k, x);
            open = std::min(open, visit(k + 1, bounds_[k][x]));
        }
        return open;
    }

    // Points of position k that may lead to less than the best, the most promising ones first; bound(k, x) of each.
    const std::vector<index_t>& children(int k) {
        bounds_[k].assign(t_.size(k), infinity);
        t_.symmetric ? bound_equal(k) : bound_each(k);
        std::vector<index_t>& order = order_[k];
        order.clear();
        for (index_t x = 0; x < t_.size(k); ++x)
            if (bounds_[k][x] < best) order.push_back(x);
        std::stable_sort(order.begin(), order.end(),
                         [&](index_t a, index_t b) { return bounds_[k][a] < bounds_[k][b]; });
        return order;
    }
    double bound(int k, index_t x) const { return bounds_[k][x]; }

    // Greedy choices from point x on, then the best point of each position in turn while that helps.
    void descend(index_t x) {
        std::vector<index_t> at(t_.n_marginals);
        fix(0, at[0] = x);
        for (int k = 1; k < t_.n_marginals; ++k) {
            const std::vector<double>& h = beside_[k][t_.own(k)];
            at[k] = std::min_element(h.begin(), h.end()) - h.begin();
            fix(k, at[k]);
        }
        double value = base_.back();
        for (bool better = value < infinity; better;) {
            better = false;
            for (int k = 0; k < t_.n_marginals; ++k) {
                std::vector<double>& h = share_[t_.own(k)];
                h = t_.unary[t_.own(k)];
                double rest = 0;
                for (int r = 0; r < t_.n_marginals; ++r) {
                    if (r == k) continue;
                    rest += t_.unary[t_.own(r)][at[r]];
                    for (int s = r + 1; s < t_.n_marginals; ++s)
                        if (s != k) rest += t_.row(r, s, at[r])[at[s]];
                    for (index_t y = 0; y < t_.size(k); ++y)
                        h[y] += r < k && !t_.symmetric ? t_.row(r, k, at[r])[y]
                                : t_.symmetric         ? t_.row(k, r, at[r])[y]
                                                       : t_.row(k, r, y)[at[r]];
                }
                const index_t y = std::min_element(h.begin(), h.end()) - h.begin();
                if (!(h[y] + rest < value)) continue;
                better = true;
                value = h[y] + rest;
                at[k] = y;
            }
        }
        if (t_.symmetric) std::sort(at.begin(), at.end());
        if (value < best) take(value, at);
    }

private:
    void take(double value, const std::vector<index_t>& at) {
        best = value;
        best_at = at;
    }

    // The last two positions.
    void scan(int k) {
        const std::vector<double>&h = beside_[k][t_.own(k)], &g = beside_[k][t_.own(k + 1)];
        const index_t n = t_.size(k), m = t_.size(k + 1), first = t_.symmetric && k ? at_[k - 1] : 0;
        const double low = *std::min_element(g.begin() + (t_.symmetric ? first : 0), g.end());
        const std::vector<double>& tops = row_minima();
        for (index_t x = first; x < n; ++x) {
            const double mine = base_[k] + h[x];
            if (!(mine + low + tops[x] < best)) continue;
            const double* const c = t_.row(k, k + 1, x);
            const index_t begin = t_.symmetric ? x : 0;
            if (!(mine + least(c + begin, g.data() + begin, m - begin) < best)) continue;
            for (index_t y = begin; y < m; ++y) {
                if (!(mine + (c[y] + g[y]) < best)) continue;
                at_[k] = x;
                at_[k + 1] = y;
                take(mine + (c[y] + g[y]), at_);
            }
        }
    }

    // Of the table of the last two positions, row by row.
    const std::vector<double>& row_minima() {
        if (!tops_.empty()) return tops_;
        const int k = t_.n_marginals - 2;
        for (index_t x = 0; x < t_.size(k); ++x) {
            const double* const c = t_.row(k, k + 1, x);
            tops_.push_back(*std::min_element(c, c + t_.size(k + 1)));
        }
        return tops_;
    }

    // Costs of a pair with its share of the unary costs: least over y of c(x, y) + g(y) for each x, plus g(x).
    void rows(int a, int b, index_t first, const double* of_a, const double* of_b, double* out) const {
        for (index_t x = first; x < t_.size(a); ++x) {
            const index_t begin = t_.symmetric ? x : 0;
            out[x] = of_a[x] < infinity ? of_a[x] + least(t_.row(a, b, x) + begin, of_b + begin, t_.size(b) - begin)
                                        : infinity;
        }
    }

    void spread(int k) {
        const double part = 1.0 / (t_.n_marginals - k - 1);
        for (int r = k; r < (t_.symmetric ? k + 1 : t_.n_marginals); ++r) {
            const std::vector<double>& h = beside_[k][t_.own(r)];
            for (std::size_t y = 0; y < h.size(); ++y) share_[t_.own(r)][y] = h[y] * part;
        }
    }

    void bound_each(int k) {
        const int N = t_.n_marginals;
        spread(k);
        double rest = base_[k];
        for (int r = k + 1; r < N; ++r)
            for (int s = r + 1; s < N; ++s) {
                rows(r, s, 0, share_[r].data(), share_[s].data(), lows_[r].data());
                rest += *std::min_element(lows_[r].begin(), lows_[r].end());
            }
        std::vector<double>& bounds = bounds_[k];
        std::fill(bounds.begin(), bounds.end(), rest);
        for (int r = k + 1; r < N; ++r) {
            rows(k, r, 0, share_[k].data(), share_[r].data(), lows_[k].data());
            for (std::size_t x = 0; x < bounds.size(); ++x) bounds[x] += lows_[k][x];
        }
    }

    // All points that follow x are x or later, so only pairs of such count.
    void bound_equal(int k) {
        const int m = t_.n_marginals - k;
        const index_t first = k ? at_[k - 1] : 0;
        spread(k);
        double* const low = lows_[0].data();
        rows(k, k + 1, first, share_[0].data(), share_[0].data(), low);
        double later = infinity;
        const double others = 0.5 * (m - 1) * (m - 2);
        for (index_t x = t_.size(k) - 1; x >= first; --x) {
            later = std::min(later, low[x]);
            bounds_[k][x] = base_[k] + (m - 1) * low[x] + others * later;
        }
    }

    const Tables& t_;
    const Stop& stop_;
    int worker_;
    std::vector<index_t> at_;
    std::vector<double> base_, tops_;
    std::vector<std::vector<std::vector<double>>> beside_;  // by number of fixed positions, by position
    std::vector<std::vector<double>> bounds_, share_, lows_;
    std::vector<std::vector<index_t>> order_;
};

}  // namespace

double least(const double* a, const double* b, index_t n) {
    typedef double Four __attribute__((vector_size(32)));
    constexpr index_t w = 4;
    double low = infinity;
    index_t j = 0;
    if (n >= 2 * w) {
        Four first = {low, low, low, low}, second = first, x, y;
        for (; j + 2 * w <= n; j += 2 * w) {
            std::memcpy(&x, a + j, sizeof x);
            std::memcpy(&y, b + j, sizeof y);
            x += y;
            first = x < first ? x : first;
            std::memcpy(&x, a + j + w, sizeof x);
            std::memcpy(&y, b + j + w, sizeof y);
            x += y;
            second = x < second ? x : second;
        }
        for (index_t l = 0; l < w; ++l) low = std::min({low, first[l], second[l]});
    }
    for (; j < n; ++j) low = std::min(low, a[j] + b[j]);
    return low;
}

Minimum search(const Tables& t, std::int64_t budget, const Control& control) {
    double work = 1;
    for (int p = 0; p < t.n_marginals; ++p) work *= static_cast<double>(t.size(p));
    Team team(control, work);
    std::vector<Walk> walks;
    for (int worker = 0; worker < team.size(); ++worker) walks.emplace_back(t, team.stop(), worker);
    Walk& first = walks[0];
    for (int start = 0; start < starts; ++start) first.descend(t.size(0) * start / starts);
    Minimum found{-infinity, first.best, false, 0, first.best_at};

    // Subtrees, level by level until there are enough to share out.
    std::vector<Prefix> open{{{}, -infinity}};
    for (int k = 0; k + 2 < t.n_marginals && open.size() < round_size; ++k) {
        std::vector<Prefix> next;
        for (const Prefix& prefix : open) {
            first.fix(prefix);
            ++found.nodes;
            for (const index_t x : first.children(k)) {
                next.push_back({prefix.at, std::max(prefix.bound, first.bound(k, x))});
                next.back().at.push_back(x);
            }
        }
        open = std::move(next);
    }
    std::stable_sort(open.begin(), open.end(), [](const Prefix& a, const Prefix& b) { return a.bound < b.bound; });

    double least_open = infinity;
    struct Result {
        double best, open;
        std::int64_t nodes;
        std::vector<index_t> at;
    };
    for (std::size_t begin = 0; begin < open.size() && open[begin].bound < found.best; begin += round_size) {
        const std::size_t count = std::min(round_size, open.size() - begin);
        const std::int64_t limit = std::max<std::int64_t>(0, budget - found.nodes) / static_cast<std::int64_t>(count);
        std::vector<Result> results(count);
        for (std::size_t l = 0; l < count; ++l) results[l] = {infinity, open[begin + l].bound, 0, {}};
        team.run(static_cast<index_t>(count), [&](index_t task, int worker) {
            Walk& walk = walks[worker];
            const Prefix& prefix = open[begin + task];
            walk.best = found.best;
            walk.best_at.clear();
            walk.nodes = 0;
            walk.limit = limit;
            walk.fix(prefix);
            const double left = walk.visit(static_cast<int>(prefix.at.size()), prefix.bound);
            results[task] = {walk.best, left, walk.nodes, walk.best_at};
        });
        for (const Result& r : results) {
            found.nodes += r.nodes;
            least_open = std::min(least_open, r.open);
            if (!r.at.empty() && r.best < found.best) {
                found.best = r.best;
                found.at = r.at;
            }
        }
        if (team.stopped()) {
            if (begin + count < open.size()) least_open = std::min(least_open, open[begin + count].bound);
            break;
        }
    }
    found.exact = !(least_open < found.best);
    found.value = found.exact ? found.best : least_open;
    return found;
}

}  // namespace deblai::multimarginal
