// What is asked for edge by edge, once their numbers are known: the polygons, and the density along their edges.
#include <atomic>

#include "laguerre-run.hpp"

namespace deblai::laguerre {
namespace {

constexpr const char* sums_wanted = "offsets: expected n + 1 running sums of the cells' counts";

void require(bool ok, const char* message) {
    if (!ok) throw InvalidValue(std::string("[quantization.laguerre] ") + message);
}

// Calls use(place, k, row, cell, scratch) for edge k of every cell that has edges; returns the number of cells done.
template <class T, class Use>
index_t each_edge(Run<T>& run, const Vector<const std::int64_t>& offsets, const Use& use) {
    std::atomic<index_t> done{0}, wrong{0};
    const index_t total = offsets(offsets.size - 1);
    const auto wanted = [&](index_t i) { return offsets(i) != offsets(i + 1); };
    run.each(false, wanted, [&](index_t, index_t place, const Cell& cell, const Scratch& scratch) {
        done.fetch_add(1, std::memory_order_relaxed);
        const index_t i = run.scene().id[place], begin = offsets(i);
        if (begin < 0 || begin + cell.size != offsets(i + 1) || offsets(i + 1) > total) {
            wrong.store(1, std::memory_order_relaxed);
            return;
        }
        for (int k = 0; k < cell.size; ++k) use(place, k, begin + k, cell, scratch);
    });
    require(wrong.load() == 0, "offsets: expected the counts of the same problem");
    return done.load();
}

}  // namespace

template <class T>
index_t polygons(const Problem<T>& q, Vector<const std::int64_t> offsets, Matrix<T> vertices,
                 Vector<std::int64_t> neighbours, const Control& control) {
    require_shapes(q);
    require(offsets.size == q.sites.rows + 1 && offsets(0) == 0, sums_wanted);
    require(vertices.rows == offsets(q.sites.rows) && vertices.cols == 2 && neighbours.size == vertices.rows,
            "vertices: expected as many rows as the last offset says");
    Run<T> run(q, control, false);
    return each_edge(run, offsets, [&](index_t place, int k, index_t row, const Cell&, const Scratch& p) {
        const index_t i = run.scene().id[place], other = p.label[k];
        vertices(row, 0) = static_cast<T>(static_cast<double>(q.sites(i, 0)) + p.x[k]);
        vertices(row, 1) = static_cast<T>(static_cast<double>(q.sites(i, 1)) + p.y[k]);
        neighbours(row) = other < 0 ? -1 : run.scene().id[owner(run.scene(), other)];
    });
}

template <class T>
void require_rows(const Facets<T>& out, index_t total) {
    const auto fits = [&](const Matrix<T>& m, index_t cols) { return !m || (m.rows == total && m.cols == cols); };
    require((!out.mass || out.mass.size == total) && fits(out.first, 2) && fits(out.second, 4) && fits(out.offset, 2) &&
                (!out.neighbours || out.neighbours.size == total),
            "facets: expected as many rows as the last offset says");
}

template <class T>
index_t facets(const Problem<T>& q, Vector<const std::int64_t> offsets, const Facets<T>& out, const Control& control) {
    require_shapes(q);
    require(offsets.size == q.sites.rows + 1 && offsets(0) == 0, sums_wanted);
    require_rows(out, offsets(q.sites.rows));
    Run<T> run(q, control, true);
    const Scene& scene = run.scene();
    return each_edge(run, offsets, [&](index_t place, int k, index_t row, const Cell& cell, const Scratch& p) {
        const Leaf& leaf = scene.leaf[place / lanes];
        const int l = k + 1 < cell.size ? k + 1 : 0;
        const Point a{p.x[k], p.y[k]}, b{p.x[l], p.y[l]};
        const FacetMoments m = SceneFacet(scene, leaf.x[place % lanes], leaf.y[place % lanes]).along(a, b);
        const Point d = p.label[k] < 0 ? Point{0, 0} : across(scene, place, p.label[k], a, b);
        out.write(row, m, d);
        if (out.neighbours) out.neighbours(row) = p.label[k] < 0 ? -1 : scene.id[owner(scene, p.label[k])];
    });
}

#define DEBLAI_INSTANTIATE(T)                                                                                 \
    template index_t polygons(const Problem<T>&, Vector<const std::int64_t>, Matrix<T>, Vector<std::int64_t>, \
                              const Control&);                                                                \
    template void require_rows(const Facets<T>&, index_t);                                                    \
    template index_t facets(const Problem<T>&, Vector<const std::int64_t>, const Facets<T>&, const Control&);
DEBLAI_INSTANTIATE(float)
DEBLAI_INSTANTIATE(double)

}  // namespace deblai::laguerre
