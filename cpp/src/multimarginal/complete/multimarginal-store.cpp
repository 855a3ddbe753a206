#include "multimarginal-store.hpp"

#include <algorithm>
#include <cmath>

#include "deblai/check.hpp"
#include "deblai/error.hpp"

namespace deblai::multimarginal {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr index_t block_rows = 32;

}  // namespace

template <class T>
Store<T>::Store(const Problem<T>& problem, const Kernels<T>& kernels, Team& team)
    : problem_(problem), kernels_(kernels), team_(team), sides_(problem.distinct()) {
    for (int p = 0; p < problem.distinct(); ++p) fill(p);
    if (const auto bytes = sizes(problem).costs) store_costs(bytes);
}

template <class T>
void Store<T>::fill(int p) {
    const Marginal<T>& m = problem_.marginals[p];
    Side<T>& s = sides_[p];
    s.size = m.size;
    s.ld = padded<T>(m.size);
    s.version = 0;
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

// Two marginals are streamed row by row, and both have rows; nothing is stored where points say it all.
template <class T>
bool Store<T>::stores(const Problem<T>& problem, int p, int q) {
    if (problem.symmetric) return true;
    return problem.n_marginals == 2 ? p != q && problem.costs : p < q;
}

template <class T>
void Store<T>::store_costs(std::size_t bytes) {
    const int count = problem_.distinct();
    costs_.assign(count * count, nullptr);
    cost_memory_ = allocate(bytes);
    const bool many = problem_.n_marginals > 2;
    tops_ = costs_;
    T* next = reinterpret_cast<T*>(cost_memory_.get());
    for (int p = 0; p < count; ++p)
        for (int q = 0; q < count; ++q) {
            if (!stores(problem_, p, q)) continue;
            const index_t n = sides_[p].size, rows = many ? sides_[p].ld : n, ld = sides_[q].ld;
            T* const matrix = costs_[index(p, q)] = next;
            next += rows * ld;
            T* const bounds = tops_[index(p, q)] = next;
            if (many) next += n * stretches(ld);
            std::fill(matrix + n * ld, matrix + rows * ld, -std::numeric_limits<T>::infinity());
            const auto fill_rows = [&](index_t task, int) {
                std::vector<T> x(problem_.costs ? 0 : problem_.marginals[0].points.cols);
                for (index_t i = task * block_rows; i < std::min(n, (task + 1) * block_rows); ++i) {
                    fill_row(p, q, i, x.data(), matrix + i * ld);
                    if (many) kernels_.tops(matrix + i * ld, ld, bounds + i * stretches(ld));
                }
            };
            team_.run((n + block_rows - 1) / block_rows, fill_rows, static_cast<double>(n * ld));
        }
    if (problem_.symmetric && problem_.costs) require_symmetric();
}

template <class T>
void Store<T>::fill_row(int p, int q, index_t i, T* x, T* out) const {
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
        strip(p, q, i, 0, b.ld, x, out);
    }
    std::fill(out + b.size, out + b.ld, -std::numeric_limits<T>::infinity());
}

template <class T>
void Store<T>::strip(int p, int q, index_t i, index_t begin, index_t end, T* x, T* out) const {
    const Side<T>&a = side(p), &b = side(q);
    const index_t d = problem_.marginals[0].points.cols;
    for (index_t k = 0; k < d; ++k) x[k] = a.points[k * a.ld + i];
    kernels_.costs(problem_.cost, problem_.epsilon, x, d, b.points.data(), b.ld, begin, end, out - begin);
}

template <class T>
void Store<T>::require_symmetric() const {
    const Side<T>& s = side(0);
    const T* const M = stored(0, 0);
    for (index_t i = 0; i < s.size; ++i)
        for (index_t j = 0; j < i; ++j)
            if (!mirrored(M[i * s.ld + j], M[j * s.ld + i])) throw not_symmetric(i, j);
}

template <class T>
const T* Store<T>::row(int p, int q, index_t i, T* x, T* out) const {
    const index_t ld = side(q).ld;
    if (const T* const matrix = stored(p, q)) return matrix + i * ld;
    if (problem_.n_marginals == 2) {
        strip(p, q, i, 0, ld, x, out);
        return out;
    }
    std::fill(out, out + ld, T(0));
    add_row(p, q, i, out);
    return out;
}

template <class T>
void Store<T>::add_row(int p, int q, index_t i, T* out) const {
    const Grid<T> M = grid(p, q);
    const index_t ld = side(q).ld;
    if (M.turned)
        for (index_t j = 0; j < ld; ++j) out[j] += M.data[j * M.ld + i];
    else
        for (index_t j = 0; j < ld; ++j) out[j] += M.data[i * M.ld + j];
}

template <class T>
void Store<T>::set_potential(int p, const double* f) {
    Side<T>& s = sides_[problem_.symmetric ? 0 : p];
    bool moved = false;
    for (index_t i = 0; i < s.size; ++i) {
        const double g = s.log_weights[i] + f[i] / problem_.epsilon;
        moved |= g != s.g[i];
        s.g[i] = g;
        s.lifted[i] = static_cast<T>(g);
    }
    s.version += moved;
}

template <class T>
typename Store<T>::Sizes Store<T>::sizes(const Problem<T>& problem) {
    const int count = problem.distinct();
    const auto ld = [&](int p) { return static_cast<std::size_t>(padded<T>(problem.marginals[p].size)); };
    const auto size = [&](int p) { return static_cast<std::size_t>(problem.marginals[p].size); };
    const bool many = problem.n_marginals > 2;
    const std::size_t d = problem.costs ? 0 : problem.marginals[0].points.cols;
    Sizes s{};
    for (int p = 0; p < count; ++p) {
        s.sides += size(p) * 3 * sizeof(double) + ld(p) * (1 + d) * sizeof(T);
        for (int q = 0; q < count; ++q) {
            if (!stores(problem, p, q) || (!many && !problem.costs)) continue;
            s.costs += (many ? ld(p) : size(p)) * ld(q) * sizeof(T);
            if (many) s.costs += size(p) * stretches(ld(q)) * sizeof(T);
        }
    }
    return s;
}

template class Store<float>;
template class Store<double>;

}  // namespace deblai::multimarginal
