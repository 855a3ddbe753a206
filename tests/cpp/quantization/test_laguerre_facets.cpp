// The density along edges and the graph of masses: against the cells by the divergence theorem and by differences, for
// every density, at every instruction set and for any number of threads.
#include "check.hpp"
#include "deblai/error.hpp"
#include "laguerre_support.hpp"

namespace {

using namespace deblai;
using namespace deblai::test;

const std::vector<double> hexagon = {1.2, 0.5, 0.9, 1.1, 0.1, 1.0, -0.2, 0.5, 0.1, -0.1, 0.9, 0.0};
const std::vector<double> normals = {1, 0.4, 0.6, 0.09, 0.03, 0.05, 2, 0.7, 0.2, 0.01, 0, 0.02};
const std::vector<double> nodes = {0, 0, 1, 0, 1, 1, 0, 1, 0.4, 0.3}, heights = {1, 2, 0.5, 3, 2};
const std::vector<std::int64_t> triangles = {0, 1, 4, 1, 2, 4, 2, 3, 4, 3, 0, 4};

Diagram random(index_t n, int seed) {
    Diagram d{uniform<double>(2 * n, seed), uniform<double>(n, 1000 + seed), {}};
    for (double& p : d.psi) p *= 0.01;
    return d;
}

Diagram in_hexagon(Diagram d) {
    d.lower[0] = -0.2, d.lower[1] = -0.1, d.upper[0] = 1.2, d.upper[1] = 1.1;
    d.form.corners = {hexagon.data(), 6, 2, 2, 1};
    return d;
}

Diagram of_normals(Diagram d, index_t count) {
    d.form.gaussians = {normals.data(), count, 6, 6, 1};
    return d;
}

Diagram on_triangles(Diagram d) {
    d.form.points = {nodes.data(), 5, 2, 2, 1};
    d.form.values = {heights.data(), 5, 1};
    d.form.triangles = {triangles.data(), 4, 3, 3, 1};
    return d;
}

Diagram on_pixels(Diagram d, bool periodic) {
    d.density = uniform<double>(35, 9);
    d.nx = 7;
    d.periodic = periodic;
    return d;
}

std::vector<Diagram> every_density(index_t n, int seed) {
    const Diagram d = random(n, seed);
    Diagram torus = d;
    torus.periodic = true;
    return {d,
            torus,
            on_pixels(d, false),
            on_pixels(d, true),
            in_hexagon(d),
            of_normals(d, 2),
            of_normals(in_hexagon(d), 2),
            on_triangles(d)};
}

// int div F = oint F . n for F = v and F = |v|^2 v, on cells of even density.
void even_density_by_divergence() {
    for (const bool hexagonal : {false, true})
        for (const char* level : levels()) {
            const Diagram d = hexagonal ? in_hexagon(random(40, 1)) : random(40, 1);
            const Cells c(d, {.simd = level});
            const Edges e(d, c, {.simd = level});
            double border = 0;
            for (index_t i = 0; i < d.size(); ++i) {
                double two = 0, four = 0;
                for (index_t k = e.offsets[i]; k < e.offsets[i + 1]; ++k) {
                    const index_t l = k + 1 < e.offsets[i + 1] ? k + 1 : e.offsets[i];
                    const double x = e.vertices[2 * l] - e.vertices[2 * k];
                    const double y = e.vertices[2 * l + 1] - e.vertices[2 * k + 1], length = std::hypot(x, y);
                    const double nx = y / length, ny = -x / length;
                    const double h =
                        (e.vertices[2 * k] - d.sites[2 * i]) * nx + (e.vertices[2 * k + 1] - d.sites[2 * i + 1]) * ny;
                    two += e.first[2 * k] * nx + e.first[2 * k + 1] * ny;
                    four += h * (e.second[4 * k] + e.second[4 * k + 3]);
                    CHECK(e.second[4 * k + 1] == e.second[4 * k + 2]);
                    if (e.neighbours[k] < 0) border += e.mass[k];
                }
                CHECK(std::abs(two - 2 * c.mass[i]) < 1e-14, two, c.mass[i], i, level);
                CHECK(std::abs(four - 4 * c.second[i]) < 1e-14, four, c.second[i], i, level);
            }
            if (!hexagonal) CHECK(std::abs(border - 4) < 1e-13, border);
        }
}

// grad rho = -C^-1 (x - mean) rho: int (x - mean) rho = -C oint n rho, cell by cell.
void gaussians_by_divergence() {
    const double *g = normals.data(), mean[2] = {g[1], g[2]}, cov[2][2] = {{g[3], g[4]}, {g[4], g[5]}};
    for (const bool hexagonal : {false, true}) {
        Diagram d = of_normals(hexagonal ? in_hexagon(random(60, 2)) : random(60, 2), 1);
        if (!hexagonal) d.lower[0] = d.lower[1] = -12, d.upper[0] = d.upper[1] = 13;  // beyond 39 deviations
        const Cells c(d);
        const Edges e(d, c);
        double total = 0;
        for (index_t i = 0; i < d.size(); ++i) {
            double n[2] = {0, 0};
            for (index_t k = e.offsets[i]; k < e.offsets[i + 1]; ++k) {
                const index_t l = k + 1 < e.offsets[i + 1] ? k + 1 : e.offsets[i];
                const double x = e.vertices[2 * l] - e.vertices[2 * k];
                const double y = e.vertices[2 * l + 1] - e.vertices[2 * k + 1], length = std::hypot(x, y);
                n[0] += e.mass[k] * y / length, n[1] -= e.mass[k] * x / length;
            }
            for (int a = 0; a < 2; ++a) {
                const double first = c.mass[i] * (c.centroid[2 * i + a] - mean[a]);
                const double along = -(cov[a][0] * n[0] + cov[a][1] * n[1]);
                CHECK(std::abs(first - along) < 1e-14, first, along, i, a, hexagonal);
            }
            total += c.mass[i];
        }
        CHECK(std::abs(total - 1) < 1e-13, total);
    }
}

// d mass_i / d psi_j = -coupling, for every density; each row is the facets' masses over twice the distances.
void graph_by_differences() {
    for (const Diagram& d : every_density(24, 3)) {
        const index_t n = d.size();
        const Cells c(d);
        const Edges e(d, c);
        CHECK(c.summary.entries == c.begin[n] && c.begin[0] == 0, c.summary.entries);
        const double h = 1e-6;
        for (index_t j = 0; j < n; ++j) {
            Diagram up = d, down = d;
            up.psi[j] += h, down.psi[j] -= h;
            const Cells more(up), less(down);
            for (index_t i = 0; i < n; ++i) {
                double coupling = 0;
                for (index_t k = c.begin[i]; k < c.begin[i + 1]; ++k)
                    if (c.across[k] == j) coupling += c.coupling[k];
                const double slope = (less.mass[i] - more.mass[i]) / (2 * h);
                if (i != j) CHECK(std::abs(coupling - slope) < 2e-6 * (1 + std::abs(slope)), coupling, slope, i, j);
            }
        }
        for (index_t i = 0; i < n; ++i) {
            double graph = 0, facets = 0;
            for (index_t k = c.begin[i]; k < c.begin[i + 1]; ++k) {
                graph += c.coupling[k];
                double back = 0, there = 0;
                for (index_t l = c.begin[i]; l < c.begin[i + 1]; ++l)
                    if (c.across[l] == c.across[k]) there += c.coupling[l];
                for (index_t l = c.begin[c.across[k]]; l < c.begin[c.across[k] + 1]; ++l)
                    if (c.across[l] == i) back += c.coupling[l];
                CHECK(std::abs(there - back) < 1e-13, there, back, i);
                CHECK(c.bare[k] > 0, c.bare[k]);
                if (!d.nx && !d.form.gaussians && !d.form.triangles) CHECK_CLOSE(c.bare[k], c.coupling[k], 1e-12);
            }
            for (index_t k = e.offsets[i]; k < e.offsets[i + 1]; ++k)
                if (e.neighbours[k] >= 0 && e.neighbours[k] != i)
                    facets += e.mass[k] / (2 * std::hypot(e.offset[2 * k], e.offset[2 * k + 1]));
            CHECK(std::abs(graph - facets) < 1e-13, graph, facets, i);
        }
    }
}

// A room that is too small gets nothing but the sums; the entries say how much it takes.
void small_rooms() {
    const Diagram d = random(50, 4);
    const Cells all(d), none(d, {}, 0), few(d, {}, all.summary.entries - 1), exact(d, {}, all.summary.entries);
    CHECK(none.summary.entries == all.summary.entries && few.begin == all.begin && none.begin == all.begin);
    for (const double v : few.coupling) CHECK(v == -7);
    CHECK(std::equal(exact.coupling.begin(), exact.coupling.end(), all.coupling.begin()));
    CHECK(std::equal(exact.across.begin(), exact.across.end(), all.across.begin()));
}

// Cells that begin with more than eight corners, and end with hundreds.
void many_corners() {
    const index_t m = 300;
    std::vector<double> corners;
    for (index_t k = 0; k < m; ++k) {
        const double angle = 2 * std::numbers::pi * static_cast<double>(k) / static_cast<double>(m);
        corners.insert(corners.end(), {std::cos(angle), std::sin(angle)});
    }
    for (const index_t n : {1, 2, 30}) {
        Diagram d = random(n, 5);
        d.lower[0] = d.lower[1] = -1;
        d.form.corners = {corners.data(), m, 2, 2, 1};
        for (const char* level : levels()) {
            const Cells c(d, {.simd = level});
            const Edges e(d, c, {.simd = level});
            double total = 0;
            index_t border = 0;
            for (index_t i = 0; i < n; ++i) total += c.mass[i];
            for (const std::int64_t j : e.neighbours) border += j < 0;
            CHECK(std::abs(total - 1) < 1e-13, total, n, level);
            CHECK(border >= m && border <= m + n, border, n, level);
            if (n == 1) CHECK(std::abs(c.centroid[0]) + std::abs(c.centroid[1]) < 1e-14);
        }
    }
}

void any_number_of_threads() {
    for (const Diagram& d : every_density(sized(3000, 600), 6)) {
        const Cells one(d, {.threads = 1});
        const Edges edges(d, one, {.threads = 1});
        index_t full = 0;
        for (const std::int64_t k : one.count) full += k > 0;
        CHECK(one.summary.done == d.size() && edges.done == full, full);
        for (const int threads : {2, 5}) {
            const Cells c(d, {.threads = threads});
            CHECK(c.mass == one.mass && c.centroid == one.centroid && c.second == one.second, threads);
            CHECK(c.begin == one.begin && c.across == one.across && c.coupling == one.coupling, threads);
            const Edges e(d, c, {.threads = threads});
            CHECK(e.mass == edges.mass && e.first == edges.first && e.second == edges.second, threads);
            CHECK(e.offset == edges.offset && e.neighbours == edges.neighbours, threads);
        }
    }
}

void refused() {
    const Diagram d = random(5, 7);
    const auto says = [](const Diagram& bad, const char* wanted) { CHECK_THROWS(Cells(bad), InvalidValue, wanted); };
    Diagram bad = in_hexagon(d);
    bad.periodic = true;
    says(bad, "periodic: expected a box");
    bad = on_triangles(of_normals(d, 1));
    says(bad, "measure: expected one density");
    std::vector<double> clockwise(hexagon.rbegin(), hexagon.rend());
    for (std::size_t k = 0; k < clockwise.size(); k += 2) std::swap(clockwise[k], clockwise[k + 1]);
    bad = in_hexagon(d);
    bad.form.corners.data = clockwise.data();
    says(bad, "measure.vertices: expected the corners of a convex polygon");
    std::vector<double> star = hexagon;
    star[0] = 0.3;
    bad.form.corners.data = star.data();
    says(bad, "measure.vertices: expected the corners of a convex polygon");
    star[0] = std::nan("");
    says(bad, "measure.vertices: expected finite");
    for (const int entry : {0, 1, 3, 4}) {
        std::vector<double> g = normals;
        g[entry] = std::nan("");
        bad = of_normals(d, 2);
        bad.form.gaussians.data = g.data();
        says(bad, "measure.components: expected finite values");
        if (entry == 1) continue;
        g[entry] = entry == 4 ? 1 : -1;
        says(bad, "measure.components: expected weights >= 0 and positive definite");
    }
    bad = of_normals(d, 1);
    for (int k = 0; k < 2; ++k) bad.lower[k] = 100, bad.upper[k] = 101;
    says(bad, "measure.domain: expected a positive finite total mass");
    bad = on_triangles(d);
    std::vector<std::int64_t> wrong = triangles;
    wrong[4] = 5;
    bad.form.triangles.data = wrong.data();
    says(bad, "measure.triangles: expected numbers of points");
    bad = on_triangles(d);
    std::vector<double> v = heights;
    v[2] = -1;
    bad.form.values.data = v.data();
    says(bad, "measure.values: expected finite values >= 0");
    std::fill(v.begin(), v.end(), 0.0);
    says(bad, "measure.values: expected a positive finite total mass");
    const Cells c(d);
    std::vector<std::int64_t> sums = c.offsets();
    ++sums[2];
    std::vector<double> mass(sums[5]);
    CHECK_THROWS(laguerre::facets<double>(d.problem(), {sums.data(), 6, 1}, {{mass.data(), sums[5], 1}, {}, {}, {}}),
                 InvalidValue, "offsets: expected the counts");
    CHECK_THROWS(laguerre::facets<double>(d.problem(), {sums.data(), 5, 1}, {{mass.data(), sums[5], 1}, {}, {}, {}}),
                 InvalidValue, "offsets: expected n + 1");
    CHECK_THROWS(laguerre::facets<double>(d.problem(), {sums.data(), 6, 1}, {{mass.data(), 3, 1}, {}, {}, {}}),
                 InvalidValue, "facets: expected as many rows");
}

}  // namespace

int main() {
    even_density_by_divergence();
    gaussians_by_divergence();
    graph_by_differences();
    small_rooms();
    many_corners();
    any_number_of_threads();
    refused();
    return report();
}
