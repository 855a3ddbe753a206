// A pass over the polyhedra of cells whose numbers of vertices and facets are known.
#pragma once

#include <atomic>

#include "laguerre3-run.hpp"

namespace deblai::laguerre3 {
namespace {

// Throws unless these are the running sums of some counts.
inline void require_sums(const Matrix<const std::int64_t>& begin, index_t n) {
    require(begin.rows == n + 1 && begin.cols == 3, "offsets: expected shape (n + 1, 3)");
    for (int k = 0; k < 3; ++k) {
        require(begin(0, k) == 0, "offsets: expected running sums of the cells' counts");
        for (index_t i = 0; i < n; ++i)
            require(begin(i, k) <= begin(i + 1, k), "offsets: expected running sums of the cells' counts");
    }
}

// Calls use(place, site, cell, worker) for every cell that has vertices, its polytope read; returns how many were done.
template <class T, class Use>
index_t each_polytope(Run<T>& run, const Matrix<const std::int64_t>& begin, const Use& use) {
    std::atomic<index_t> done{0}, wrong{0};
    const auto wanted = [&](index_t i) { return begin(i, 0) != begin(i + 1, 0); };
    run.each(wanted, [&](index_t, index_t place, const Cell& cell, auto& worker) {
        done.fetch_add(1, std::memory_order_relaxed);
        const index_t i = run.scene().id[place];
        Polytope& p = worker.polytope;
        if (cell.size > 0) p.read(worker.memory->view, cell);
        const auto fits = [&](int k, std::size_t size) {
            return begin(i, k) + static_cast<index_t>(size) == begin(i + 1, k);
        };
        if (cell.size == 0 || !fits(0, p.vertices()) || !fits(1, p.facets().size()) || !fits(2, p.corners().size())) {
            wrong.store(1, std::memory_order_relaxed);
            return;
        }
        use(place, i, cell, worker);
    });
    require(wrong.load() == 0, "offsets: expected the counts of the same problem");
    return done.load();
}

// Throws unless the rows of facets are as many as the sums say.
template <class T>
void require_rows(const Problem<T>& q, const Matrix<const std::int64_t>& begin, const Facets<T>& out) {
    require_sums(begin, q.sites.rows);
    const index_t total = begin(q.sites.rows, 1);
    const auto fits = [&](const Matrix<T>& m, index_t cols) { return !m || (m.rows == total && m.cols == cols); };
    require((!out.neighbours || out.neighbours.size == total) && (!out.mass || out.mass.size == total) &&
                fits(out.first, 3) && fits(out.second, 9) && fits(out.offset, 3),
            "facets: expected as many rows as the last offset says");
}

// Of length 1, unless there is no area.
inline Point3 normal_of(const std::vector<Point3>& ring) {
    const Point3 area = twice_area(ring.data(), static_cast<int>(ring.size()));
    const double length = std::sqrt(dot(area, area));
    return length > 0 ? (1 / length) * area : area;
}

}  // namespace
}  // namespace deblai::laguerre3
