// Powers of distances over cells of space: the edges of their facets.
#include <atomic>
#include <limits>

#include "../solid/laguerre3-facets.hpp"
#include "deblai/powers.hpp"
#include "powers-lines.hpp"
#include "powers-voxels.hpp"

namespace deblai::powers {
namespace {

using laguerre3::Polytope;
using laguerre3::Run;

// Integrals over a facet of r^(p-2), r^(p-2) v, r^(p-2) v v^T (xx, xy, xz, yy, yz, zz) and r^p, and its plane.
struct Facet {
    Point3 normal;
    double height;
    FacetMoments3 moments;
    double whole;
};

// The facets of one cell, in units of `unit`.
class Facets {
public:
    void start(const Power& power, double unit) {
        lines_.clear();
        planes_.clear();
        edges_.clear();
        unit_ = unit;
        scale_ = std::pow(unit, power.p);
    }
    // Corners counter-clockwise from outside.
    void add(const Power& power, const std::vector<Point3>& corner, Point3 normal, double density) {
        const double back = 1 / unit_;
        Plane plane{normal, back * dot(normal, corner[0]), density, edges_.size(), 0};
        const double h2 = plane.height * plane.height, height_p = std::pow(std::abs(plane.height), power.p);
        for (std::size_t k = 0; k < corner.size(); ++k) {
            const Point3 a = back * corner[k], b = back * corner[k + 1 < corner.size() ? k + 1 : 0], step = b - a;
            const double length = std::sqrt(dot(step, step));
            if (!(length > 0)) continue;
            const Point3 tangent = (1 / length) * step, outward = cross(tangent, normal);
            const double foot = dot(outward, a);
            const int owner =
                lines_.add(power, h2 + foot * foot, dot(tangent, a), dot(tangent, b), foot * foot, height_p);
            edges_.push_back({owner, foot, tangent, outward});
        }
        plane.end = edges_.size();
        planes_.push_back(plane);
    }
    void integrate(const Power& power, const Kernels& kernel) { lines_.integrate(power, kernel, true); }

    std::size_t size() const { return planes_.size(); }
    // With w = v - h n and outward normals u of the edges in the plane, at distances g from the foot of the site,
    //   p int r^(p-2) w dA = sum of u int r^p ds,  p int r^(p-2) w w^T dA = sum of int w r^p ds u^T - I int r^p dA.
    Facet facet(std::size_t k, double p) const {
        const Plane& plane = planes_[k];
        const double h = plane.height;
        double angle = 0, flux = 0;
        Point3 first{0, 0, 0};
        double second[6] = {};
        for (std::size_t e = plane.begin; e < plane.end; ++e) {
            const Edge& edge = edges_[e];
            const double* const sum = lines_.of(edge.owner);
            angle += edge.foot * sum[0];
            flux += edge.foot * sum[1];
            first = first + sum[1] * edge.outward;
            const Point3 along = edge.foot * sum[1] * edge.outward + sum[2] * edge.tangent;
            add_symmetric(second, along, edge.outward, 1 / p);
        }
        const double mass = angle / p, whole = (h * h * angle + flux) / (p + 2);
        const Point3 n = plane.normal, m = (1 / p) * first;
        second[0] -= whole / p, second[3] -= whole / p, second[5] -= whole / p;
        add_symmetric(second, n, n, whole / p + h * h * mass);
        add_symmetric(second, n, m, 2 * h);
        const double less = plane.density * scale_, more = less * unit_, most = more * unit_;
        FacetMoments3 out;
        out.mass = less * mass;
        out.first = more * (h * mass * n + m);
        out.xx = most * second[0], out.xy = most * second[1], out.xz = most * second[2];
        out.yy = most * second[3], out.yz = most * second[4], out.zz = most * second[5];
        return {n, h * unit_, out, most * whole};
    }

private:
    struct Plane {
        Point3 normal;
        double height, density;
        std::size_t begin, end;
    };
    struct Edge {
        int owner;
        double foot;  // from the foot of the site, to the side of `outward`
        Point3 tangent, outward;
    };

    // Adds the symmetric part of factor a b^T.
    static void add_symmetric(double (&sum)[6], Point3 a, Point3 b, double factor) {
        const double half = 0.5 * factor;
        sum[0] += factor * a.x * b.x;
        sum[1] += half * (a.x * b.y + a.y * b.x);
        sum[2] += half * (a.x * b.z + a.z * b.x);
        sum[3] += factor * a.y * b.y;
        sum[4] += half * (a.y * b.z + a.z * b.y);
        sum[5] += factor * a.z * b.z;
    }

    Lines lines_;
    std::vector<Plane> planes_;
    std::vector<Edge> edges_;
    double unit_ = 1, scale_ = 1;  // and its power
};

// A worker's memory.
struct Memory {
    Facets facets;
    VoxelFaces voxels;
    std::vector<std::size_t> end;  // of the parts of each facet
};

Point3 site_at(const laguerre3::Scene& scene, index_t place) {
    const laguerre3::Leaf& leaf = scene.leaf[place / laguerre3::lanes];
    const index_t k = place % laguerre3::lanes;
    return {leaf.at[0][k], leaf.at[1][k], leaf.at[2][k]};
}

// Gathers the faces on whose two sides the densities differ, of the worker's polytope.
template <class Worker>
void add_faces(const Power& power, const Run<double>& run, index_t place, Worker& worker, Memory& memory) {
    const bool even = !run.voxels().density;
    memory.voxels.start();
    for (std::size_t f = 0; f < worker.polytope.facets().size(); ++f) {
        run.corners(worker, f);
        const Point3 normal = laguerre3::normal_of(worker.ring);
        if (even)
            memory.facets.add(power, worker.ring, normal, run.scene().density);
        else
            memory.voxels.add(worker.ring, normal);
    }
    if (even) return;
    memory.voxels.each(VoxelGrid(run.voxels(), site_at(run.scene(), place)),
                       [&](const std::vector<Point3>& ring, Point3 normal, double density) {
                           memory.facets.add(power, ring, normal, density);
                       });
}

// Gathers the parts of facets in voxels, of the worker's polytope.
template <class Worker>
void add_facets(const Power& power, const Run<double>& run, index_t place, Worker& worker, Memory& memory) {
    memory.end.assign(1, 0);
    auto& parts = worker.columns.parts;
    parts.grid = VoxelGrid(run.voxels(), site_at(run.scene(), place));
    for (std::size_t f = 0; f < worker.polytope.facets().size(); ++f) {
        run.corners(worker, f);
        const Point3 normal = laguerre3::normal_of(worker.ring);
        const auto add = [&](const std::vector<Point3>& part, double density) {
            if (density > 0) memory.facets.add(power, part, normal, density);
        };
        if (!run.voxels().density)
            add(worker.ring, run.scene().density);
        else
            parts.each_column(
                worker.ring.data(), static_cast<int>(worker.ring.size()), [&](index_t, index_t, const auto& piece) {
                    parts.each_voxel(piece.data(), static_cast<int>(piece.size()), [&](index_t, const auto& part) {
                        add(part, parts.grid.mean_at(part.data(), static_cast<int>(part.size())));
                    });
                });
        memory.end.push_back(memory.facets.size());
    }
}

void require(const laguerre3::Problem<double>& q, double p) {
    laguerre3::require_shapes(q);
    laguerre3::require(p >= 1 && p < 1000, "p: expected 1 <= p < 1000");
    laguerre3::require(!q.psi, "psi: expected none for powers");
}

}  // namespace

index_t cells(const laguerre3::Problem<double>& q, double p, const Output& out, const Control& control) {
    require(q, p);
    const index_t n = q.sites.rows;
    for (index_t i = 0; i < n; ++i) out.mass(i) = std::numeric_limits<double>::quiet_NaN();
    const Power power = power_of(p);
    const Kernels& kernel = pick(powers_table, control.simd);
    Run<double> run(q, control, true);
    std::vector<Memory> workers(run.workers());
    std::atomic<index_t> done{0};
    run.each([](index_t) { return true; },
             [&](index_t, index_t place, const laguerre3::Cell& cell, auto& worker) {
                 const index_t i = run.scene().id[place];
                 double mass = 0;
                 double energy = 0;
                 Point3 gradient{0, 0, 0};
                 double second[9] = {};
                 for (int k = 0; k < 3; ++k) out.counts(i, k) = 0;
                 if (cell.size > 0) {
                     const laguerre3::Scratch& m = worker.memory->view;
                     Memory& memory = workers[worker.number];
                     Facets& facets = memory.facets;
                     Polytope& polytope = worker.polytope;
                     mass = run.integral(place, cell, worker).mass;
                     polytope.read(m, cell);
                     facets.start(power, unit_of(m.x, m.y, m.z, cell.size));
                     add_faces(power, run, place, worker, memory);
                     facets.integrate(power, kernel);
                     for (std::size_t f = 0; f < facets.size(); ++f) {
                         const Facet facet = facets.facet(f, p);
                         const Point3 first = facet.moments.first, n = facet.normal;
                         const double v[3] = {first.x, first.y, first.z}, u[3] = {n.x, n.y, n.z};
                         energy += facet.height * facet.whole / (p + 3);
                         gradient = gradient - facet.whole * n;
                         for (int k = 0; k < 9; ++k) second[k] += 0.5 * p * (v[k / 3] * u[k % 3] + u[k / 3] * v[k % 3]);
                     }
                     out.counts(i, 0) = polytope.vertices();
                     out.counts(i, 1) = static_cast<std::int64_t>(polytope.facets().size());
                     out.counts(i, 2) = static_cast<std::int64_t>(polytope.corners().size());
                 }
                 out.mass(i) = mass;
                 out.energy(i) = energy;
                 const double g[3] = {gradient.x, gradient.y, gradient.z};
                 for (int k = 0; k < 3; ++k) out.gradient(i, k) = g[k];
                 for (int k = 0; k < 9; ++k) out.second(i, k) = second[k];
                 done.fetch_add(1, std::memory_order_relaxed);
             });
    return done.load();
}

index_t facets(const laguerre3::Problem<double>& q, double p, Matrix<const std::int64_t> begin,
               const laguerre3::Facets<double>& out, const Control& control) {
    require(q, p);
    laguerre3::require_rows(q, begin, out);
    const Power power = power_of(p);
    const Kernels& kernel = pick(powers_table, control.simd);
    Run<double> run(q, control, true);
    const laguerre3::Scene& scene = run.scene();
    std::vector<Memory> workers(run.workers());
    return laguerre3::each_polytope(
        run, begin, [&](index_t place, index_t i, const laguerre3::Cell& cell, auto& worker) {
            const laguerre3::Scratch& m = worker.memory->view;
            Memory& memory = workers[worker.number];
            memory.facets.start(power, unit_of(m.x, m.y, m.z, cell.size));
            add_facets(power, run, place, worker, memory);
            memory.facets.integrate(power, kernel);
            for (std::size_t f = 0; f < worker.polytope.facets().size(); ++f) {
                run.corners(worker, f);
                const std::int64_t label = worker.polytope.facets()[f].label;
                FacetMoments3 sum;
                for (std::size_t k = memory.end[f]; k < memory.end[f + 1]; ++k)
                    sum = sum + memory.facets.facet(k, p).moments;
                const Point3 normal = laguerre3::normal_of(worker.ring);
                const Point3 d = label < 0 ? Point3{0, 0, 0}
                                           : across(scene, place, label, worker.ring.data(),
                                                    static_cast<int>(worker.ring.size()), normal);
                out.write(begin(i, 1) + static_cast<index_t>(f), label < 0 ? -1 : scene.id[owner(scene, label)], sum,
                          d);
            }
        });
}

}  // namespace deblai::powers
