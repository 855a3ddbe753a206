#include "graph-algebra.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "levels.hpp"
#include "multimarginal/complete/multimarginal-sums.hpp"

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
    : GraphAlgebra(sizes_of(problem), {problem.edges, problem.edges + problem.edge_count}, semiring),
      problem_(problem),
      scale_(scale),
      width_(width),
      instructions_(instructions<T>(simd)),
      team_(team),
      points_(problem.n_marginals),
      exact_(team.size(), 0) {
    index_t longest = 0;
    for (int p = 0; p < problem.n_marginals; ++p) {
        longest = std::max(longest, padded_size(p));
        fill(p);
    }
    require_costs();
    scratch_bytes_ = scratch_bytes(problem, width);
    scratch_ = allocate(scratch_bytes_ * team.size());
    lifted_.resize(longest);
}

template <class T, class S>
index_t Algebra<T, S>::exact() const {
    return std::accumulate(exact_.begin(), exact_.end(), index_t{0});
}

// The lines of a variable, padded.
template <class T, class S>
void Algebra<T, S>::lift(int variable, const std::vector<double>& lifted) {
    for (std::size_t k = 0; k < lifted.size(); ++k) lifted_[k] = static_cast<T>(lifted[k]);
    std::fill(lifted_.begin() + sizes_[variable], lifted_.begin() + padded_size(variable),
              -std::numeric_limits<T>::infinity());
}

// One other variable: its rows are streamed, nothing of them is stored.
template <class T, class S>
void Algebra<T, S>::to_line(const Step& step, const Factors& used, const std::vector<double>& lifted, Table& out) {
    lift(step.variable, lifted);
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

// More than one: products of blocks, for each tuple of those that are neither rows nor columns.
template <class T, class S>
void Algebra<T, S>::to_table(const Step& step, const Factors& used, const std::vector<double>& lifted, Table& out) {
    lift(step.variable, lifted);
    const Roles r = roles(step, used);
    std::vector<Factors> parts(4);  // with neither rows nor columns, with rows, with columns, with both
    for (const auto& f : used) {
        const Scope s = scope_of(f);
        parts[contains(s, r.a) + 2 * contains(s, r.b)].push_back(f);
    }
    const index_t n = sizes_[r.a], m = sizes_[r.b];
    const index_t blocks_a = (n + tile_rows - 1) / tile_rows, blocks_b = (m + tile_cols - 1) / tile_cols;
    const double entries = product(step.scope, sizes_);
    const index_t size = static_cast<index_t>(entries);
    out.memory = std::shared_ptr<std::byte[]>(allocate(size * sizeof(T)));
    T* const values = out.values<T>();
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
        exact_[worker] += tile(r, rows, cols, step.variable, parts, s);
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
index_t Algebra<T, S>::tile(const Roles& roles, Range rows, Range cols, int variable, const std::vector<Factors>& parts,
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
    const bool sum = semiring_ == Semiring::sum;
    if (!roles.coupled) {
        if (sum) return kernel.product(t);
        kernel.largest(t);
        return 0;
    }
    t.rows = 1;
    t.right = s.coupled;
    for (index_t i = 0; i < rows.count; ++i, t.left += ld, t.out += tile_cols) {
        s.at[roles.a] = rows.begin + i;
        std::copy(s.right, s.right + n * tile_cols, s.coupled);
        for (const auto& f : parts[3]) add(f, inner, cols, s.at, false, s, s.coupled, tile_cols);
        (sum ? kernel.sums : kernel.largest)(t);
    }
    return 0;
}

template class Algebra<float, float>;
template class Algebra<double, double>;
template class Algebra<double, float>;

}  // namespace deblai::multimarginal
