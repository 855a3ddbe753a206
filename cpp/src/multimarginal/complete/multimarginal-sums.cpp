#include "multimarginal-sums.hpp"

#include <algorithm>

namespace deblai::multimarginal {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

constexpr std::size_t lines(std::size_t bytes) { return (bytes + 63) / 64 * 64; }

}  // namespace

template <class T>
Sums<T>::Sums(const Problem<T>& problem, const Kernels<T>& kernels, Team& team)
    : problem_(problem),
      kernels_(kernels),
      team_(team),
      store_(problem, kernels, team),
      scratch_bytes_(scratch_bytes(problem)),
      scratch_(allocate(scratch_bytes_ * team.size())) {
    for (int p = 0; p < problem.distinct(); ++p) longest_ = std::max(longest_, side(p).ld);
    if (problem.n_marginals > 2) table_ = std::make_unique<PairTable<T>>(store_, kernels, team);
}

template <class T>
bool Sums<T>::conditional(int p, double, double* lse) {
    if (problem_.n_marginals == 2) {
        streamed(p, lse);
        return !team_.stopped();
    }
    std::vector<index_t> doubtful;
    return table_->conditional(p, lse, doubtful) && redo(choose_roles(problem_, p, -1), doubtful, lse, nullptr);
}

template <class T>
const T* Sums<T>::pair(int p, int q) {
    std::vector<index_t> doubtful;
    std::vector<double> lse(side(p).size);
    T* const plan = table_->plan(p, q, doubtful);
    return plan && redo(choose_roles(problem_, p, q), doubtful, lse.data(), plan) ? plan : nullptr;
}

// Two marginals: nothing but one row's strip is ever stored.
template <class T>
void Sums<T>::streamed(int p, double* lse) {
    const int q = 1 - p;
    const Side<T>&a = side(p), &b = side(q);
    const T* const stored = store_.stored(p, q);
    const auto run = [&](index_t task, int worker) {
        const Scratch s = scratch(worker);
        for (index_t i = task * block_rows; i < std::min(a.size, (task + 1) * block_rows); ++i) {
            LogSum total;
            for (index_t j = 0; j < b.ld; j += strip) {
                const index_t end = std::min(b.ld, j + strip);
                const T* M = stored ? stored + i * b.ld + j : s.row;
                if (!stored) store_.strip(p, q, i, j, end, s.x, s.row);
                const Scaled part = kernels_.sum(M, b.lifted.data() + j, end - j);
                total.add(part.top, part.sum);
            }
            lse[i] = total.value();
        }
    };
    team_.run((a.size + block_rows - 1) / block_rows, run, static_cast<double>(a.size * b.ld));
}

template <class T>
bool Sums<T>::redo(const Roles& roles, const std::vector<index_t>& rows, double* lse, T* plan) {
    const auto task = [&](index_t at, int worker) {
        const index_t i = rows[at];
        exact(roles, i, worker, &lse[i], plan ? plan + i * side(roles.q).ld : nullptr);
    };
    const index_t count = static_cast<index_t>(rows.size());
    team_.run(count, task, static_cast<double>(count) * terms(problem_, roles));
    exact_rows_ += count;
    return !team_.stopped();
}

// One row again, term by term in the log domain.
template <class T>
void Sums<T>::exact(const Roles& roles, index_t i, int worker, double* lse, T* plan) const {
    // Rows of what is stored of the two are looped over, their entries looked at side by side.
    const bool turned = store_.grid(roles.q, roles.r).turned;
    const int a = turned ? roles.r : roles.q, b = turned ? roles.q : roles.r;
    const Side<T>&P = side(roles.p), &A = side(a), &B = side(b);
    const Scratch s = scratch(worker);
    Scaled total{-infinity, 0};
    Row<T> row{A.size,
               B.ld,
               stretches(B.ld),
               s.inner,
               s.tops,
               s.outer,
               store_.grid(a, b).data,
               store_.tops(a, b),
               negligible<T>(terms(problem_, roles)),
               &total,
               nullptr,
               turned,
               0};
    const auto each_tuple = [&] {
        const index_t firsts = roles.fixed.empty() ? 1 : side(roles.fixed[0]).size;
        for (index_t first = 0; first < firsts; ++first) {
            Tuple tuple(roles.fixed.size(), problem_.symmetric, first);
            do {
                if (team_.stop().requested(worker)) return;  // there may be billions of them
                const double weight = tuple.log_weight([&](std::size_t l, double& sum) {
                    sum += side(roles.fixed[l]).g[tuple.at[l]] + store_.entry(roles.fixed[l], roles.p, tuple.at[l], i);
                    for (std::size_t m = 0; m < l; ++m)
                        sum += store_.entry(roles.fixed[m], roles.fixed[l], tuple.at[m], tuple.at[l]);
                });
                if (!(weight > -infinity)) continue;
                std::copy(B.lifted.begin(), B.lifted.end(), s.inner);
                std::copy(A.lifted.begin(), A.lifted.end(), s.outer);
                store_.add_row(roles.p, b, i, s.inner);
                store_.add_row(roles.p, a, i, s.outer);
                for (std::size_t l = 0; l < tuple.at.size(); ++l) {
                    store_.add_row(roles.fixed[l], b, tuple.at[l], s.inner);
                    store_.add_row(roles.fixed[l], a, tuple.at[l], s.outer);
                }
                for (index_t j = 0; j < A.size; ++j) s.outer[j] = static_cast<T>(weight + s.outer[j]);
                kernels_.tops(s.inner, B.ld, s.tops);
                kernels_.row(row);
            } while (tuple.next([&](std::size_t l) { return side(roles.fixed[l]).size; }));
        }
    };
    each_tuple();
    *lse = total.top + std::log(total.sum);
    if (!plan) return;
    row.plan = plan;
    row.scale = std::exp(total.top + P.g[i]);
    std::fill(plan, plan + side(roles.q).ld, T(0));
    each_tuple();
}

template <class T>
void Sums<T>::plan_row(int p, int q, index_t i, const T* M, T* out) const {
    const Side<T>& b = side(q);
    kernels_.exps(M, b.lifted.data(), b.ld, side(p).g[i], out);
}

template <class T>
const T* Sums<T>::row(int p, int q, index_t i, int worker) const {
    const Scratch s = scratch(worker);
    return store_.row(p, q, i, s.x, s.row);
}

template <class T>
typename Sums<T>::Scratch Sums<T>::scratch(int worker) const {
    std::byte* at = scratch_.get() + scratch_bytes_ * worker;
    const auto take = [&](index_t count) {
        T* const p = reinterpret_cast<T*>(at);
        at += lines(count * sizeof(T));
        return p;
    };
    Scratch s{};
    s.row = take(longest_);
    s.plan = take(longest_);
    s.x = take(problem_.costs ? 0 : problem_.marginals[0].points.cols);
    if (problem_.n_marginals == 2) return s;
    s.tops = take(stretches(longest_));
    s.inner = take(longest_);
    s.outer = take(longest_);
    return s;
}

template <class T>
std::size_t Sums<T>::scratch_bytes(const Problem<T>& problem) {
    index_t longest = 0;
    for (int p = 0; p < problem.distinct(); ++p) longest = std::max(longest, padded<T>(problem.marginals[p].size));
    const bool many = problem.n_marginals > 2;
    return (many ? 4 : 2) * lines(longest * sizeof(T)) +
           lines((problem.costs ? 0 : problem.marginals[0].points.cols) * sizeof(T)) +
           (many ? lines(stretches(longest) * sizeof(T)) : 0);
}

template <class T>
std::size_t Sums<T>::bytes(const Problem<T>& problem, int threads) {
    std::size_t longest = 0;
    for (int p = 0; p < problem.distinct(); ++p)
        longest = std::max<std::size_t>(longest, padded<T>(problem.marginals[p].size));
    const auto store = Store<T>::sizes(problem);
    // Rows to be summed again, and sums of a plan's rows.
    const std::size_t rows =
        problem.n_marginals > 2 ? longest * (3 * sizeof(index_t) + sizeof(double) + 1 + 3 * sizeof(T)) : 0;
    return store.sides + store.costs + (problem.n_marginals > 2 ? PairTable<T>::bytes(problem, threads) : 0) + rows +
           scratch_bytes(problem) * threads;
}

template class Sums<float>;
template class Sums<double>;

}  // namespace deblai::multimarginal
