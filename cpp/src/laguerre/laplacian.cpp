#include "deblai/laplacian.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

namespace deblai::laplacian {
namespace {

using Index = std::int32_t;
using Numbers = std::vector<double>;

constexpr index_t row_task = 4096;
constexpr index_t coarsest = 64;
constexpr int most_levels = 24;
constexpr double never = 1e150;
constexpr double weak = 0.02;        // of the geometric mean of two diagonal entries
constexpr double damping = 2.0 / 3;  // the largest eigenvalue of D^-1 A is at most 2

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

double dot(const Matrix& m, index_t i, const Numbers& x) {
    double s = 0;
    for (index_t e = m.begin[i]; e < m.begin[i + 1]; ++e) s += m.value[e] * x[m.col[e]];
    return s;
}

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

struct Level {
    Matrix a, prolong, restrict_;
    Numbers diagonal, step, x, r, b;
};

// Neighbourhoods of roots, then what touches one, then what is left (Vanek's three passes, the third as singletons'
// neighbourhoods). Returns their number.
index_t aggregate(const Level& l, std::vector<Index>& label) {
    const Matrix& a = l.a;
    label.assign(a.rows, -1);
    const auto strong = [&](index_t i, index_t e) {
        const Index k = a.col[e];
        return k != i && -a.value[e] > weak * std::sqrt(l.diagonal[i] * l.diagonal[k]);
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
    Hierarchy(Matrix a, Rows& rows) : rows_(rows) {
        for (;;) {
            Level& l = levels_.emplace_back();
            l.a = std::move(a);
            const index_t n = l.a.rows;
            l.diagonal.assign(n, 0), l.step.assign(n, 0), l.x.assign(n, 0), l.r.assign(n, 0), l.b.assign(n, 0);
            rows_.each(n, [&](index_t i) {
                for (index_t e = l.a.begin[i]; e < l.a.begin[i + 1]; ++e)
                    if (l.a.col[e] == i) l.diagonal[i] += l.a.value[e];
                l.step[i] = l.diagonal[i] > 0 ? damping / l.diagonal[i] : 0.0;
            });
            if (n <= coarsest || static_cast<int>(levels_.size()) == most_levels || !coarsen(l, a)) break;
        }
        factorize();
    }

    int size() const { return static_cast<int>(levels_.size()); }
    Level& finest() { return levels_.front(); }

    // x = an approximate solution of the finest level's b: one symmetric V-cycle.
    void cycle(std::size_t at = 0) {
        Level& l = levels_[at];
        const index_t n = l.a.rows;
        if (at + 1 == levels_.size()) return bottom(l);
        rows_.each(n, [&](index_t i) { l.x[i] = l.step[i] * l.b[i]; });
        rows_.each(n, [&](index_t i) { l.r[i] = l.b[i] - dot(l.a, i, l.x); });
        Level& below = levels_[at + 1];
        rows_.each(below.a.rows, [&](index_t i) { below.b[i] = dot(l.restrict_, i, l.r); });
        cycle(at + 1);
        rows_.each(n, [&](index_t i) { l.x[i] += dot(l.prolong, i, below.x); });
        rows_.each(n, [&](index_t i) { l.r[i] = l.step[i] * (l.b[i] - dot(l.a, i, l.x)); });
        rows_.each(n, [&](index_t i) { l.x[i] += l.r[i]; });
    }

private:
    bool coarsen(Level& l, Matrix& next) {
        std::vector<Index> label;
        const index_t count = aggregate(l, label), n = l.a.rows;
        if (count > n * 4 / 5) return false;
        const Matrix& a = l.a;
        l.prolong = rows_.build(n, count, [&](index_t i, const auto& emit) {
            emit(label[i], 1.0);
            for (index_t e = a.begin[i]; e < a.begin[i + 1]; ++e) emit(label[a.col[e]], -l.step[i] * a.value[e]);
        });
        l.restrict_ = transposed(l.prolong);
        const Matrix &p = l.prolong, &r = l.restrict_;
        const Matrix ap = rows_.build(n, count, [&](index_t i, const auto& emit) {
            for (index_t e = a.begin[i]; e < a.begin[i + 1]; ++e)
                for (index_t f = p.begin[a.col[e]]; f < p.begin[a.col[e] + 1]; ++f)
                    emit(p.col[f], a.value[e] * p.value[f]);
        });
        next = rows_.build(count, count, [&](index_t i, const auto& emit) {
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
        for (index_t i = 0; i < n; ++i)
            for (index_t e = l.a.begin[i]; e < l.a.begin[i + 1]; ++e) factor_[i * n + l.a.col[e]] += l.a.value[e];
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
            for (index_t i = 0; i < n; ++i) l.x[i] = l.step[i] * l.b[i];
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

    Rows& rows_;
    std::vector<Level> levels_;
    Numbers factor_;
};

}  // namespace

Summary solve(const Problem& q, Vector<double> x, double rtol, int max_iter, const Control& control) {
    const index_t n = x.size;
    const auto require = [](bool ok) {
        if (!ok)
            throw InvalidValue("[laplacian] begin: expected n + 1 sums of rows that fit across, weight, rhs and x");
    };
    require(n > 0 && q.begin.size == n + 1 && q.rhs.size == n && q.begin(0) == 0);
    require(q.begin(n) <= q.across.size && q.across.size == q.weight.size);
    Team team(control, 200.0 * static_cast<double>(n));
    Rows rows(team);
    Hierarchy hierarchy(rows.build(n, n,
                                   [&](index_t i, const auto& emit) {
                                       double degree = 0;
                                       for (index_t e = q.begin(i); e < q.begin(i + 1); ++e) degree += q.weight(e);
                                       emit(static_cast<Index>(i), degree);
                                       for (index_t e = q.begin(i); e < q.begin(i + 1); ++e)
                                           emit(q.across(e), -q.weight(e));
                                   }),
                        rows);
    Level& top = hierarchy.finest();
    const auto centre = [&](Numbers& v) {
        const double mean = rows.sum(n, [&](index_t i) { return v[i]; }) / static_cast<double>(n);
        rows.each(n, [&](index_t i) { v[i] -= mean; });
    };
    Numbers solution(n), r(n), direction(n), along(n);
    rows.each(n, [&](index_t i) { r[i] = q.rhs(i); });
    centre(r);
    const auto norm2 = [&] { return rows.sum(n, [&](index_t i) { return r[i] * r[i]; }); };
    const double start = norm2();
    double now = start, rho = 1;
    int iteration = 0;
    for (; iteration < max_iter && now > rtol * rtol * start && !team.stopped(); ++iteration) {
        rows.each(n, [&](index_t i) { top.b[i] = r[i]; });
        hierarchy.cycle();
        centre(top.x);
        const double before = rho;
        rho = rows.sum(n, [&](index_t i) { return r[i] * top.x[i]; });
        if (!(rho > 0)) break;
        const double beta = iteration > 0 ? rho / before : 0.0;
        rows.each(n, [&](index_t i) { direction[i] = top.x[i] + beta * direction[i]; });
        rows.each(n, [&](index_t i) { along[i] = dot(top.a, i, direction); });
        const double alpha = rho / rows.sum(n, [&](index_t i) { return direction[i] * along[i]; });
        rows.each(n, [&](index_t i) {
            solution[i] += alpha * direction[i];
            r[i] -= alpha * along[i];
        });
        now = norm2();
    }
    centre(solution);
    for (index_t i = 0; i < n; ++i) x(i) = solution[i];
    return {iteration, hierarchy.size(), start > 0 ? std::sqrt(now / start) : 0.0};
}

}  // namespace deblai::laplacian
