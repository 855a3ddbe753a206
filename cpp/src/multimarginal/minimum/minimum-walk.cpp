#include "minimum-walk.hpp"

#include <algorithm>
#include <cstring>

namespace deblai::multimarginal {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();
typedef double Four __attribute__((vector_size(32)));

}  // namespace

double least(const double* a, const double* b, index_t n) {
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

Walk::Walk(const Tables& t, const Stop& stop, int worker)
    : t_(t), stop_(stop), worker_(worker), at_(t.n_marginals), base_(t.n_marginals + 1, 0.0) {
    beside_.resize(t.n_marginals + 1, t.unary);
    bounds_.resize(t.n_marginals);
    order_.resize(t.n_marginals);
    least_share_.resize(t.n_marginals);
    share_ = lows_ = floors_ = t.unary;
}

void Walk::start(const std::vector<index_t>& prefix) {
    beside_[0] = t_.unary;
    for (std::size_t k = 0; k < prefix.size(); ++k) fix(static_cast<int>(k), prefix[k]);
}

// Fixes position k at point x: all later ones stand beside it.
void Walk::fix(int k, index_t x) {
    at_[k] = x;
    base_[k + 1] = base_[k] + beside_[k][t_.own(k)][x];
    for (int r = k + 1; r < (t_.symmetric ? k + 2 : t_.n_marginals) && r < t_.n_marginals; ++r) {
        const double *c = t_.row(k, r, x), *from = beside_[k][t_.own(r)].data();
        double* const to = beside_[k + 1][t_.own(r)].data();
        for (index_t y = 0; y < t_.size(r); ++y) to[y] = from[y] + c[y];
    }
}

void Walk::take(double value, const std::vector<index_t>& tuple) {
    best = value;
    at = tuple;
}

double Walk::visit(int k, double bound) {
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
        open = std::min(open, visit(k + 1, std::max(bound, bounds_[k][x])));
    }
    return open;
}

const std::vector<index_t>& Walk::children(int k) {
    bounds_[k].assign(t_.size(k), infinity);
    t_.symmetric ? bound_equal(k) : bound_each(k);
    std::vector<index_t>& order = order_[k];
    order.clear();
    for (index_t x = 0; x < t_.size(k); ++x)
        if (bounds_[k][x] < best) order.push_back(x);
    std::stable_sort(order.begin(), order.end(), [&](index_t a, index_t b) { return bounds_[k][a] < bounds_[k][b]; });
    return order;
}

void Walk::descend(index_t x) {
    std::vector<index_t> tuple(t_.n_marginals);
    beside_[0] = t_.unary;
    fix(0, tuple[0] = x);
    for (int k = 1; k < t_.n_marginals; ++k) {
        const std::vector<double>& h = beside_[k][t_.own(k)];
        tuple[k] = std::min_element(h.begin(), h.end()) - h.begin();
        fix(k, tuple[k]);
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
                rest += t_.unary[t_.own(r)][tuple[r]];
                for (int s = r + 1; s < t_.n_marginals; ++s)
                    if (s != k) rest += t_.row(r, s, tuple[r])[tuple[s]];
                for (index_t y = 0; y < t_.size(k); ++y)
                    h[y] += r < k && !t_.symmetric ? t_.row(r, k, tuple[r])[y]
                            : t_.symmetric         ? t_.row(k, r, tuple[r])[y]
                                                   : t_.row(k, r, y)[tuple[r]];
            }
            const index_t y = std::min_element(h.begin(), h.end()) - h.begin();
            if (!(h[y] + rest < value)) continue;
            better = true;
            value = h[y] + rest;
            tuple[k] = y;
        }
    }
    if (t_.symmetric) std::sort(tuple.begin(), tuple.end());
    if (value < best) take(value, tuple);
}

// The last two positions.
void Walk::scan(int k) {
    const std::vector<double>&h = beside_[k][t_.own(k)], &g = beside_[k][t_.own(k + 1)];
    const index_t n = t_.size(k), m = t_.size(k + 1), first = t_.symmetric && k ? at_[k - 1] : 0;
    const double low = *std::min_element(g.begin() + (t_.symmetric ? first : 0), g.end());
    const std::vector<double>& tops = t_.least(k, k + 1);
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

// Each pair of what is free has its cost and a share of the unary ones.
void Walk::spread(int k) {
    const double part = 1.0 / (t_.n_marginals - k - 1);
    for (int r = k; r < (t_.symmetric ? k + 1 : t_.n_marginals); ++r) {
        const std::vector<double>& h = beside_[k][t_.own(r)];
        std::vector<double>& share = share_[t_.own(r)];
        for (std::size_t y = 0; y < h.size(); ++y) share[y] = h[y] * part;
        const index_t first = t_.symmetric && k ? at_[k - 1] : 0;
        least_share_[t_.own(r)] = *std::min_element(share.begin() + first, share.end());
    }
}

// Of point x of position r with all of position s; in symmetric mode with points from x on.
double Walk::least_of(int r, int s, index_t x) const {
    const index_t begin = t_.symmetric ? x : 0;
    const std::vector<double>& beside = share_[t_.own(s)];
    return share_[t_.own(r)][x] + least(t_.row(r, s, x) + begin, beside.data() + begin, t_.size(s) - begin);
}

// Of all points of two positions, from `first` on. Rows that cannot have it are not looked at; `low` is what those that
// were have, -inf elsewhere.
double Walk::least_pair(int r, int s, index_t first, std::vector<double>& low) const {
    const std::vector<double>&share = share_[t_.own(r)], &tops = t_.least(r, s);
    const index_t n = t_.size(r);
    const double beside = least_share_[t_.own(s)];
    index_t start = first;
    for (index_t x = first; x < n; ++x) {
        low[x] = -infinity;
        if (share[x] + tops[x] < share[start] + tops[start]) start = x;
    }
    double pair = low[start] = least_of(r, s, start);
    for (index_t x = first; x < n; ++x)
        if (share[x] + (tops[x] + beside) < pair && x != start) pair = std::min(pair, low[x] = least_of(r, s, x));
    return pair;
}

void Walk::bound_each(int k) {
    const int N = t_.n_marginals;
    spread(k);
    std::vector<double> through(N, 0.0);  // pairs of a position
    double whole = base_[k];
    for (int r = k; r < N; ++r)
        for (int s = r + 1; s < N; ++s) {
            const double pair = least_pair(r, s, 0, lows_[r]);
            whole += pair;
            if (whole == infinity) return;
            through[r] += pair;
            through[s] += pair;
        }
    if (whole >= best) return;
    for (int r = k; r < N; ++r) {
        std::vector<double>&h = beside_[k][r], &floor = floors_[r];
        floor = h;
        double rest = whole - through[r];
        for (int s = k; s < N; ++s) {
            if (s == r) continue;
            rest += least_share_[s];
            const std::vector<double>& tops = t_.least(r, s);
            for (std::size_t y = 0; y < h.size(); ++y) floor[y] += tops[y];
        }
        for (std::size_t y = 0; y < h.size(); ++y)
            if (rest + floor[y] >= best) h[y] = share_[r][y] = infinity;
    }
    const double rest = whole - through[k];
    for (index_t x = 0; x < t_.size(k); ++x) {
        if (share_[k][x] == infinity) continue;
        bounds_[k][x] = rest;
        for (int r = k + 1; r < N; ++r) bounds_[k][x] += least_of(k, r, x);
    }
}

// All points that follow x are x or later, so only pairs of such count.
void Walk::bound_equal(int k) {
    const int m = t_.n_marginals - k;
    const index_t n = t_.size(0), first = k ? at_[k - 1] : 0;
    const double mine = m - 1, others = 0.5 * (m - 1) * (m - 2), bar = best - base_[k];
    spread(k);
    std::vector<double>&h = beside_[k][0], &share = share_[0], &low = lows_[0];
    const double pair = least_pair(0, 1, first, low);
    if ((mine + others) * pair >= bar) return;
    const std::vector<double>& tops = t_.least(0, 1);
    for (index_t x = first; x < n; ++x)
        if (mine * (share[x] + (tops[x] + least_share_[0])) + others * pair >= bar) share[x] = h[x] = low[x] = infinity;
    double later = infinity;
    for (index_t x = n - 1; x >= first; --x) {
        if (low[x] == -infinity) low[x] = least_of(0, 1, x);
        later = std::min(later, low[x]);
        bounds_[k][x] = base_[k] + mine * low[x] + others * later;
    }
}

}  // namespace deblai::multimarginal
