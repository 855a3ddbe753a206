#include "deblai/laguerre_form.hpp"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "deblai/error.hpp"

namespace deblai::laguerre {
namespace {

void require(bool ok, const char* message) {
    if (!ok) throw InvalidValue(std::string("[quantization.laguerre] ") + message);
}

}  // namespace

FormArrays::FormArrays(const Form& form, Scene& scene, bool integrate) {
    if (form.corners) set_domain(form.corners, scene);
    if (!integrate) return;
    if (form.gaussians) set_gaussians(form.gaussians, scene);
    if (form.triangles) set_mesh(form, scene);
}

std::size_t FormArrays::bytes(const Form& form) {
    return 2 * sizeof(double) * form.corners.rows + sizeof(Gaussian) * form.gaussians.rows +
           (2 * sizeof(MeshTriangle) + sizeof(MeshBox) * 4 / 3 + sizeof(std::pair<std::uint64_t, index_t>)) *
               form.triangles.rows;
}

void FormArrays::set_domain(const Matrix<const double>& corners, Scene& scene) {
    for (index_t k = 0; k < corners.rows; ++k) {
        require(std::abs(corners(k, 0)) < most_site && std::abs(corners(k, 1)) < most_site,
                "measure.vertices: expected finite values below 100 powers of ten");
        corner_x.push_back(corners(k, 0));
        corner_y.push_back(corners(k, 1));
    }
    const int size = static_cast<int>(corners.rows);
    double winding = 0;
    for (int k = 0; k < size; ++k) {
        const int l = (k + 1) % size, m = (k + 2) % size;
        const double px = corner_x[l] - corner_x[k], py = corner_y[l] - corner_y[k];
        const double qx = corner_x[m] - corner_x[l], qy = corner_y[m] - corner_y[l];
        const double cross = px * qy - py * qx;
        require(cross >= -1e-12 * (std::abs(px * qy) + std::abs(py * qx)),
                "measure.vertices: expected the corners of a convex polygon, counter-clockwise");
        winding += std::atan2(cross, px * qx + py * qy);
    }
    const double area = moments(corner_x.data(), corner_y.data(), size).mass;
    require(area > 0 && winding < 3 * M_PI, "measure.vertices: expected a convex polygon with an area");
    scene.corner_x = corner_x.data();
    scene.corner_y = corner_y.data();
    scene.corners = size;
    scene.pixels.uniform = 1 / area;
}

void FormArrays::set_gaussians(const Matrix<const double>& given, Scene& scene) {
    double x[4] = {scene.lower[0], scene.upper[0], scene.upper[0], scene.lower[0]};
    double y[4] = {scene.lower[1], scene.lower[1], scene.upper[1], scene.upper[1]};
    const int size = scene.corners > 0 ? scene.corners : 4;
    std::vector<double> room(2 * size);
    double total = 0;
    for (index_t c = 0; c < given.rows; ++c) {
        for (int k = 0; k < 6; ++k)
            require(std::isfinite(given(c, k)), "measure.components: expected finite values, got nan or inf");
        const double xx = given(c, 3), xy = given(c, 4), yy = given(c, 5);
        const double lxx = std::sqrt(xx), lyx = xy / lxx, rest = yy - lyx * lyx;
        require(given(c, 0) >= 0 && xx > 0 && rest > 1e-15 * yy,
                "measure.components: expected weights >= 0 and positive definite covariances");
        gaussian.push_back({given(c, 0), given(c, 1), given(c, 2), lxx, lyx, std::sqrt(rest), 0});
        const Gaussians one{&gaussian.back(), 1};
        const double *px = scene.corners > 0 ? scene.corner_x : x, *py = scene.corners > 0 ? scene.corner_y : y;
        total += GaussianIntegral(one, 0, 0, {room.data(), room.data() + size}).over(px, py, size).mass;
    }
    if (!(total > 0 && std::isfinite(total))) throw bad_mass(total, "measure.domain");
    for (Gaussian& g : gaussian) g.mass /= total, g.height = std::log(g.scale());
    scene.gaussians = {gaussian.data(), static_cast<int>(gaussian.size())};
}

void FormArrays::set_mesh(const Form& f, Scene& scene) {
    double total = 0;
    triangle.reserve(f.triangles.rows);
    for (index_t t = 0; t < f.triangles.rows; ++t) {
        MeshTriangle one;
        for (int k = 0; k < 3; ++k) {
            const std::int64_t p = f.triangles(t, k);
            require(p >= 0 && p < f.points.rows, "measure.triangles: expected numbers of points");
            one.x[k] = f.points(p, 0), one.y[k] = f.points(p, 1), one.value[k] = f.values(p);
            require(std::abs(one.x[k]) < most_site && std::abs(one.y[k]) < most_site,
                    "measure.points: expected finite values below 100 powers of ten");
            require(one.value[k] >= 0 && std::isfinite(one.value[k]), "measure.values: expected finite values >= 0");
        }
        double area =
            0.5 * ((one.x[1] - one.x[0]) * (one.y[2] - one.y[0]) - (one.y[1] - one.y[0]) * (one.x[2] - one.x[0]));
        if (area == 0) continue;
        if (area < 0) {
            std::swap(one.x[1], one.x[2]), std::swap(one.y[1], one.y[2]), std::swap(one.value[1], one.value[2]);
            area = -area;
        }
        const double value = one.value[0] + one.value[1] + one.value[2];
        if (value == 0) continue;
        total += area * value / 3;
        triangle.push_back(one);
    }
    if (!(total > 0 && std::isfinite(total))) throw bad_mass(total);
    const index_t count = static_cast<index_t>(triangle.size());
    std::vector<std::pair<std::uint64_t, index_t>> order(count);
    constexpr int levels = 20;
    for (index_t t = 0; t < count; ++t) {
        for (double& v : triangle[t].value) v /= total;
        const auto place = [&](const double (&v)[3], int k) {
            const double u = ((v[0] + v[1] + v[2]) / 3 - scene.lower[k]) / (scene.upper[k] - scene.lower[k]);
            return static_cast<std::uint32_t>(std::clamp(u, 0.0, 1.0) * ((1 << levels) - 1));
        };
        order[t] = {hilbert(place(triangle[t].x, 0), place(triangle[t].y, 1), levels), t};
    }
    std::sort(order.begin(), order.end());
    {
        std::vector<MeshTriangle> sorted(count);
        for (index_t t = 0; t < count; ++t) sorted[t] = triangle[order[t].second];
        triangle.swap(sorted);
    }
    Mesh& mesh = scene.mesh;
    box.reserve(boxes(count));
    for (const MeshTriangle& t : triangle) {
        const Interval x = extent(t.x, 3), y = extent(t.y, 3);
        box.push_back({x.low, x.high, y.low, y.high});
    }
    index_t begin = 0, end = count;
    for (mesh.levels = 1; end - begin > 1; ++mesh.levels) {
        mesh.level[mesh.levels] = end;
        for (index_t b = begin; b < end; b += Mesh::fan) {
            MeshBox all = box[b];
            for (index_t k = b + 1; k < std::min<index_t>(end, b + Mesh::fan); ++k) {
                all.low_x = std::min(all.low_x, box[k].low_x), all.high_x = std::max(all.high_x, box[k].high_x);
                all.low_y = std::min(all.low_y, box[k].low_y), all.high_y = std::max(all.high_y, box[k].high_y);
            }
            box.push_back(all);
        }
        begin = end;
        end = static_cast<index_t>(box.size());
    }
    mesh.level[mesh.levels] = end;
    mesh.triangle = triangle.data();
    mesh.box = box.data();
}

}  // namespace deblai::laguerre
