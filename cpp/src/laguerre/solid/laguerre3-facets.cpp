// What is asked for facet by facet, once their numbers are known: the polyhedra, and the density on their facets.
#include "laguerre3-facets.hpp"

namespace deblai::laguerre3 {

template <class T>
index_t polyhedra(const Problem<T>& q, const Polyhedra<T>& out, const Control& control) {
    require_shapes(q);
    const index_t n = q.sites.rows;
    const auto& begin = out.offsets;
    require_sums(begin, n);
    require(out.vertices.rows == begin(n, 0) && out.vertices.cols == 3 && out.neighbours.size == begin(n, 1) &&
                out.areas.size == begin(n, 1) && out.facet_offsets.size == begin(n, 1) + 1 &&
                out.corners.size == begin(n, 2),
            "vertices: expected as many rows as the last offset says");
    out.facet_offsets(0) = 0;
    Run<T> run(q, control, false);
    return each_polytope(run, begin, [&](index_t, index_t i, const Cell& cell, auto& worker) {
        const Scratch& m = worker.memory->view;
        const Polytope& p = worker.polytope;
        for (int v = 0; v < cell.size; ++v) {
            if (!p.leads(v)) continue;
            const double at[3] = {m.x[v], m.y[v], m.z[v]};
            for (int k = 0; k < 3; ++k)
                out.vertices(begin(i, 0) + p.number(v), k) = static_cast<T>(static_cast<double>(q.sites(i, k)) + at[k]);
        }
        for (std::size_t f = 0; f < p.facets().size(); ++f) {
            const Polytope::Facet& facet = p.facets()[f];
            const index_t row = begin(i, 1) + static_cast<index_t>(f);
            out.neighbours(row) = facet.label < 0 ? -1 : run.scene().id[owner(run.scene(), facet.label)];
            run.corners(worker, f);
            const Point3 area = twice_area(worker.ring.data(), static_cast<int>(worker.ring.size()));
            out.areas(row) = static_cast<T>(0.5 * std::sqrt(dot(area, area)));
            out.facet_offsets(row + 1) = begin(i, 2) + static_cast<index_t>(p.end(f));
        }
        for (std::size_t c = 0; c < p.corners().size(); ++c)
            out.corners(begin(i, 2) + static_cast<index_t>(c)) = begin(i, 0) + p.number(p.corners()[c]);
    });
}

template <class T>
index_t facets(const Problem<T>& q, Matrix<const std::int64_t> begin, const Facets<T>& out, const Control& control) {
    require_shapes(q);
    require_rows(q, begin, out);
    Run<T> run(q, control, true);
    const Scene& scene = run.scene();
    return each_polytope(run, begin, [&](index_t place, index_t i, const Cell&, auto& worker) {
        const Polytope& p = worker.polytope;
        const std::vector<Point3>& ring = worker.ring;
        for (std::size_t f = 0; f < p.facets().size(); ++f) {
            run.corners(worker, f);
            const int size = static_cast<int>(ring.size());
            const Point3 normal = normal_of(ring);
            const FacetMoments3 sum = run.integral(place, normal, worker);
            const std::int64_t label = p.facets()[f].label;
            const Point3 d = label < 0 ? Point3{0, 0, 0} : across(scene, place, label, ring.data(), size, normal);
            out.write(begin(i, 1) + static_cast<index_t>(f), label < 0 ? -1 : scene.id[owner(scene, label)], sum, d);
        }
    });
}

#define DEBLAI_INSTANTIATE(T)                                                           \
    template index_t polyhedra(const Problem<T>&, const Polyhedra<T>&, const Control&); \
    template index_t facets(const Problem<T>&, Matrix<const std::int64_t>, const Facets<T>&, const Control&);
DEBLAI_INSTANTIATE(float)
DEBLAI_INSTANTIATE(double)

}  // namespace deblai::laguerre3
