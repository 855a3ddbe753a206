#include "deblai/laplacian.hpp"

#include "laplacian-levels.hpp"

namespace deblai::laplacian {

struct Levels::Kept {
    Hierarchy hierarchy;
};

Levels::Levels() : kept_(std::make_unique<Kept>()) {}
Levels::~Levels() = default;

Summary solve(const Problem& q, Vector<double> x, double rtol, int max_iter, const Control& control, Levels* levels,
              bool renew) {
    const index_t n = x.size;
    const auto require = [](bool ok) {
        if (!ok)
            throw InvalidValue("[laplacian] begin: expected n + 1 sums of rows that fit across, weight, rhs and x");
    };
    require(n > 0 && q.begin.size == n + 1 && q.rhs.size == n && q.begin(0) == 0);
    require(q.begin(n) <= q.across.size && q.across.size == q.weight.size);
    Team team(control, 200.0 * static_cast<double>(n));
    Rows rows(team);
    Levels own;
    Hierarchy& hierarchy = (levels ? levels : &own)->kept_->hierarchy;
    if (hierarchy.size() > 0 && hierarchy.finest().a.rows != n) renew = true;
    const auto fill = [&](index_t i, const auto& emit) {
        double degree = 0;
        for (index_t e = q.begin(i); e < q.begin(i + 1); ++e) degree += q.weight(e);
        emit(static_cast<Index>(i), degree);
        for (index_t e = q.begin(i); e < q.begin(i + 1); ++e) emit(q.across(e), -q.weight(e));
    };
    hierarchy.set(rows.build(n, n, fill), renew, rows);
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
        hierarchy.cycle(rows);
        centre(top.x);
        const double before = rho;
        rho = rows.sum(n, [&](index_t i) { return r[i] * top.x[i]; });
        if (!(rho > 0)) break;
        const double beta = iteration > 0 ? rho / before : 0.0;
        rows.each(n, [&](index_t i) { direction[i] = top.x[i] + beta * direction[i]; });
        rows.each(n, [&](index_t i) { along[i] = top.row(i, direction); });
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
