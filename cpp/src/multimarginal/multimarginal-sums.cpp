#include "multimarginal-sums.hpp"

#include <string>

#include "deblai/check.hpp"
#include "deblai/error.hpp"

namespace deblai::multimarginal {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

}  // namespace

template <class T>
Sums<T>::Sums(const Problem<T>& problem, const Kernels<T>& kernels, Team& team)
    : problem_(problem), kernels_(kernels), team_(team), sides_(problem.distinct()) {
    for (int p = 0; p < problem.distinct(); ++p) fill(p);
    const auto bytes = sizes(problem);
    scratch_bytes_ = bytes.scratch;
    scratch_ = allocate(scratch_bytes_ * team.size());
    if (bytes.costs) store_costs(bytes.costs);
    if (bytes.panels) panels_ = allocate(bytes.panels);
    share_.resize(longest_);
    delta_.resize(longest_);
}

template <class T>
void Sums<T>::fill(int p) {
    const Marginal<T>& m = problem_.marginals[p];
    Side<T>& s = sides_[p];
    s.size = m.size;
    s.ld = padded<T>(m.size);
    longest_ = std::max(longest_, s.ld);
    Masses mass = masses(problem_.symmetric ? -1 : p, m);
    s.weights = std::move(mass.weights);
    s.log_weights = std::move(mass.logs);
    s.g = s.log_weights;
    s.lifted.assign(s.ld, -std::numeric_limits<T>::infinity());
    if (problem_.costs) return;
    require_finite(named("points", problem_.symmetric ? -1 : p).c_str(), m.points, team_);
    s.points.assign(m.points.cols * s.ld, T(0));
    for (index_t i = 0; i < m.size; ++i)
        for (index_t k = 0; k < m.points.cols; ++k) s.points[k * s.ld + i] = m.points(i, k);
}

template <class T>
void Sums<T>::store_costs(std::size_t bytes) {
    const int count = problem_.distinct();
    costs_.assign(count * count, nullptr);
    cost_memory_ = allocate(bytes);
    const bool many = problem_.n_marginals > 2;
    tops_ = costs_;
    T* next = reinterpret_cast<T*>(cost_memory_.get());
    for (int p = 0; p < count; ++p)
        for (int q = 0; q < count; ++q) {
            if (p == q && !problem_.symmetric) continue;
            const index_t n = sides_[p].size, ld = sides_[q].ld;
            T* const matrix = costs_[index(p, q)] = next;
            next += n * ld;
            T* const bounds = tops_[index(p, q)] = next;
            if (many) next += n * stretches(ld);
            const auto fill_rows = [&](index_t task, int worker) {
                for (index_t i = task * block_rows; i < std::min(n, (task + 1) * block_rows); ++i) {
                    fill_row(p, q, i, scratch(worker), matrix + i * ld);
                    if (many) kernels_.tops(matrix + i * ld, ld, bounds + i * stretches(ld));
                }
            };
            team_.run((n + block_rows - 1) / block_rows, fill_rows, static_cast<double>(n * ld));
        }
    if (problem_.symmetric && problem_.costs) require_symmetric();
}

template <class T>
void Sums<T>::fill_row(int p, int q, index_t i, const Scratch& s, T* out) const {
    const Side<T>& b = side(q);
    if (problem_.costs) {
        const index_t pair = problem_.pair(std::min(p, q), std::max(p, q));
        const Matrix<const T>& given = problem_.costs[pair];
        for (index_t j = 0; j < b.size; ++j) {
            const double c = p <= q ? given(i, j) : given(j, i);
            if (std::isnan(c) || c == -infinity) throw not_a_cost(problem_.symmetric ? -1 : pair, c);
            out[j] = static_cast<T>(-c / problem_.epsilon);
        }
    } else {
        strip_of(p, q, i, 0, b.ld, s, out);
    }
    std::fill(out + b.size, out + b.ld, -std::numeric_limits<T>::infinity());
}

template <class T>
void Sums<T>::strip_of(int p, int q, index_t i, index_t begin, index_t end, const Scratch& s, T* out) const {
    const Side<T>&a = side(p), &b = side(q);
    const index_t d = problem_.marginals[0].points.cols;
    for (index_t k = 0; k < d; ++k) s.x[k] = a.points[k * a.ld + i];
    kernels_.costs(problem_.cost, problem_.epsilon, s.x, d, b.points.data(), b.ld, begin, end, out - begin);
}

template <class T>
void Sums<T>::require_symmetric() const {
    const Side<T>& s = side(0);
    const T* const M = stored(0, 0);
    for (index_t i = 0; i < s.size; ++i)
        for (index_t j = 0; j < i; ++j)
            if (!mirrored(M[i * s.ld + j], M[j * s.ld + i])) throw not_symmetric(i, j);
}

template <class T>
const T* Sums<T>::row(int p, int q, index_t i, int worker) const {
    if (const T* const matrix = stored(p, q)) return matrix + i * side(q).ld;
    const Scratch s = scratch(worker);
    strip_of(p, q, i, 0, side(q).ld, s, s.row);
    return s.row;
}

template <class T>
void Sums<T>::set_potential(int p, const double* f) {
    Side<T>& s = sides_[problem_.symmetric ? 0 : p];
    for (index_t i = 0; i < s.size; ++i) {
        s.g[i] = s.log_weights[i] + f[i] / problem_.epsilon;
        s.lifted[i] = static_cast<T>(s.g[i]);
    }
}

template <class T>
bool Sums<T>::conditional(int p, double drift, double* lse) {
    if (problem_.n_marginals == 2)
        streamed(p, lse);
    else
        sum(choose_roles(problem_, p, -1), drift, lse, nullptr);
    return !team_.stopped();
}

template <class T>
void Sums<T>::pair(int p, int q, T* plan) {
    std::vector<double> lse(side(p).size);
    sum(choose_roles(problem_, p, q), 3.0, lse.data(), plan);
}

// Two marginals: nothing but one row's strip is ever stored.
template <class T>
void Sums<T>::streamed(int p, double* lse) {
    const int q = 1 - p;
    const Side<T>&a = side(p), &b = side(q);
    const auto run = [&](index_t task, int worker) {
        const Scratch s = scratch(worker);
        for (index_t i = task * block_rows; i < std::min(a.size, (task + 1) * block_rows); ++i) {
            LogSum total;
            for (index_t j = 0; j < b.ld; j += strip) {
                const index_t end = std::min(b.ld, j + strip);
                const T* M = stored(p, q) ? stored(p, q) + i * b.ld + j : s.row;
                if (!stored(p, q)) strip_of(p, q, i, j, end, s, s.row);
                const Scaled part = kernels_.sum(M, b.lifted.data() + j, end - j);
                total.add(part.top, part.sum);
            }
            lse[i] = total.value();
        }
    };
    team_.run((a.size + block_rows - 1) / block_rows, run, static_cast<double>(a.size * b.ld));
}

// The side's log-weights get delta, the contraction's lose the share that the panels carry.
template <class T>
void Sums<T>::pack(const Roles& roles) {
    const Side<T>&Q = side(roles.q), &R = side(roles.r);
    for (index_t k = 0; k < R.ld; ++k)
        share_[k] = R.lifted[k] > -std::numeric_limits<T>::infinity() ? R.lifted[k] / 2 : T(0);
    const auto run = [&](index_t task, int) {
        const index_t begin = task * panel<T>;
        kernels_.pack(stored(roles.q, roles.r), R.ld, stored(roles.r, roles.q), Q.ld, share_.data(), R.size, Q.size,
                      begin, delta_.data(), reinterpret_cast<T*>(panels_.get()) + begin * R.size);
    };
    team_.run(Q.ld / panel<T>, run, static_cast<double>(Q.ld * R.size));
}

// Calls visit(tuple, log-weight with all costs among them) for the tuples whose first index is `first`.
template <class T>
template <class Visit>
void Sums<T>::tuples(const Roles& roles, index_t first, int worker, const Visit& visit) const {
    Tuple tuple(roles.fixed.size(), problem_.symmetric, first);
    do {
        if (team_.stop().requested(worker)) return;  // there may be billions of them, visited or not
        const double log_weight = tuple.log_weight([&](std::size_t l, double& sum) {
            const Side<T>& own = side(roles.fixed[l]);
            sum += own.g[tuple.at[l]];
            for (std::size_t m = 0; m < l; ++m)
                sum += stored(roles.fixed[m], roles.fixed[l])[tuple.at[m] * own.ld + tuple.at[l]];
        });
        if (log_weight > -infinity) visit(tuple, log_weight);
    } while (tuple.next([&](std::size_t l) { return side(roles.fixed[l]).size; }));
}

// Log-weights of the side and of the contraction beside a tuple.
template <class T>
void Sums<T>::beside(const Roles& roles, const Tuple& tuple, T* t, T* z) const {
    const Side<T>&Q = side(roles.q), &R = side(roles.r);
    for (index_t k = 0; k < R.ld; ++k) t[k] = R.lifted[k] - share_[k];
    for (index_t j = 0; j < Q.ld; ++j) z[j] = Q.lifted[j] + delta_[j];
    for (std::size_t l = 0; l < tuple.at.size(); ++l) {
        const T* const to_r = stored(roles.fixed[l], roles.r) + tuple.at[l] * R.ld;
        const T* const to_q = stored(roles.fixed[l], roles.q) + tuple.at[l] * Q.ld;
        for (index_t k = 0; k < R.ld; ++k) t[k] += to_r[k];
        for (index_t j = 0; j < Q.ld; ++j) z[j] += to_q[j];
    }
}

template <class T>
double Sums<T>::shift(const Roles& roles, const Tuple& tuple, double log_weight, index_t i) const {
    double total = log_weight;
    for (std::size_t l = 0; l < tuple.at.size(); ++l)
        total += stored(roles.fixed[l], roles.p)[tuple.at[l] * side(roles.p).ld + i];
    return total;
}

template <class T>
void Sums<T>::sum(const Roles& roles, double drift, double* lse, T* plan) {
    const Side<T>&P = side(roles.p), &Q = side(roles.q), &R = side(roles.r);
    pack(roles);
    const index_t blocks = (P.size + block_rows - 1) / block_rows;
    const index_t firsts = roles.fixed.empty() ? 1 : side(roles.fixed[0]).size;
    const index_t chunks = plan ? 1 : std::min(firsts, (63 + blocks) / blocks);
    const double inner = static_cast<double>(Q.size) * static_cast<double>(R.size);
    const double terms = multimarginal::terms(problem_, roles);
    const double slack = negligible<T>(terms) + 2 * drift;
    constexpr double tiny = std::numeric_limits<T>::min();
    std::vector<LogSum> sums(chunks * P.size), lost(chunks * P.size);

    const auto block = [&](index_t task, int worker) {
        const index_t chunk = task / blocks, begin = task % blocks * block_rows;
        const index_t rows = std::min(block_rows, P.size - begin);
        const Scratch s = scratch(worker);
        LogSum* const sum_of = sums.data() + chunk * P.size + begin;
        LogSum* const lost_of = lost.data() + chunk * P.size + begin;
        Block<T> b{rows,
                   Q.size,
                   R.size,
                   stored(roles.p, roles.q) + begin * Q.ld,
                   stored(roles.p, roles.r) + begin * R.ld,
                   Q.ld,
                   R.ld,
                   s.z,
                   s.t,
                   reinterpret_cast<const T*>(panels_.get()),
                   s.floor,
                   s.total,
                   s.scale,
                   s.weight,
                   s.left,
                   s.side,
                   plan != nullptr};
        const auto visit = [&](const Tuple& tuple, double log_weight) {
            beside(roles, tuple, s.t, s.z);
            for (index_t i = 0; i < rows; ++i) {
                s.shift[i] = shift(roles, tuple, log_weight, begin + i);
                const double predicted = P.log_weights[begin + i] - P.g[begin + i];
                s.floor[i] = roles.fixed.empty() ? -infinity : predicted - slack - s.shift[i];
            }
            kernels_.block(b);
            for (index_t i = 0; i < rows; ++i) {
                const double top = s.scale[i] + s.shift[i];
                if (!(top > -infinity)) continue;
                const bool skipped = s.weight[i] < 0;
                sum_of[i].add(top, s.total[i]);
                lost_of[i].add(top, skipped ? inner : tiny * (3.0 * static_cast<double>(R.size) * s.weight[i] + inner));
                if (!plan || skipped) continue;
                const T scale = static_cast<T>(std::exp(top + P.g[begin + i]));
                T* const out = plan + (begin + i) * Q.ld;
                for (index_t j = 0; j < Q.ld; ++j) out[j] += scale * s.side[i * Q.ld + j];
            }
        };
        if (plan) std::fill(plan + begin * Q.ld, plan + (begin + rows) * Q.ld, T(0));
        for (index_t f = chunk * firsts / chunks; f < (chunk + 1) * firsts / chunks; ++f)
            tuples(roles, f, worker, visit);
    };
    team_.run(chunks * blocks, block, 0.03 * static_cast<double>(P.size) * terms);
    if (team_.stopped()) return;

    std::vector<index_t> again;
    for (index_t i = 0; i < P.size; ++i) {
        LogSum total = sums[i], missing = lost[i];
        for (index_t c = 1; c < chunks; ++c) {
            total.add(sums[c * P.size + i].top, sums[c * P.size + i].sum);
            missing.add(lost[c * P.size + i].top, lost[c * P.size + i].sum);
        }
        lse[i] = total.value();
        if (missing.value() > total.value() + std::log(std::numeric_limits<T>::epsilon())) again.push_back(i);
    }
    const auto redo = [&](index_t task, int worker) {
        const index_t i = again[task];
        exact(roles, i, worker, &lse[i], plan ? plan + i * Q.ld : nullptr);
    };
    team_.run(static_cast<index_t>(again.size()), redo, static_cast<double>(again.size()) * terms);
}

// One row again, term by term in the log domain.
template <class T>
void Sums<T>::exact(const Roles& roles, index_t i, int worker, double* lse, T* plan) const {
    const Side<T>&P = side(roles.p), &Q = side(roles.q), &R = side(roles.r);
    const Scratch s = scratch(worker);
    const T* const pq = stored(roles.p, roles.q) + i * Q.ld;
    const T* const pr = stored(roles.p, roles.r) + i * R.ld;
    const double cut = negligible<T>(terms(problem_, roles));
    const index_t firsts = roles.fixed.empty() ? 1 : side(roles.fixed[0]).size;
    Scaled total{-infinity, 0};
    Row<T> row{
        Q.size, R.ld,   stretches(R.ld), s.row, s.a_tops, s.z, stored(roles.q, roles.r), tops_[index(roles.q, roles.r)],
        cut,    &total, nullptr,         0};
    const auto visit = [&](const Tuple& tuple, double log_weight) {
        beside(roles, tuple, s.t, s.z);
        const double shifted = shift(roles, tuple, log_weight, i);
        for (index_t k = 0; k < R.ld; ++k) s.row[k] = s.t[k] + share_[k] + pr[k];
        for (index_t j = 0; j < Q.size; ++j)
            s.z[j] = delta_[j] > -infinity ? static_cast<T>(shifted + (s.z[j] - delta_[j] + pq[j])) : s.z[j];
        kernels_.tops(s.row, R.ld, s.a_tops);
        kernels_.row(row);
    };
    for (index_t f = 0; f < firsts; ++f) tuples(roles, f, worker, visit);
    *lse = total.top + std::log(total.sum);
    if (!plan) return;
    row.plan = plan;
    row.scale = std::exp(total.top + P.g[i]);
    std::fill(plan, plan + Q.ld, T(0));
    for (index_t f = 0; f < firsts; ++f) tuples(roles, f, worker, visit);
}

// Whole rows of the plan of two marginals; one row is stored a worker.
template <class T>
void Sums<T>::plan_row(int p, int q, index_t i, const T* M, T* out) const {
    const Side<T>& b = side(q);
    kernels_.exps(M, b.lifted.data(), b.ld, side(p).g[i], out);
}

template <class T>
typename Sums<T>::Scratch Sums<T>::scratch(int worker) const {
    std::byte* at = scratch_.get() + scratch_bytes_ * worker;
    const auto take = [&](index_t count, auto type) {
        auto* const p = reinterpret_cast<decltype(type)*>(at);
        at += (count * sizeof(type) + 63) / 64 * 64;
        return p;
    };
    const bool many = problem_.n_marginals > 2;
    Scratch s;
    s.row = take(longest_, T{});
    s.plan = take(longest_, T{});
    s.x = take(problem_.costs ? 0 : problem_.marginals[0].points.cols, T{});
    if (!many) return s;
    s.a_tops = take(stretches(longest_), T{});
    s.t = take(longest_, T{});
    s.z = take(longest_, T{});
    s.left = take(block_rows * longest_, T{});
    s.side = take(block_rows * longest_, T{});
    for (double** v : {&s.shift, &s.floor, &s.total, &s.scale, &s.weight}) *v = take(block_rows, double{});
    return s;
}

template <class T>
typename Sums<T>::Sizes Sums<T>::sizes(const Problem<T>& problem) {
    const int count = problem.distinct();
    const auto ld = [&](int p) { return static_cast<std::size_t>(padded<T>(problem.marginals[p].size)); };
    const auto size = [&](int p) { return static_cast<std::size_t>(problem.marginals[p].size); };
    const bool many = problem.n_marginals > 2;
    Sizes s{};
    std::size_t longest = 0, d = problem.costs ? 0 : problem.marginals[0].points.cols;
    for (int p = 0; p < count; ++p) {
        longest = std::max(longest, ld(p));
        s.sides += size(p) * 3 * sizeof(double) + ld(p) * (1 + d) * sizeof(T);
        for (int q = 0; q < count; ++q) {
            if (p == q && !problem.symmetric) continue;
            if (many || problem.costs) s.costs += size(p) * ld(q) * sizeof(T);
            if (many) s.costs += size(p) * stretches(ld(q)) * sizeof(T);
            if (many) s.panels = std::max(s.panels, size(p) * ld(q) * sizeof(T));
        }
    }
    const auto lines = [&](std::size_t count, std::size_t bytes) { return (count * bytes + 63) / 64 * 64; };
    s.scratch = 2 * lines(longest, sizeof(T)) + lines(d, sizeof(T));
    if (many)
        s.scratch += 2 * lines(longest, sizeof(T)) + lines(stretches(longest), sizeof(T)) +
                     2 * lines(block_rows * longest, sizeof(T)) + 5 * lines(block_rows, sizeof(double));
    // Shares and deltas, sums of rows in chunks (at most 63 blocks of rows too many), rows to be summed again.
    s.sides += 2 * longest * sizeof(T) + longest * sizeof(double);
    if (many) s.sides += (63 * block_rows + longest) * 2 * sizeof(LogSum) + 3 * longest * sizeof(index_t);
    return s;
}

template class Sums<float>;
template class Sums<double>;

}  // namespace deblai::multimarginal
