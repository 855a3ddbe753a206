// Entries of factors: from tables, matrices of costs, or points; and the scratch that they are put into.
#include "graph-algebra.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "deblai/check.hpp"

namespace deblai::multimarginal {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

// out(i, j) += f(from(i, j)), along the shorter strides in blocks that stay in the cache.
template <class V, class T, class F>
void add_block(const V* from, index_t row_stride, index_t col_stride, index_t rows, index_t cols, const F& f, T* out,
               index_t ld) {
    if (col_stride <= row_stride || rows == 1) {
        for (index_t i = 0; i < rows; ++i)
            for (index_t j = 0; j < cols; ++j) out[i * ld + j] += f(from[i * row_stride + j * col_stride]);
        return;
    }
    constexpr index_t block = 16;
    for (index_t begin = 0; begin < rows; begin += block)
        for (index_t j = 0; j < cols; ++j)
            for (index_t i = begin; i < std::min(rows, begin + block); ++i)
                out[i * ld + j] += f(from[i * row_stride + j * col_stride]);
}

}  // namespace

template <class T, class S>
void Algebra<T, S>::fill(int p) {
    const Marginal<S>& m = problem_.marginals[p];
    if (problem_.costs || !m.points) return;
    require_finite(named("points", p).c_str(), m.points, team_);
    if (width_ > 1) order_[p] = near_each_other(m.points);
    const index_t ld = padded_size(p);
    points_[p].assign(m.points.cols * ld, T(0));
    for (index_t i = 0; i < m.size; ++i)
        for (index_t k = 0; k < m.points.cols; ++k) points_[p][k * ld + i] = static_cast<T>(m.points(natural(p, i), k));
}

template <class T, class S>
void Algebra<T, S>::require_costs() const {
    for (index_t e = 0; problem_.costs && e < problem_.edge_count; ++e) {
        const Matrix<const S>& c = problem_.costs[e];
        const auto check = [&](index_t i, int) {
            for (index_t j = 0; j < c.cols; ++j)
                if (std::isnan(c(i, j)) || c(i, j) == -infinity) throw not_a_cost(e, c(i, j));
        };
        team_.run(c.rows, check, static_cast<double>(c.rows) * static_cast<double>(c.cols));
    }
}

// Sets out to the sum of factors; edges go first.
template <class T, class S>
void Algebra<T, S>::add_all(const Factors& list, Range rows, Range cols, const index_t* at, const Scratch& s, T* out,
                            index_t ld) const {
    bool fresh = true;
    for (const bool tables : {false, true})
        for (const auto& f : list) {
            if ((f.table != nullptr) != tables) continue;
            add(f, rows, cols, at, fresh, s, out, ld);
            fresh = false;
        }
    for (index_t i = 0; fresh && i < rows.count; ++i) std::fill(out + i * ld, out + i * ld + cols.count, T(0));
}

// One factor's entries at rows and columns of the variables that it has of both, the others being at[]. With `fresh`,
// out is what it adds; it may then be written up to the next whole panel.
template <class T, class S>
void Algebra<T, S>::add(const Factor& f, Range rows, Range cols, const index_t* at, bool fresh, const Scratch& s,
                        T* out, index_t ld) const {
    const auto clear = [&] {
        for (index_t i = 0; fresh && i < rows.count; ++i) std::fill(out + i * ld, out + i * ld + cols.count, T(0));
    };
    if (f.table) {
        clear();
        index_t base = 0, row_stride = 0, col_stride = 0, stride = 1;
        for (auto v = f.table->scope.rbegin(); v != f.table->scope.rend(); stride *= sizes_[*v++]) {
            if (*v == rows.variable) {
                row_stride = stride;
                base += rows.begin * stride;
            } else if (*v == cols.variable) {
                col_stride = stride;
                base += cols.begin * stride;
            } else {
                base += at[*v] * stride;
            }
        }
        add_block(
            f.table->values<T>() + base, row_stride, col_stride, rows.count, cols.count, [](T v) { return v; }, out,
            ld);
        return;
    }
    const Edge& e = problem_.edges[f.edge];
    const int other = e.p == cols.variable ? e.q : e.p;
    const index_t first = other == rows.variable ? rows.begin : at[other];
    if (problem_.costs) {
        clear();
        const Matrix<const S>& c = problem_.costs[f.edge];
        const bool ahead = other == e.p;  // rows of the block are rows of the matrix
        const index_t row_stride = ahead ? c.row_stride : c.col_stride,
                      col_stride = ahead ? c.col_stride : c.row_stride;
        const double scale = scale_;
        add_block(
            c.data + first * row_stride + cols.begin * col_stride, row_stride, col_stride, rows.count, cols.count,
            [scale](S v) { return static_cast<T>(-static_cast<double>(v) / scale); }, out, ld);
        return;
    }
    const std::vector<T>&x = points_[other], &y = points_[cols.variable];
    const index_t d = problem_.marginals[0].points.cols, ld_x = padded_size(other), ld_y = padded_size(cols.variable);
    const index_t end = cols.begin + padded<T>(cols.count);
    for (index_t i = 0; i < rows.count; ++i) {
        for (index_t k = 0; k < d; ++k) s.x[k] = x[k * ld_x + first + i];
        T* const to = fresh ? out + i * ld : s.row;
        instructions_.pairs.costs(problem_.cost, scale_, s.x, d, y.data(), ld_y, cols.begin, end, to - cols.begin);
        for (index_t j = 0; !fresh && j < cols.count; ++j) out[i * ld + j] += to[j];
    }
}

template <class T, class S>
void Algebra<T, S>::edge_row(int edge, int p, index_t i, int q, int worker, T* out) const {
    add({nullptr, edge}, {p, i, 1}, {q, 0, sizes_[q]}, nullptr, true, scratch(worker), out, padded_size(q));
    std::fill(out + sizes_[q], out + padded_size(q), -std::numeric_limits<T>::infinity());
}

template <class T, class S>
void Algebra<T, S>::add_tables(const Factors& list, int p, index_t i, int q, T* out) const {
    for (const auto& f : list) {
        if (!f.table || f.table->scope.size() != 2) continue;
        const bool ahead = p < q;
        const T* const values = f.table->values<T>();
        for (index_t j = 0; j < sizes_[q]; ++j) out[j] += ahead ? values[i * sizes_[q] + j] : values[j * sizes_[p] + i];
    }
}

template <class T, class S>
void Algebra<T, S>::add_at(const Factor& f, int v, const index_t* at, std::vector<double>& to) {
    if (!contains(scope_of(f), v)) return;  // the same for all i
    if (f.table && f.table->scope.size() == 1) {
        for (std::size_t i = 0; i < to.size(); ++i) to[i] += f.table->line[i];
        return;
    }
    const Scratch s = scratch(0);
    add(f, {-1, 0, 1}, {v, 0, sizes_[v]}, at, true, s, s.inner, padded_size(v));
    for (std::size_t i = 0; i < to.size(); ++i) to[i] += static_cast<double>(s.inner[i]);
}

template <class T, class S>
T* Algebra<T, S>::spare(int worker, int k) const {
    return scratch(worker).spare[k];
}

template <class T, class S>
typename Algebra<T, S>::Scratch Algebra<T, S>::layout(std::byte* base, const Problem<S>& problem, int width) {
    index_t longest = 0;
    for (int p = 0; p < problem.n_marginals; ++p) longest = std::max(longest, padded<T>(problem.marginals[p].size));
    std::size_t at = 0;
    const auto take = [&](index_t count, auto type) {
        auto* const p = reinterpret_cast<decltype(type)*>(reinterpret_cast<std::uintptr_t>(base) + at);
        at += (count * sizeof(type) + 63) / 64 * 64;
        return p;
    };
    const index_t tables = width > 1, coupled = width > 2;
    Scratch s{};
    s.row = take(longest, T{});
    s.x = take(problem.costs ? 0 : problem.marginals[0].points.cols, T{});
    s.strip = take(strip_rows * strip_cols, T{});
    s.lift = take(longest, T{});
    s.share = take(longest, T{});
    s.inner = take(longest, T{});
    for (T*& row : s.spare) row = take(longest, T{});
    s.left = take(tables * tile_rows * longest, T{});
    s.right = take(tables * tile_cols * longest, T{});
    s.coupled = take(coupled * tile_cols * longest, T{});
    s.packed_left = take(tables * tile_rows * tile_depth, T{});
    s.packed_right = take(tables * tile_depth * tile_cols, T{});
    s.out = take(tables * (tile_rows + group) * tile_cols, T{});
    s.at = take(problem.n_marginals, index_t{});
    s.bytes = at;
    return s;
}

template <class T, class S>
std::size_t Algebra<T, S>::scratch_bytes(const Problem<S>& problem, int width) {
    return layout(nullptr, problem, width).bytes;
}

template <class T, class S>
std::size_t Algebra<T, S>::shared_bytes(const Problem<S>& problem) {
    std::size_t longest = 0, bytes = 0;
    for (int p = 0; p < problem.n_marginals; ++p) {
        const std::size_t ld = padded<T>(problem.marginals[p].size);
        longest = std::max(longest, ld);
        bytes += sizeof(index_t) + 2 * sizeof(std::vector<T>) +
                 (problem.costs ? 0 : ld * (problem.marginals[p].points.cols * sizeof(T) + sizeof(index_t)));
    }
    return bytes + longest * (sizeof(T) + sizeof(double));  // lifted lines, and their sum
}

template class Algebra<float, float>;
template class Algebra<double, double>;
template class Algebra<double, float>;

}  // namespace deblai::multimarginal
