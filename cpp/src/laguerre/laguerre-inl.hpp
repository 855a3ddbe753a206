// One cell: start from the box, clip by the sites that reach it, integrate.
#include "again-inl.hpp"
#include "search-inl.hpp"

namespace deblai::DEBLAI_LEVEL {
namespace {

using laguerre::Cell;
using laguerre::Scratch;

template <bool Weighted>
Status clip(const Scene& scene, const Site& site, Near& near, ClippedPolygon& polygon, const Stop& stop, int worker) {
    if (scene.known) return Again<Weighted>(scene, site, polygon).run();
    if (near.leaf != site.place / laguerre::lanes) Gather(scene, near).around(site.place / laguerre::lanes);
    bool complete = false;
    const Status status = clip_near<Weighted>(scene, site, near, polygon, complete);
    if (status != Status::done || complete || polygon.size() == 0) return status;
    const double outer2 = near.radius2 > 0 ? 4 * near.radius2 : first_round2(scene, site.place);
    return Search<Weighted>(scene, site, polygon, stop, worker).run(outer2);
}

Status cell(const Scene& scene, index_t i, bool integrate, const Scratch& scratch, const Stop& stop, int worker,
            Cell& cell) {
    const Leaf& leaf = scene.leaf[i / laguerre::lanes];
    const int k = static_cast<int>(i % laguerre::lanes);
    const Site site{leaf.x[k], leaf.y[k], leaf.psi[k], i};
    cell.moments = {};
    cell.size = 0;
    cell.area = 0;
    if (hidden_by(scene, i, i - 1) || hidden_by(scene, i, i + 1)) return Status::done;
    ClippedPolygon polygon(scratch);
    if (scene.periodic) {
        const double hx = 0.5 * (scene.upper[0] - scene.lower[0]), hy = 0.5 * (scene.upper[1] - scene.lower[1]);
        polygon.start(-hx, -hy, hx, hy, i);
    } else if (scene.corners > 0) {
        polygon.start(scene.corner_x, scene.corner_y, scene.corners, site.x, site.y, -1);
    } else {
        polygon.start(scene.lower[0] - site.x, scene.lower[1] - site.y, scene.upper[0] - site.x,
                      scene.upper[1] - site.y, -1);
    }
    const Status status = scene.weighted ? clip<true>(scene, site, *scratch.near, polygon, stop, worker)
                                         : clip<false>(scene, site, *scratch.near, polygon, stop, worker);
    if (status != Status::done) return status;
    cell.size = polygon.size();
    if (cell.size == 0) return status;
    const Polygon<std::int64_t>& p = polygon.stored();
    const Moments area = moments(p.x, p.y, p.size);
    if (!(area.mass > 0)) {
        cell.size = 0;
        return status;
    }
    cell.area = area.mass;
    if (!integrate) return status;
    if (scene.pixels.density) {
        const PixelScratch rings{scratch.pixels, scratch.capacity + PixelScratch::slack};
        cell.moments = PixelIntegral(scene.pixels, site.x, site.y, rings).over(p.x, p.y, p.size);
    } else {
        cell.moments.add(area, scene.pixels.uniform);
    }
    return status;
}

}  // namespace

extern const laguerre::Kernels laguerre_kernels = {cell};

}  // namespace deblai::DEBLAI_LEVEL
