// Cells against brute force in C++, at every instruction set: each is clipped by all sites and their images.
#include <vector>

#include "check.hpp"
#include "deblai/error.hpp"
#include "deblai/laguerre.hpp"
#include "deblai/pixels.hpp"
#include "support.hpp"

namespace {

using namespace deblai;
using namespace deblai::test;

template <class T>
struct Diagram {
    std::vector<T> sites, psi, density;
    index_t nx = 0;
    bool periodic = false;

    index_t size() const { return static_cast<index_t>(sites.size() / 2); }
    laguerre::Problem<T> problem() const {
        laguerre::Problem<T> q{{sites.data(), size(), 2, 2, 1}, {}, {0, 0}, {1, 1}, {}, periodic};
        if (!psi.empty()) q.psi = {psi.data(), size(), 1};
        if (nx) q.density = {density.data(), nx, static_cast<index_t>(density.size()) / nx, 1, nx};
        return q;
    }
};

template <class T>
struct Result {
    std::vector<T> mass, centroid, second, gradient;
    std::vector<std::int64_t> count;
    laguerre::Summary summary;

    Result(const Diagram<T>& d, const Control& control)
        : mass(d.size()), centroid(2 * d.size()), second(d.size()), gradient(2 * d.size()), count(d.size()) {
        const index_t n = d.size();
        const laguerre::Output<T> out{{mass.data(), n, 1},
                                      {centroid.data(), n, 2, 2, 1},
                                      {second.data(), n, 1},
                                      {count.data(), n, 1},
                                      {gradient.data(), n, 2, 2, 1}};
        summary = laguerre::cells(d.problem(), out, control);
    }
};

// Moments of cell i, by the scalar functions that the device uses.
Moments brute_force(const Diagram<double>& d, index_t i) {
    std::vector<double> x(600), y(600), s(600), rings(2 * PixelScratch::rings * 700);
    std::vector<int> label(600);
    const double u = d.sites[2 * i], v = d.sites[2 * i + 1];
    const double lx = d.periodic ? -0.5 : -u, ly = d.periodic ? -0.5 : -v;
    Polygon<int> p{x.data(), y.data(), label.data(), 4, 600};
    for (int k = 0; k < 4; ++k) x[k] = lx + (k == 1 || k == 2), y[k] = ly + (k >= 2), label[k] = -1;
    const int around = d.periodic ? 1 : 0;
    for (index_t j = 0; j < d.size(); ++j)
        for (int a = -around; a <= around; ++a)
            for (int b = -around; b <= around; ++b) {
                const double dx = d.sites[2 * j] - u + a, dy = d.sites[2 * j + 1] - v + b;
                if (p.size == 0 || (dx == 0 && dy == 0)) continue;
                const double psi_i = d.psi.empty() ? 0 : d.psi[i], psi_j = d.psi.empty() ? 0 : d.psi[j];
                const Bisector h = Bisector::of(dx, dy, psi_i, psi_j);
                for (int k = 0; k < p.size; ++k) s[k] = x[k] * h.dx + y[k] * h.dy - h.h;
                CHECK(cut(p, s.data(), h.tolerance(1.5), static_cast<int>(j)));
            }
    std::vector<double> density(d.density);
    double total = 0;
    for (const double value : density) total += value;
    for (double& value : density) value *= static_cast<double>(density.size()) / total;
    Pixels pixels{nullptr, 0, 0, 0, 0, 1, 1, 1, d.periodic};
    if (d.nx) {
        const index_t ny = static_cast<index_t>(density.size()) / d.nx;
        pixels = {density.data(), d.nx, ny, 0, 0, 1.0 / d.nx, 1.0 / static_cast<double>(ny), 1, d.periodic};
    }
    return PixelIntegral(pixels, u, v, {rings.data(), 700}).over(x.data(), y.data(), p.size);
}

void equal_to_brute_force() {
    int seed = 0;
    for (const bool periodic : {false, true})
        for (const double amplitude : {0.0, 0.01, 1.0})
            for (const index_t n : {1, 2, 7, 8, 9, 64, 65, 150}) {
                Diagram<double> d{uniform<double>(2 * n, ++seed), uniform<double>(n, 1000 + seed), {}, 0, periodic};
                for (double& p : d.psi) p *= amplitude;
                if (amplitude == 0.0) d.psi.clear();
                if (n % 2) d.density = uniform<double>(35, seed), d.nx = 7;
                for (const char* level : levels()) {
                    const Result<double> r(d, {.threads = 2, .simd = level});
                    CHECK(r.summary.done == n);
                    double sum = 0;
                    for (index_t i = 0; i < n; ++i) {
                        const Moments m = brute_force(d, i);
                        CHECK(std::abs(m.mass - r.mass[i]) < 1e-13, m.mass, r.mass[i], n, i, level, periodic);
                        CHECK(std::abs(m.second - r.second[i]) < 1e-13, m.second, r.second[i], n, i, level);
                        CHECK(std::abs(2 * m.x + r.gradient[2 * i]) < 1e-13, m.x, r.gradient[2 * i]);
                        CHECK(std::abs(2 * m.y + r.gradient[2 * i + 1]) < 1e-13, m.y, r.gradient[2 * i + 1]);
                        sum += r.mass[i];
                    }
                    CHECK(std::abs(sum - 1) < 1e-13, sum);
                }
            }
}

// Sites on a circle around one: its polygon outgrows the first scratch several times.
void many_vertices() {
    const index_t n = sized(3000, 700);
    Diagram<double> d;
    for (index_t i = 0; i < n; ++i) {
        const double angle = 2 * std::numbers::pi * static_cast<double>(i) / static_cast<double>(n);
        d.sites.insert(d.sites.end(), {0.5 + 0.4 * std::cos(angle), 0.5 + 0.4 * std::sin(angle)});
    }
    d.sites.insert(d.sites.end(), {0.5, 0.5});
    for (const char* level : levels()) {
        const Result<double> r(d, {.simd = level});
        CHECK(r.count[n] == n, r.count[n]);
        const double m = static_cast<double>(n);
        CHECK_CLOSE(r.mass[n], m * 0.04 * std::tan(std::numbers::pi / m), 1e-11);
    }
}

void polygons_of(const Diagram<float>& d) {
    const index_t n = d.size();
    const Result<float> r(d, {});
    std::vector<std::int64_t> offsets(n + 1);
    for (index_t i = 0; i < n; ++i) offsets[i + 1] = offsets[i] + r.count[i];
    std::vector<float> vertices(2 * offsets[n]);
    std::vector<std::int64_t> neighbours(offsets[n]);
    const auto ask = [&] {
        return laguerre::polygons<float>(d.problem(), {offsets.data(), n + 1, 1},
                                         {vertices.data(), offsets[n], 2, 2, 1}, {neighbours.data(), offsets[n], 1});
    };
    index_t wanted = 0;
    for (index_t i = 0; i < n; ++i) wanted += r.count[i] > 0;
    CHECK(ask() == wanted && wanted > 10, wanted);
    for (index_t i = 0; i < n; ++i) {
        double area = 0;
        for (index_t k = offsets[i]; k < offsets[i + 1]; ++k) {
            const index_t l = k + 1 < offsets[i + 1] ? k + 1 : offsets[i];
            area +=
                0.5 * (double(vertices[2 * k]) * vertices[2 * l + 1] - double(vertices[2 * l]) * vertices[2 * k + 1]);
        }
        CHECK(std::abs(area - r.mass[i]) < 1e-5, area, r.mass[i]);
    }
    ++offsets[1];
    CHECK_THROWS(ask(), InvalidValue, "[quantization.laguerre] offsets: expected the counts of the same problem");
}

void refused() {
    const double nan = std::numeric_limits<double>::quiet_NaN();
    const Diagram<double> good{uniform<double>(20, 1), uniform<double>(10, 2), uniform<double>(12, 3), 3, false};
    const auto refuse = [&](const char* message, auto&& change) {
        Diagram<double> d = good;
        change(d);
        CHECK_THROWS((Result<double>(d, {})), InvalidValue, message);
    };
    refuse("[quantization.laguerre] sites: expected finite values, got nan at [3, 1]",
           [&](auto& d) { d.sites[7] = nan; });
    refuse("[quantization.laguerre] psi: expected finite values, got nan at [3, 0]", [&](auto& d) { d.psi[3] = nan; });
    refuse("sites: expected values below 100 powers of ten, got one at [0, 0]", [&](auto& d) { d.sites[0] = 1e120; });
    refuse("measure.values: expected finite nonnegative values", [&](auto& d) { d.density[4] = -1; });
    refuse("measure.values: expected a positive finite total mass", [&](auto& d) { d.density.assign(12, 0.0); });
    refuse("[quantization.laguerre] sites: expected shape (n, 2), n >= 1", [&](auto& d) { d.sites.clear(); });
    laguerre::Problem<double> q = good.problem();
    q.upper[0] = q.lower[0];
    CHECK_THROWS(laguerre::require_shapes(q), InvalidValue, "measure: expected a box");
    q = good.problem();
    q.psi.size = 3;
    CHECK_THROWS(laguerre::require_shapes(q), InvalidValue, "psi: expected one value per site");
}

}  // namespace

int main() {
    equal_to_brute_force();
    many_vertices();
    for (const bool periodic : {false, true})
        polygons_of({uniform<float>(sized(2000, 400), 5), uniform<float>(sized(1000, 200), 6), {}, 0, periodic});
    refused();
    return report();
}
