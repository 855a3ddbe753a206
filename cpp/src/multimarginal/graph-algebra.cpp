#include "graph-algebra.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "deblai/check.hpp"
#include "levels.hpp"
#include "multimarginal-sums.hpp"

DEBLAI_DECLARE_LEVELS(multimarginal::Kernels<float>, multimarginal_f32)
DEBLAI_DECLARE_LEVELS(multimarginal::Kernels<double>, multimarginal_f64)
DEBLAI_DECLARE_LEVELS(multimarginal::GraphKernels<float>, multimarginal_graph_f32)
DEBLAI_DECLARE_LEVELS(multimarginal::GraphKernels<double>, multimarginal_graph_f64)

namespace deblai::multimarginal {
namespace {

constexpr const Kernels<float>* pairs_f32[] = DEBLAI_LEVELS(multimarginal_f32);
constexpr const Kernels<double>* pairs_f64[] = DEBLAI_LEVELS(multimarginal_f64);
constexpr const GraphKernels<float>* tables_f32[] = DEBLAI_LEVELS(multimarginal_graph_f32);
constexpr const GraphKernels<double>* tables_f64[] = DEBLAI_LEVELS(multimarginal_graph_f64);

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

template <>
Instructions<float> instructions(const char* simd) {
    return {pick(pairs_f32, simd), pick(tables_f32, simd)};
}
template <>
Instructions<double> instructions(const char* simd) {
    return {pick(pairs_f64, simd), pick(tables_f64, simd)};
}

template <class T, class S>
Algebra<T, S>::Algebra(const Problem<S>& problem, double scale, Semiring semiring, int width, const char* simd,
                       Team& team)
    : problem_(problem),
      scale_(scale),
      semiring_(semiring),
      width_(width),
      instructions_(instructions<T>(simd)),
      team_(team),
      sizes_(problem.n_marginals),
      points_(problem.n_marginals) {
    index_t longest = 0;
    for (int p = 0; p < problem.n_marginals; ++p) {
        sizes_[p] = problem.marginals[p].size;
        longest = std::max(longest, padded_size(p));
        fill(p);
    }
    require_costs();
    scratch_bytes_ = scratch_bytes(problem, width);
    scratch_ = allocate(scratch_bytes_ * team.size());
    lifted_.resize(longest);
}

template <class T, class S>
void Algebra<T, S>::fill(int p) {
    const Marginal<S>& m = problem_.marginals[p];
    if (problem_.costs || !m.points) return;
    require_finite(named("points", p).c_str(), m.points, team_);
    const index_t ld = padded_size(p);
    points_[p].assign(m.points.cols * ld, T(0));
    for (index_t i = 0; i < m.size; ++i)
        for (index_t k = 0; k < m.points.cols; ++k) points_[p][k * ld + i] = static_cast<T>(m.points(i, k));
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

template <class T, class S>
Scope Algebra<T, S>::scope_of(const Factor<T>& f) const {
    if (f.table) return f.table->scope;
    return {problem_.edges[f.edge].p, problem_.edges[f.edge].q};
}

template <class T, class S>
Factors<T> Algebra<T, S>::reduce(Factors<T> list, const Scope& keep) {
    std::vector<Scope> scopes;
    for (const auto& f : list) scopes.push_back(scope_of(f));
    for (const Step& step : steps(scopes, keep, sizes_)) {
        if (team_.stopped()) return {};
        Factor<T> result = eliminate(step, list);
        for (const int k : step.used) list[k] = {};
        list.push_back(std::move(result));
    }
    std::erase_if(list, [](const Factor<T>& f) { return !f.table && f.edge < 0; });
    return list;
}

template <class T, class S>
Factor<T> Algebra<T, S>::eliminate(const Step& step, const Factors<T>& list) {
    const auto out = std::make_shared<Table<T>>();
    Factors<T> used, wide;
    for (const int k : step.used) used.push_back(list[k]);
    out->scope = step.scope;
    out->offset = lift(step.variable, used);
    for (const auto& f : used)
        if (!f.table || f.table->scope.size() > 1) wide.push_back(f);
    if (step.scope.empty()) {
        double sum = 0;
        for (index_t k = 0; k < sizes_[step.variable]; ++k) sum += std::exp(static_cast<double>(lifted_[k]));
        if (semiring_ == Semiring::sum) out->offset += std::log(sum);
    } else if (step.scope.size() == 1) {
        to_line(step, wide, *out);
    } else {
        to_table(step, wide, *out);
    }
    return {out};
}

// The lines of a variable, padded and at most 0, into lifted_; returns the offsets of all factors with the line's top.
template <class T, class S>
double Algebra<T, S>::lift(int variable, const Factors<T>& used) {
    std::vector<double> sum(sizes_[variable], 0.0);
    double offset = 0;
    for (const auto& f : used) {
        if (!f.table) continue;
        offset += f.table->offset;
        if (f.table->scope.size() == 1)
            for (std::size_t k = 0; k < sum.size(); ++k) sum[k] += f.table->line[k];
    }
    const double top = *std::max_element(sum.begin(), sum.end());
    for (std::size_t k = 0; k < sum.size(); ++k) lifted_[k] = static_cast<T>(top > -infinity ? sum[k] - top : sum[k]);
    std::fill(lifted_.begin() + sum.size(), lifted_.begin() + padded_size(variable),
              -std::numeric_limits<T>::infinity());
    return offset + top;
}

// One other variable: its rows are streamed, nothing of them is stored.
template <class T, class S>
void Algebra<T, S>::to_line(const Step& step, const Factors<T>& used, Table<T>& out) {
    const int a = step.scope[0], r = step.variable;
    const index_t n = sizes_[a], m = sizes_[r], ld = padded_size(r);
    out.line.resize(n);
    const double base = out.offset;
    out.offset = 0;
    const auto run = [&](index_t task, int worker) {
        const Scratch s = scratch(worker);
        const Range rows{a, task * strip_rows, std::min(strip_rows, n - task * strip_rows)};
        LogSum total[strip_rows];
        for (index_t j = 0; j < ld; j += strip_cols) {
            const index_t width = std::min(strip_cols, ld - j), count = std::min(width, m - j);
            add_all(used, rows, {r, j, count}, nullptr, s, s.strip, strip_cols);
            for (index_t i = 0; i < rows.count; ++i) {
                T* const row = s.strip + i * strip_cols;
                std::fill(row + count, row + width, -std::numeric_limits<T>::infinity());
                if (semiring_ == Semiring::sum) {
                    const Scaled part = instructions_.pairs.sum(row, lifted_.data() + j, width);
                    total[i].add(part.top, part.sum);
                } else {
                    total[i].top =
                        std::max<double>(total[i].top, instructions_.tables.top(row, lifted_.data() + j, width));
                }
            }
        }
        for (index_t i = 0; i < rows.count; ++i)
            out.line[rows.begin + i] = base + (semiring_ == Semiring::sum ? total[i].value() : total[i].top);
    };
    team_.run((n + strip_rows - 1) / strip_rows, run, 2.0 * static_cast<double>(n) * static_cast<double>(m));
}

template <class T, class S>
typename Algebra<T, S>::Roles Algebra<T, S>::roles(const Step& step, const Factors<T>& used) const {
    Roles best{-1, -1, {}, true};
    double most = -1;
    for (const int a : step.scope)
        for (const int b : step.scope) {
            if (b <= a) continue;
            const bool coupled = std::any_of(used.begin(), used.end(), [&](const Factor<T>& f) {
                const Scope s = scope_of(f);
                return contains(s, a) && contains(s, b);
            });
            const double size = product({a, b}, sizes_);
            if (coupled > best.coupled || (coupled == best.coupled && size <= most)) continue;
            best = {a, b, {}, coupled};
            most = size;
        }
    for (const int v : step.scope)
        if (v != best.a && v != best.b) best.fixed.push_back(v);
    return best;
}

// More than one: products of blocks, for each tuple of those that are neither rows nor columns.
template <class T, class S>
void Algebra<T, S>::to_table(const Step& step, const Factors<T>& used, Table<T>& out) {
    const Roles r = roles(step, used);
    std::vector<Factors<T>> parts(4);  // with neither rows nor columns, with rows, with columns, with both
    for (const auto& f : used) {
        const Scope s = scope_of(f);
        parts[contains(s, r.a) + 2 * contains(s, r.b)].push_back(f);
    }
    const index_t n = sizes_[r.a], m = sizes_[r.b];
    const index_t blocks_a = (n + tile_rows - 1) / tile_rows, blocks_b = (m + tile_cols - 1) / tile_cols;
    const double entries = product(step.scope, sizes_);
    const index_t size = static_cast<index_t>(entries);
    out.memory = allocate(size * sizeof(T));
    T* const values = out.values();
    std::vector<T> tops(team_.size(), -std::numeric_limits<T>::infinity());
    const auto run = [&](index_t task, int worker) {
        const Scratch s = scratch(worker);
        const Range cols{r.b, task % blocks_b * tile_cols, std::min(tile_cols, m - task % blocks_b * tile_cols)};
        task /= blocks_b;
        const Range rows{r.a, task % blocks_a * tile_rows, std::min(tile_rows, n - task % blocks_a * tile_rows)};
        task /= blocks_a;
        for (const int v : r.fixed) {
            s.at[v] = task % sizes_[v];
            task /= sizes_[v];
        }
        tile(r, rows, cols, step.variable, parts, s);
        index_t base = 0, stride = 1, row_stride = 1, col_stride = 1;
        for (auto v = step.scope.rbegin(); v != step.scope.rend(); stride *= sizes_[*v++]) {
            if (*v == r.a)
                row_stride = stride;
            else if (*v == r.b)
                col_stride = stride;
            else
                base += s.at[*v] * stride;
        }
        T top = tops[worker];
        for (index_t i = 0; i < rows.count; ++i)
            for (index_t j = 0; j < cols.count; ++j) {
                const T found = s.out[i * tile_cols + j];
                values[base + (rows.begin + i) * row_stride + (cols.begin + j) * col_stride] = found;
                top = std::max(top, found);
            }
        tops[worker] = top;
    };
    team_.run(size / (n * m) * blocks_a * blocks_b, run, 0.2 * entries * static_cast<double>(sizes_[step.variable]));

    const T top = *std::max_element(tops.begin(), tops.end());
    if (team_.stopped() || !(top > -std::numeric_limits<T>::infinity())) return;
    constexpr index_t stretch = 1 << 16;
    const auto lower = [&](index_t task, int) {
        for (index_t k = task * stretch; k < std::min(size, (task + 1) * stretch); ++k) values[k] -= top;
    };
    team_.run((size + stretch - 1) / stretch, lower, 0.5 * entries);
    out.offset += static_cast<double>(top);
}

template <class T, class S>
void Algebra<T, S>::tile(const Roles& roles, Range rows, Range cols, int variable, const std::vector<Factors<T>>& parts,
                         const Scratch& s) const {
    constexpr T none = -std::numeric_limits<T>::infinity();
    const index_t n = sizes_[variable], ld = padded_size(variable);
    const Range inner{variable, 0, n};
    const T* lines = lifted_.data();
    if (!parts[0].empty()) {
        add_all(parts[0], {-1, 0, 1}, inner, s.at, s, s.inner, ld);
        for (index_t k = 0; k < n; ++k) s.inner[k] += lines[k];
        lines = s.inner;
    }
    add_all(parts[1], rows, inner, s.at, s, s.left, ld);
    for (index_t i = 0; i < rows.count; ++i) {
        T* const left = s.left + i * ld;
        for (index_t k = 0; k < n; ++k) left[k] += lines[k];
        std::fill(left + n, left + ld, none);
    }
    add_all(parts[2], inner, cols, s.at, s, s.right, tile_cols);
    const index_t whole = padded<T>(cols.count);
    for (index_t k = 0; k < n; ++k)
        std::fill(s.right + k * tile_cols + cols.count, s.right + k * tile_cols + whole, none);
    Tile<T> t{rows.count, whole, n, ld, s.left, s.right, s.lift, s.share, s.packed_left, s.packed_right, s.out};
    const GraphKernels<T>& kernel = instructions_.tables;
    if (!roles.coupled) {
        (semiring_ == Semiring::sum ? kernel.product : kernel.largest)(t);
        return;
    }
    t.rows = 1;
    t.right = s.coupled;
    for (index_t i = 0; i < rows.count; ++i, t.left += ld, t.out += tile_cols) {
        s.at[roles.a] = rows.begin + i;
        std::copy(s.right, s.right + n * tile_cols, s.coupled);
        for (const auto& f : parts[3]) add(f, inner, cols, s.at, false, s, s.coupled, tile_cols);
        (semiring_ == Semiring::sum ? kernel.sums : kernel.largest)(t);
    }
}

// Sets out to the sum of factors; edges go first.
template <class T, class S>
void Algebra<T, S>::add_all(const Factors<T>& list, Range rows, Range cols, const index_t* at, const Scratch& s, T* out,
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
void Algebra<T, S>::add(const Factor<T>& f, Range rows, Range cols, const index_t* at, bool fresh, const Scratch& s,
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
            f.table->values() + base, row_stride, col_stride, rows.count, cols.count, [](T v) { return v; }, out, ld);
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
std::vector<double> Algebra<T, S>::line(const Factors<T>& list, int p) const {
    std::vector<double> sum(sizes_[p], 0.0);
    for (const auto& f : list)
        if (f.table && f.table->scope == Scope{p})
            for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += f.table->line[i];
    return sum;
}

template <class T, class S>
double Algebra<T, S>::constant(const Factors<T>& list) const {
    double sum = 0;
    for (const auto& f : list)
        if (f.table) sum += f.table->offset;
    return sum;
}

template <class T, class S>
void Algebra<T, S>::edge_row(int edge, int p, index_t i, int q, int worker, T* out) const {
    add({nullptr, edge}, {p, i, 1}, {q, 0, sizes_[q]}, nullptr, true, scratch(worker), out, padded_size(q));
    std::fill(out + sizes_[q], out + padded_size(q), -std::numeric_limits<T>::infinity());
}

template <class T, class S>
void Algebra<T, S>::add_tables(const Factors<T>& list, int p, index_t i, int q, T* out) const {
    for (const auto& f : list) {
        if (!f.table || f.table->scope.size() != 2) continue;
        const bool ahead = p < q;
        const T* const values = f.table->values();
        for (index_t j = 0; j < sizes_[q]; ++j) out[j] += ahead ? values[i * sizes_[q] + j] : values[j * sizes_[p] + i];
    }
}

template <class T, class S>
void Algebra<T, S>::add_at(const Factor<T>& f, int v, const index_t* at, std::vector<double>& to) const {
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
    s.spare[0] = take(longest, T{});
    s.spare[1] = take(longest, T{});
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
        bytes += sizeof(index_t) + sizeof(std::vector<T>) +
                 (problem.costs ? 0 : problem.marginals[p].points.cols * ld * sizeof(T));
    }
    return bytes + longest * (sizeof(T) + sizeof(double));  // lifted lines, and their sum
}

template class Algebra<float, float>;
template class Algebra<double, double>;
template class Algebra<double, float>;

}  // namespace deblai::multimarginal
