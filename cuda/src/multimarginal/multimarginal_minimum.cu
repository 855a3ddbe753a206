// The least reduced cost: checked arguments and tables of costs on the device, then all tuples of all marginals or of
// subsets of them, in batches of prefixes.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

#include "call.cuh"
#include "deblai/check.hpp"
#include "deblai/cuda/multimarginal-minimum.hpp"
#include "multimarginal_call.cuh"
#include "multimarginal_minimum.cuh"
#include "multimarginal_workspace.cuh"

namespace deblai::cuda::multimarginal {

using deblai::multimarginal::Marginal;
using deblai::multimarginal::Masses;
using deblai::multimarginal::Minimum;
using deblai::multimarginal::named;
using deblai::multimarginal::Tuple;

namespace {

constexpr double most_subsets = 4096;

// Positions are marginals by length, the longest last; two as they are.
template <class T>
std::vector<int> by_length(const Problem<T>& q) {
    std::vector<int> order(q.distinct());
    std::iota(order.begin(), order.end(), 0);
    if (q.n_marginals == 2) return order;
    std::stable_sort(order.begin(), order.end(),
                     [&](int a, int b) { return q.marginals[a].size < q.marginals[b].size; });
    return order;
}

double binomial(double n, int k) {
    double value = 1;
    for (int l = 1; l <= k; ++l) value *= (n - k + l) / l;
    return value;
}

// The next choice of k of n, in lexicographic order; false after the last.
bool next_choice(std::vector<int>& chosen, int n) {
    const int k = static_cast<int>(chosen.size());
    int l = k - 1;
    while (l >= 0 && chosen[l] == n - k + l) --l;
    if (l < 0) return false;
    ++chosen[l];
    std::iota(chosen.begin() + l, chosen.end(), chosen[l]);
    return true;
}

template <class T>
struct Storage {
    std::vector<double*> alone, costs;  // by position; by ordered pair of positions, null but for a < b
    std::vector<index_t> sizes, ld;
    T* staging;
    double* row;
    const double **costs_table, **alone_table;
    index_t* ld_table;
    int *positions_and_at, *found_at;
    double* prefix_costs;
    Least *parts, *found;
    flat_index* first;
    index_t batch;

    Storage(Arena& arena, const Problem<T>& q, const std::vector<int>& order) {
        const int count = q.distinct(), depth = std::max(0, q.n_marginals - 3);
        index_t longest = 0;
        double prefixes = 1;
        for (int a = 0; a < count; ++a) {
            sizes.push_back(q.marginals[order[a]].size);
            ld.push_back(padded(sizes[a]));
            alone.push_back(arena.take<double>(ld[a]));
            longest = std::max(longest, ld[a]);
        }
        for (int l = 0; l < depth; ++l) prefixes = std::min(most_tuples, prefixes * static_cast<double>(longest));
        batch = static_cast<index_t>(std::min(most_tuples, prefixes));
        costs.resize(count * count, nullptr);
        for (int a = 0; a < count && q.n_marginals > 2; ++a)
            for (int b = q.symmetric ? a : a + 1; b < count; ++b)
                costs[a * count + b] = arena.take<double>(sizes[a] * ld[b]);
        const index_t d = q.costs ? 1 : q.marginals[0].points.cols;
        staging = arena.take<T>(longest * d);
        row = arena.take<double>(longest);
        costs_table = arena.take<const double*>(count * count);
        alone_table = arena.take<const double*>(count);
        ld_table = arena.take<index_t>(count);
        positions_and_at = arena.take<int>(depth * (1 + batch));
        found_at = arena.take<int>(q.n_marginals);
        prefix_costs = arena.take<double>(batch);
        parts = arena.take<Least>(tiles_of(longest) * (q.n_marginals > 2 ? tiles_of(longest) : 1) + enough_blocks);
        found = arena.take<Least>(1);
        first = arena.take<flat_index>(q.pairs() + 1);
    }
};

template <class T>
class Search {
public:
    Search(const Call& call, const Problem<T>& q, const double* potentials, const std::vector<int>& order,
           const Storage<T>& storage, Watch& watch)
        : call_(call), q_(q), order_(order), s_(storage), watch_(watch), count_(q.distinct()) {
        const std::vector<index_t> offset = deblai::multimarginal::offsets(q);
        alone_.resize(count_);
        for (int p = 0; p < count_; ++p) {
            const int a = static_cast<int>(std::find(order.begin(), order.end(), p) - order.begin());
            load(p, a, potentials + offset[p]);
        }
        send(s_.costs_table, std::vector<const double*>(s_.costs.begin(), s_.costs.end()));
        send(s_.alone_table, std::vector<const double*>(s_.alone.begin(), s_.alone.end()));
        send(s_.ld_table, s_.ld);
        call_.check(cudaMemsetAsync(s_.first, 0xFF, (q.pairs() + 1) * sizeof(flat_index), call_.stream()),
                    "cudaMemsetAsync");
        if (q.n_marginals > 2) make_tables();
    }

    Minimum run(std::int64_t budget) {
        const int N = q_.n_marginals;
        const auto fits = [&](int k) { return nodes(k) <= static_cast<double>(budget); };
        int k = N;
        while (k > 2 && !fits(k)) --k;
        Minimum found = k == N ? whole() : relaxed(k);
        if (!q_.symmetric && !found.at.empty()) {
            std::vector<index_t> at(N);
            for (int a = 0; a < N; ++a) at[order_[a]] = found.at[a];
            found.at = std::move(at);
        }
        return found;
    }

private:
    int own(int a) const { return q_.symmetric ? 0 : a; }
    index_t size(int a) const { return s_.sizes[own(a)]; }
    const double* table(int a, int b) const { return s_.costs[own(a) * count_ + own(b)]; }

    // Of all subsets of k marginals; for general ones at most so many.
    double nodes(int k) const {
        if (q_.symmetric) return binomial(static_cast<double>(size(0)) + k - 3, k - 2);
        const int N = q_.n_marginals;
        const double subsets = binomial(N, k);
        if (subsets > most_subsets) return no_value;
        double each = 1;
        for (int a = N - k; a + 2 < N; ++a) each *= static_cast<double>(size(a));
        return subsets * each;
    }

    Minimum whole() {
        std::vector<int> all(q_.n_marginals);
        std::iota(all.begin(), all.end(), 0);
        const Best best = least(all);
        return {best.done ? best.value : -no_value, best.value, best.done, nodes_, best.at};
    }

    Minimum relaxed(int k) {
        const int N = q_.n_marginals;
        for (int a = 0; a < count_; ++a) send_alone(a, (k - 1.0) / (N - 1.0));
        const double share = q_.symmetric ? N * (N - 1.0) / (k * (k - 1.0)) : 1 / binomial(N - 2, k - 2);
        std::vector<int> chosen(k);
        std::iota(chosen.begin(), chosen.end(), 0);
        double bound = 0;
        Minimum found{-no_value, no_value, false, 0, {}};
        do {
            const Best best = least(chosen);
            found.nodes = nodes_;
            if (!best.done) return {-no_value, no_value, false, nodes_, {}};
            bound += share * best.value;
            if (best.at.empty()) return {no_value, no_value, true, nodes_, {}};  // nor has any tuple a finite cost
            if (found.at.empty()) complete(chosen, best.at, found);
        } while (!q_.symmetric && next_choice(chosen, N));
        found.nodes = nodes_;
        found.exact = !(bound < found.best);
        found.value = found.exact ? found.best : bound;
        if (found.best == no_value) found.at.clear();
        return found;
    }

    // A tuple of all marginals, greedily around the points of some.
    void complete(const std::vector<int>& positions, const std::vector<index_t>& points, Minimum& found) const {
        const int N = q_.n_marginals;
        std::vector<index_t> at(N, -1);
        std::vector<std::vector<double>> beside(q_.symmetric ? 1 : N);
        for (std::size_t a = 0; a < beside.size(); ++a) beside[a] = alone_[a];
        double value = 0;
        const auto put = [&](int a, index_t x) {
            at[a] = x;
            value += beside[own(a)][x];
            for (std::size_t b = 0; b < beside.size(); ++b) {
                if (!q_.symmetric && at[b] >= 0) continue;
                const std::vector<double> c = row(a, static_cast<int>(b), x);
                for (std::size_t y = 0; y < c.size(); ++y) beside[b][y] += c[y];
            }
        };
        for (std::size_t l = 0; l < positions.size(); ++l) put(positions[l], points[l]);
        for (int a = 0; a < N; ++a) {
            if (at[a] >= 0) continue;
            const std::vector<double>& costs = beside[own(a)];
            put(a, std::min_element(costs.begin(), costs.end()) - costs.begin());
        }
        if (q_.symmetric) std::sort(at.begin(), at.end());
        found.best = value;
        found.at = std::move(at);
    }

    // Costs of point x of position a with those of position b.
    std::vector<double> row(int a, int b, index_t x) const {
        const bool ahead = q_.symmetric || a < b;
        const double* const from_table = ahead ? table(a, b) : table(b, a);
        const index_t n = size(b), ld = s_.ld[own(ahead ? b : a)];
        const Vector<const double> from =
            ahead ? Vector<const double>{from_table + x * ld, n, 1} : Vector<const double>{from_table + x, n, ld};
        call_.launch("copy", copy<double>, grid_of(n), block_threads, from, s_.row);
        return fetch(static_cast<const double*>(s_.row), n);
    }

    struct Best {
        double value;             // inf where no tuple has a finite cost
        std::vector<index_t> at;  // by position, empty then
        bool done;                // false after a stop
    };

    // Over all tuples of some positions.
    Best least(const std::vector<int>& positions) {
        send(s_.found, std::vector<Least>{{no_value, 0, 0}});
        Best best{no_value, {}, false};
        best.done = positions.size() == 2 ? pair(positions, best) : tuples(positions, best);
        if (q_.n_marginals == 2 && q_.costs) refuse_costs(0, 1);
        if (q_.symmetric) std::sort(best.at.begin(), best.at.end());
        return best;
    }

    bool pair(const std::vector<int>& positions, Best& best) {
        const int a = positions[0], b = positions[1];
        const index_t n = size(a), m = size(b), rows = tiles_of(n);
        // A cost takes some thirty times what a term of a product does.
        const double each = 32.0 * tile * static_cast<double>(m);
        const index_t step = std::max<index_t>(1, static_cast<index_t>(most_terms / each));
        const Prefixes none{};
        for (index_t begin = 0; begin < rows; begin += step) {
            const index_t some = std::min(step, rows - begin), chunks = chunks_of(some, tiles_of(m));
            call_.launch("least_of_pair", least_of_pair<T>,
                         dim3(static_cast<unsigned>(some), static_cast<unsigned>(chunks)), tile_threads, costs(a, b),
                         static_cast<const double*>(s_.alone[own(a)]), static_cast<const double*>(s_.alone[own(b)]), n,
                         m, begin, s_.parts, s_.first);
            call_.launch("keep_least", keep_least, dim3(1), tile_threads, static_cast<const Least*>(s_.parts),
                         some * chunks, none, s_.found, s_.found_at);
            if (begin + step >= rows || !watch_.asked()) continue;
            call_.wait();
            if (watch_.stopped()) return false;
        }
        const Least found = fetch(static_cast<const Least*>(s_.found), 1)[0];
        ++nodes_;
        if (!(found.value < no_value)) return true;
        best.value = found.value;
        best.at = {found.cell / m, found.cell % m};
        return true;
    }

    bool tuples(const std::vector<int>& positions, Best& best) {
        const std::size_t k = positions.size(), depth = k - 3;
        const int p = positions[k - 3], r = positions[k - 2], q = positions[k - 1];
        MinPlus c{{s_.costs_table, s_.alone_table, s_.ld_table, count_},
                  p,
                  r,
                  q,
                  size(p),
                  size(r),
                  size(q),
                  s_.ld[own(r)],
                  s_.ld[own(q)],
                  table(p, r),
                  table(r, q),
                  table(p, q),
                  q_.symmetric,
                  {s_.positions_and_at, s_.positions_and_at + depth, s_.prefix_costs, static_cast<int>(depth)},
                  0,
                  0};
        const auto length = [&](std::size_t l) { return size(positions[l]); };
        std::vector<int> at;
        index_t waiting = 0;
        const auto start = [&] {
            at.assign(positions.begin(), positions.begin() + depth);
            waiting = 0;
        };
        const auto flush = [&] {
            send(s_.positions_and_at, at);
            if (depth)
                call_.launch("add_up_prefixes", add_up_prefixes,
                             dim3(static_cast<unsigned>((waiting + tile_threads - 1) / tile_threads)), tile_threads,
                             c.all, c.prefixes, waiting);
            const bool going = launch(c, waiting * tiles_of(c.n_r));
            start();
            return going;
        };
        start();
        for (index_t f = 0; f < (depth ? length(0) : 1); ++f) {
            Tuple tuple(depth, q_.symmetric, f);
            do {
                for (const index_t i : tuple.at) at.push_back(static_cast<int>(i));
                nodes_ += c.n_p - (q_.symmetric && depth ? tuple.at.back() : 0);
                if (++waiting == s_.batch && !flush()) return false;
            } while (tuple.next(length));
        }
        if (waiting && !flush()) return false;
        const Least found = fetch(static_cast<const Least*>(s_.found), 1)[0];
        if (!(found.value < no_value)) return true;
        const std::vector<int> fixed = fetch(static_cast<const int*>(s_.found_at), static_cast<index_t>(depth));
        c.prefixes.at = s_.found_at;
        call_.launch("locate", locate, dim3(1), tile_threads, c, s_.found);
        best.value = found.value;
        best.at.assign(fixed.begin(), fixed.end());
        best.at.push_back(found.cell / c.n_q);
        best.at.push_back(fetch(static_cast<const Least*>(s_.found), 1)[0].tuple);
        best.at.push_back(found.cell % c.n_q);
        return true;
    }

    // All items of one batch of prefixes, in launches of some milliseconds.
    bool launch(MinPlus& c, index_t items) {
        const index_t grid = tiles_of(c.n_p) * tiles_of(c.n_q);
        const double each = static_cast<double>(grid) * tile * tile * tile;
        const index_t step = std::max<index_t>(1, static_cast<index_t>(most_terms / each));
        for (c.begin = 0; c.begin < items; c.begin = c.end) {
            c.end = std::min(items, c.begin + step);
            const index_t chunks = chunks_of(grid, c.end - c.begin);
            call_.launch("least_of_tuples", least_of_tuples,
                         dim3(static_cast<unsigned>(grid), static_cast<unsigned>(chunks)), tile_threads, c, s_.parts);
            call_.launch("keep_least", keep_least, dim3(1), tile_threads, static_cast<const Least*>(s_.parts),
                         grid * chunks, c.prefixes, s_.found, s_.found_at);
            if (!watch_.asked()) continue;
            call_.wait();
            if (watch_.stopped()) return false;
        }
        return true;
    }

    PairCosts<T> costs(int a, int b) const {
        const int p = order_[own(a)], r = order_[own(b)];
        PairCosts<T> c{{}, {}, {}, q_.cost};
        if (!q_.costs) {
            c.x = q_.marginals[p].points;
            c.y = q_.marginals[r].points;
            return c;
        }
        c.given = q_.costs[pair_of(a, b)];
        if (p > r) c.given = {c.given.data, c.given.cols, c.given.rows, c.given.col_stride, c.given.row_stride};
        return c;
    }

    // Points are finite, weights are masses; what each point costs alone.
    void load(int p, int a, const double* potential) {
        const Marginal<T>& given = q_.marginals[p];
        const int name = q_.symmetric ? -1 : p;
        if (!q_.costs) {
            const index_t d = given.points.cols;
            call_.launch("by_coordinate", by_coordinate<T>, grid_of(d * given.size), block_threads, given.points,
                         given.size, s_.staging);
            const std::vector<T> host = fetch(static_cast<const T*>(s_.staging), d * given.size);
            Team alone({.threads = 1}, 0);
            require_finite(named("points", name).c_str(), Matrix<const T>{host.data(), given.size, d, 1, given.size},
                           alone);
        }
        Marginal<T> m = given;
        std::vector<T> weights;
        if (m.weights) {
            call_.launch("copy", copy<T>, grid_of(m.size), block_threads, m.weights, s_.staging);
            weights = fetch(static_cast<const T*>(s_.staging), m.size);
            m.weights = {weights.data(), m.size, 1};
        }
        const Masses mass = deblai::multimarginal::masses(name, m);
        for (index_t i = 0; i < m.size; ++i) alone_[a].push_back(mass.weights[i] > 0 ? -potential[i] : no_value);
        send_alone(a, 1);
    }

    void send_alone(int a, double part) const {
        std::vector<double> scaled = alone_[a];
        for (double& v : scaled) v *= part;
        scaled.resize(s_.ld[a], no_value);
        send(s_.alone[a], scaled);
    }

    void make_tables() const {
        for (int a = 0; a < count_; ++a)
            for (int b = q_.symmetric ? a : a + 1; b < count_; ++b) {
                double* const table = s_.costs[a * count_ + b];
                const index_t n = size(a), ld = s_.ld[b];
                const index_t pair = pair_of(a, b);
                call_.launch("tabulate", tabulate<T>,
                             dim3(static_cast<unsigned>((n * ld + tile_threads - 1) / tile_threads)), tile_threads,
                             costs(a, b), n, size(b), ld, table, s_.first + pair);
                if (!q_.costs) continue;
                if (q_.symmetric)
                    call_.launch("find_asymmetry", find_asymmetry<double>, grid_of(n * n), block_threads,
                                 static_cast<const double*>(table), n, ld, s_.first + q_.pairs());
            }
        for (int a = 0; q_.costs && a < count_; ++a)
            for (int b = q_.symmetric ? a : a + 1; b < count_; ++b) refuse_costs(a, b);
        if (!q_.costs || !q_.symmetric) return;
        const flat_index first = fetch(static_cast<const flat_index*>(s_.first + q_.pairs()), 1)[0];
        if (first == ~flat_index{0}) return;
        const index_t at = static_cast<index_t>(first);
        throw deblai::multimarginal::not_symmetric(at / size(0), at % size(0));
    }

    index_t pair_of(int a, int b) const {
        const int p = order_[own(a)], r = order_[own(b)];
        return q_.symmetric ? 0 : q_.pair(std::min(p, r), std::max(p, r));
    }

    // Throws for the first entry that is no cost.
    void refuse_costs(int a, int b) const {
        const index_t pair = pair_of(a, b);
        const flat_index first = fetch(static_cast<const flat_index*>(s_.first + pair), 1)[0];
        if (first == ~flat_index{0}) return;
        const Matrix<const T> given = costs(a, b).given;
        const index_t at = static_cast<index_t>(first);
        const T value = fetch(&given(at / given.cols, at % given.cols), 1)[0];
        throw deblai::multimarginal::not_a_cost(q_.symmetric ? -1 : pair, static_cast<double>(value));
    }

    template <class V>
    void send(V* to, const std::vector<V>& from) const {
        if (!from.empty())
            call_.check(
                cudaMemcpyAsync(to, from.data(), from.size() * sizeof(V), cudaMemcpyHostToDevice, call_.stream()),
                "cudaMemcpyAsync");
    }
    // Waits.
    template <class V>
    std::vector<V> fetch(const V* from, index_t count) const {
        std::vector<V> to(count);
        if (count)
            call_.check(cudaMemcpyAsync(to.data(), from, count * sizeof(V), cudaMemcpyDeviceToHost, call_.stream()),
                        "cudaMemcpyAsync");
        call_.wait();
        return to;
    }

    const Call& call_;
    const Problem<T>& q_;
    const std::vector<int>& order_;
    const Storage<T>& s_;
    Watch& watch_;
    int count_;
    std::int64_t nodes_ = 0;
    std::vector<std::vector<double>> alone_;  // by position
};

}  // namespace

template <class T>
Minimum minimum(const Problem<T>& q, const double* potentials, std::int64_t budget, void* stream, int device,
                bool (*poll)(void*), void* context) {
    if (q.edges)
        throw InvalidValue(
            "[multimarginal.sinkhorn] graph: expected all pairs for arrays on a GPU, got edges; move the arrays to the "
            "CPU");
    deblai::multimarginal::require_shapes(q);
    const Call call("multimarginal.sinkhorn", stream, device);
    const std::vector<int> order = by_length(q);
    Arena size(nullptr);
    Storage<T>(size, q, order);
    const Memory memory(call, size.used());
    Arena arena(memory.data());
    const Storage<T> storage(arena, q, order);
    Watch watch(poll, context);
    return Search<T>(call, q, potentials, order, storage, watch).run(budget);
}

template Minimum minimum(const Problem<float>&, const double*, std::int64_t, void*, int, bool (*)(void*), void*);
template Minimum minimum(const Problem<double>&, const double*, std::int64_t, void*, int, bool (*)(void*), void*);

}  // namespace deblai::cuda::multimarginal
