// Levels of smoothed aggregation over a graph Laplacian, and their V-cycle. Smoothing is by Gauss and Seidel within
// tasks of rows and by Jacobi across them, so that it converges for M-matrices and does not depend on the number of
// threads.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "deblai/parallel.hpp"
#include "deblai/view.hpp"

namespace deblai::laplacian {
namespace {

using Index = std::int32_t;
using Numbers = std::vector<double>;

constexpr index_t row_task = 4096;
constexpr index_t coarsest = 64;
constexpr int most_levels = 24;
constexpr double never = 1e150;
constexpr double weak = 0.15;     // of the largest entry of either row
constexpr double damping = 0.75;  // of prolongation

index_t tasks(index_t n) { return (n + row_task - 1) / row_task; }

struct Matrix {
    index_t rows = 0, cols = 0;
    std::vector<index_t> begin;
    std::vector<Index> col;
    Numbers value;
};

class Rows {
public:
    explicit Rows(Team& team) : team_(team) {}

    template <class F>
    void each(index_t n, const F& f) {
        team_.run(
            tasks(n),
            [&](index_t task, int) {
                const index_t end = std::min(n, (task + 1) * row_task);
                for (index_t i = task * row_task; i < end; ++i) f(i);
            },
            8.0 * static_cast<double>(n));
    }
    template <class F>
    void each_task(index_t n, const F& f) {
        team_.run(
            tasks(n), [&](index_t task, int) { f(task * row_task, std::min(n, (task + 1) * row_task)); },
            16.0 * static_cast<double>(n));
    }
    // Sums f over all rows, task by task in order.
    template <class F>
    double sum(index_t n, const F& f) {
        Numbers parts(tasks(n));
        team_.run(
            tasks(n),
            [&](index_t task, int) {
                const index_t end = std::min(n, (task + 1) * row_task);
                double s = 0;
                for (index_t i = task * row_task; i < end; ++i) s += f(i);
                parts[task] = s;
            },
            4.0 * static_cast<double>(n));
        double all = 0;
        for (double s : parts) all += s;
        return all;
    }
    // Rows that fill(i, emit) emits as (column, value); those of one column add up.
    template <class F>
    Matrix build(index_t rows, index_t cols, const F& fill) {
        Matrix m;
        m.rows = rows, m.cols = cols;
        m.begin.assign(rows + 1, 0);
        std::vector<std::vector<Index>> col(tasks(rows));
        std::vector<Numbers> value(tasks(rows));
        std::vector<std::vector<Index>> seen(team_.size());
        team_.run(tasks(rows), [&](index_t task, int worker) {
            std::vector<Index>& at = seen[worker];
            if (at.empty()) at.assign(cols, -1);
            std::vector<Index>& c = col[task];
            Numbers& v = value[task];
            const index_t end = std::min(rows, (task + 1) * row_task);
            for (index_t i = task * row_task; i < end; ++i) {
                const std::size_t first = c.size();
                fill(i, [&](Index k, double w) {
                    if (at[k] < 0) {
                        at[k] = static_cast<Index>(c.size());
                        c.push_back(k);
                        v.push_back(w);
                    } else {
                        v[at[k]] += w;
                    }
                });
                for (std::size_t e = first; e < c.size(); ++e) at[c[e]] = -1;
                m.begin[i + 1] = static_cast<index_t>(c.size() - first);
            }
        });
        for (index_t i = 0; i < rows; ++i) m.begin[i + 1] += m.begin[i];
        m.col.resize(m.begin[rows]);
        m.value.resize(m.begin[rows]);
        team_.run(tasks(rows), [&](index_t task, int) {
            std::copy(col[task].begin(), col[task].end(), m.col.begin() + m.begin[task * row_task]);
            std::copy(value[task].begin(), value[task].end(), m.value.begin() + m.begin[task * row_task]);
        });
        return m;
    }
    Team& team() { return team_; }

private:
    Team& team_;
};

double dot(const Matrix& m, index_t begin, index_t end, const Numbers& x) {
    double s = 0, t = 0;
    index_t e = begin;
    for (; e + 1 < end; e += 2) {
        s += m.value[e] * x[m.col[e]];
        t += m.value[e + 1] * x[m.col[e + 1]];
    }
    if (e < end) s += m.value[e] * x[m.col[e]];
    return s + t;
}
double dot(const Matrix& m, index_t i, const Numbers& x) { return dot(m, m.begin[i], m.begin[i + 1], x); }

Matrix transposed(const Matrix& m) {
    Matrix t;
    t.rows = m.cols, t.cols = m.rows;
    t.begin.assign(t.rows + 1, 0);
    for (Index k : m.col) ++t.begin[k + 1];
    for (index_t k = 0; k < t.rows; ++k) t.begin[k + 1] += t.begin[k];
    t.col.resize(m.col.size());
    t.value.resize(m.col.size());
    std::vector<index_t> at(t.begin.begin(), t.begin.end() - 1);
    for (index_t i = 0; i < m.rows; ++i)
        for (index_t e = m.begin[i]; e < m.begin[i + 1]; ++e) {
            const index_t to = at[m.col[e]]++;
            t.col[to] = static_cast<Index>(i);
            t.value[to] = m.value[e];
        }
    return t;
}

// A symmetric matrix: its diagonal, and what is off it, in each row at first what the sweep down a task has met before.
struct Level {
    Matrix a, prolong, restrict_;
    std::vector<index_t> split;
    Numbers diagonal, inverse, x, y, r, b;

    double row(index_t i, const Numbers& v) const { return diagonal[i] * v[i] + dot(a, i, v); }
};

// Neighbourhoods of roots, then what touches one, then what is left (Vanek's three passes, the third as singletons'
// neighbourhoods). Returns their number.
index_t aggregate(const Level& l, std::vector<Index>& label) {
    const Matrix& a = l.a;
    label.assign(a.rows, -1);
    Numbers most(a.rows, 0);
    for (index_t i = 0; i < a.rows; ++i)
        for (index_t e = a.begin[i]; e < a.begin[i + 1]; ++e) most[i] = std::max(most[i], -a.value[e]);
    const auto strong = [&](index_t i, index_t e) {
        const Index k = a.col[e];
        return -a.value[e] > weak * std::max(most[i], most[k]);
    };
    index_t count = 0;
    for (index_t i = 0; i < a.rows; ++i) {
        bool free = label[i] < 0;
        for (index_t e = a.begin[i]; free && e < a.begin[i + 1]; ++e) free = !strong(i, e) || label[a.col[e]] < 0;
        if (!free) continue;
        label[i] = static_cast<Index>(count);
        for (index_t e = a.begin[i]; e < a.begin[i + 1]; ++e)
            if (strong(i, e)) label[a.col[e]] = static_cast<Index>(count);
        ++count;
    }
    const std::vector<Index> first = label;
    for (index_t i = 0; i < a.rows; ++i) {
        if (label[i] >= 0) continue;
        double most = 0;
        for (index_t e = a.begin[i]; e < a.begin[i + 1]; ++e)
            if (strong(i, e) && first[a.col[e]] >= 0 && -a.value[e] > most)
                most = -a.value[e], label[i] = first[a.col[e]];
    }
    for (index_t i = 0; i < a.rows; ++i) {
        if (label[i] >= 0) continue;
        label[i] = static_cast<Index>(count++);
        for (index_t e = a.begin[i]; e < a.begin[i + 1]; ++e)
            if (strong(i, e) && label[a.col[e]] < 0) label[a.col[e]] = label[i];
    }
    return count;
}

class Hierarchy {
public:
    // Takes the matrix of a finest level, diagonals among its entries; keeps the levels below those of another one
    // where there are any and none are asked for.
    void set(Matrix a, bool renew, Rows& rows) {
        if (levels_.empty() || renew) {
            levels_.clear();
            factor_.clear();
            for (;;) {
                Level& l = levels_.emplace_back();
                take(l, std::move(a), rows);
                if (l.a.rows <= coarsest || static_cast<int>(levels_.size()) == most_levels || !coarsen(l, a, rows))
                    break;
            }
            factorize();
        } else {
            take(levels_.front(), std::move(a), rows);
            if (levels_.size() == 1) factorize();
        }
    }

    int size() const { return static_cast<int>(levels_.size()); }
    Level& finest() { return levels_.front(); }

    // x = an approximate solution of the finest level's b: one symmetric V-cycle.
    void cycle(Rows& rows, std::size_t at = 0) {
        Level& l = levels_[at];
        const Matrix& a = l.a;
        const index_t n = a.rows;
        if (at + 1 == levels_.size()) return bottom(l);
        rows.each_task(n, [&](index_t begin, index_t end) {
            for (index_t i = begin; i < end; ++i)
                l.x[i] = l.inverse[i] * (l.b[i] - dot(a, a.begin[i], l.split[i], l.x));
        });
        // (D + L) x = b within the task: what is left is the rest of the row
        rows.each(n, [&](index_t i) { l.r[i] = -dot(a, l.split[i], a.begin[i + 1], l.x); });
        Level& below = levels_[at + 1];
        rows.each(below.a.rows, [&](index_t i) { below.b[i] = dot(l.restrict_, i, l.r); });
        cycle(rows, at + 1);
        rows.each(n, [&](index_t i) { l.y[i] = l.x[i] += dot(l.prolong, i, below.x); });
        rows.each_task(n, [&](index_t begin, index_t end) {
            for (index_t i = end - 1; i >= begin; --i) {
                double s = l.b[i];
                for (index_t e = a.begin[i]; e < a.begin[i + 1]; ++e) {
                    const Index k = a.col[e];
                    const Numbers& from = k >= begin && k < end ? l.x : l.y;
                    s -= a.value[e] * from[k];
                }
                l.x[i] = l.inverse[i] * s;
            }
        });
    }

private:
    void take(Level& l, Matrix a, Rows& rows) {
        l.a = std::move(a);
        const index_t n = l.a.rows;
        for (Numbers* v : {&l.diagonal, &l.inverse, &l.x, &l.y, &l.r, &l.b}) v->assign(n, 0);
        l.split.resize(n);
        // Rows without their diagonals, in place.
        std::vector<index_t> shift(n + 1, 0);
        rows.each_task(n, [&](index_t begin, index_t end) {
            for (index_t i = begin; i < end; ++i) {
                const index_t first = l.a.begin[i], last = l.a.begin[i + 1];
                index_t lower = first;
                for (index_t e = first; e < last; ++e) {
                    if (l.a.col[e] >= begin && l.a.col[e] < i) swap(l.a, lower++, e);
                }
                index_t on = last;
                for (index_t e = lower; e < last; ++e)
                    if (l.a.col[e] == i) l.diagonal[i] += l.a.value[on = e];
                if (on < last) swap(l.a, on, last - 1);
                l.split[i] = lower;
                shift[i + 1] = on < last;
                l.inverse[i] = l.diagonal[i] > 0 ? 1 / l.diagonal[i] : 0.0;
            }
        });
        index_t to = 0;
        for (index_t i = 0; i < n; ++i) {
            const index_t first = l.a.begin[i], last = l.a.begin[i + 1] - shift[i + 1];
            l.split[i] += to - first;
            l.a.begin[i] = to;
            for (index_t e = first; e < last; ++e, ++to) l.a.col[to] = l.a.col[e], l.a.value[to] = l.a.value[e];
        }
        l.a.begin[n] = to;
        l.a.col.resize(to), l.a.value.resize(to);
    }

    static void swap(Matrix& m, index_t e, index_t f) {
        std::swap(m.col[e], m.col[f]);
        std::swap(m.value[e], m.value[f]);
    }

    bool coarsen(Level& l, Matrix& next, Rows& rows) {
        std::vector<Index> label;
        const index_t count = aggregate(l, label), n = l.a.rows;
        if (count > n * 4 / 5) return false;
        const Matrix& a = l.a;
        l.prolong = rows.build(n, count, [&](index_t i, const auto& emit) {
            emit(label[i], l.diagonal[i] > 0 ? 1 - damping : 1.0);
            for (index_t e = a.begin[i]; e < a.begin[i + 1]; ++e)
                emit(label[a.col[e]], -damping * l.inverse[i] * a.value[e]);
        });
        l.restrict_ = transposed(l.prolong);
        const Matrix &p = l.prolong, &r = l.restrict_;
        const auto add = [&](index_t k, double v, const auto& emit) {
            for (index_t f = p.begin[k]; f < p.begin[k + 1]; ++f) emit(p.col[f], v * p.value[f]);
        };
        const Matrix ap = rows.build(n, count, [&](index_t i, const auto& emit) {
            add(i, l.diagonal[i], emit);
            for (index_t e = a.begin[i]; e < a.begin[i + 1]; ++e) add(a.col[e], a.value[e], emit);
        });
        next = rows.build(count, count, [&](index_t i, const auto& emit) {
            for (index_t e = r.begin[i]; e < r.begin[i + 1]; ++e)
                for (index_t f = ap.begin[r.col[e]]; f < ap.begin[r.col[e] + 1]; ++f)
                    emit(ap.col[f], r.value[e] * ap.value[f]);
        });
        return true;
    }

    // Cholesky's factor of the last level, whose constants are lifted; none where it is too large.
    void factorize() {
        const Level& l = levels_.back();
        const index_t n = l.a.rows;
        if (n > 8 * coarsest) return;
        double top = 0;
        for (double d : l.diagonal) top = std::max(top, d);
        if (!(top > 0)) return;
        factor_.assign(n * n, top / static_cast<double>(n));
        for (index_t i = 0; i < n; ++i) {
            factor_[i * n + i] += l.diagonal[i];
            for (index_t e = l.a.begin[i]; e < l.a.begin[i + 1]; ++e) factor_[i * n + l.a.col[e]] += l.a.value[e];
        }
        for (index_t j = 0; j < n; ++j) {
            for (index_t k = 0; k < j; ++k)
                for (index_t i = j; i < n; ++i) factor_[i * n + j] -= factor_[i * n + k] * factor_[j * n + k];
            // What hangs on nothing is left alone.
            const bool loose = !(factor_[j * n + j] > 1e-12 * top);
            const double pivot = loose ? never : std::sqrt(factor_[j * n + j]);
            for (index_t i = j + 1; i < n; ++i) factor_[i * n + j] = loose ? 0.0 : factor_[i * n + j] / pivot;
            factor_[j * n + j] = pivot;
        }
    }

    void bottom(Level& l) {
        const index_t n = l.a.rows;
        if (factor_.empty()) {
            for (index_t i = 0; i < n; ++i) l.x[i] = l.inverse[i] * l.b[i];
            return;
        }
        for (index_t i = 0; i < n; ++i) {
            double s = l.b[i];
            for (index_t k = 0; k < i; ++k) s -= factor_[i * n + k] * l.x[k];
            l.x[i] = s / factor_[i * n + i];
        }
        for (index_t i = n - 1; i >= 0; --i) {
            double s = l.x[i];
            for (index_t k = i + 1; k < n; ++k) s -= factor_[k * n + i] * l.x[k];
            l.x[i] = s / factor_[i * n + i];
        }
    }

    std::vector<Level> levels_;
    Numbers factor_;
};

}  // namespace
}  // namespace deblai::laplacian
