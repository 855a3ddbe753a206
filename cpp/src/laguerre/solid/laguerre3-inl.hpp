// One cell: start from a cube that the sites near by will cut, or else from the box; clip by the sites that reach it;
// integrate.
#include "moments3-inl.hpp"
#include "search3-inl.hpp"

namespace deblai::DEBLAI_LEVEL {
namespace {

using laguerre3::Cell;

struct Bounds {
    double low[3], high[3], extent;
    std::int64_t label;
    bool inside;  // of the box is the site

    Bounds(const Scene& scene, const Site& site) : label(scene.periodic ? site.place : -1), inside(true) {
        double far2 = 0;
        for (int k = 0; k < 3; ++k) {
            const double half = 0.5 * (scene.upper[k] - scene.lower[k]);
            low[k] = scene.periodic ? -half : scene.lower[k] - site.at[k];
            high[k] = scene.periodic ? half : scene.upper[k] - site.at[k];
            inside &= low[k] < 0 && high[k] > 0;
            const double far = -low[k] > high[k] ? -low[k] : high[k];
            far2 += far * far;
        }
        extent = __builtin_sqrt(far2);
    }

    void start(Polyhedron& cell) const { cell.start(low, high, {label, label, label, label, label, label}, extent); }

    // Cuts off what is beyond the sides of the domain; sides that miss the cube around the site with this half are
    // passed by.
    static Cut confine(const Scene& scene, const Site& site, Polyhedron& cell, double half) {
        for (int k = 0; k < scene.sides; ++k) {
            const double (&n)[3] = scene.side[k].normal;
            const double h = scene.side[k].offset - (n[0] * site.at[0] + n[1] * site.at[1] + n[2] * site.at[2]);
            if (half * (__builtin_fabs(n[0]) + __builtin_fabs(n[1]) + __builtin_fabs(n[2])) < h) continue;
            const Cut done = cell.clip({n[0], n[1], n[2], h}, -1);
            if (done == Cut::all || done == Cut::full) return done;
        }
        return Cut::none;
    }

    // What of it is within a cube around the site.
    void start_small(Polyhedron& cell, double half) const {
        double small_low[3], small_high[3];
        for (int k = 0; k < 3; ++k) {
            small_low[k] = low[k] > -half ? low[k] : -half;
            small_high[k] = high[k] < half ? high[k] : half;
        }
        cell.start(small_low, small_high, {label, label, label, label, label, label}, extent);
    }
};

template <bool Weighted>
Status clip(const Scene& scene, const Site& site, Near& near, Polyhedron& cell, const Stop& stop, int worker) {
    if (near.leaf != site.place / lanes8) Gather(scene, near).around(site.place / lanes8);
    const Bounds bounds(scene, site);
    bool complete = false;
    // Complete cells are within half of the gathered distance, so that no side of this cube is left.
    const double half = 0.500001 * __builtin_sqrt(near.radius2);
    bool whole = false;
    if (bounds.inside && half > 0) {
        bounds.start_small(cell, half);
        if (Bounds::confine(scene, site, cell, half) == Cut::full) return Status::grow;
        const Status status = cell.size() > 0 ? clip_near<Weighted>(scene, site, near, cell, complete) : Status::done;
        if (status != Status::done) return status;
        whole = cell.size() > 0 && cell.radius() < half;
        if (whole && complete) return status;
    }
    if (!whole) {
        bounds.start(cell);
        const Cut confined = Bounds::confine(scene, site, cell, infinity);
        if (confined == Cut::full) return Status::grow;
        if (confined == Cut::all) return Status::done;
        const Status status = clip_near<Weighted>(scene, site, near, cell, complete);
        if (status != Status::done || complete || cell.size() == 0) return status;
    }
    const double outer2 = near.radius2 > 0 ? 4 * near.radius2 : laguerre3::first_round2(scene, site.place);
    return Search<Weighted>(scene, site, cell, stop, worker).run(outer2);
}

Status cell(const Scene& scene, index_t i, const Scratch& scratch, const Stop& stop, int worker, Cell& cell) {
    const Leaf& leaf = scene.leaf[i / lanes8];
    const int k = static_cast<int>(i % lanes8);
    const Site site{{leaf.at[0][k], leaf.at[1][k], leaf.at[2][k]}, leaf.psi[k], i};
    cell = {};
    if (hidden_by(scene, i, i - 1) || hidden_by(scene, i, i + 1)) return Status::done;
    Polyhedron polyhedron(scratch);
    const Status status = scene.weighted ? clip<true>(scene, site, *scratch.near, polyhedron, stop, worker)
                                         : clip<false>(scene, site, *scratch.near, polyhedron, stop, worker);
    if (status != Status::done || polyhedron.size() == 0) return status;
    const Moments3 m = moments3(scratch, polyhedron.size(), cell.touching);
    if (!(m.mass > 0)) return status;
    cell.size = polyhedron.size();
    cell.planes = polyhedron.planes();
    cell.moments = m;
    return status;
}

}  // namespace

extern const laguerre3::Kernels laguerre3_kernels = {cell};

}  // namespace deblai::DEBLAI_LEVEL
