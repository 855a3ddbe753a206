// Powers of distances over cells of the plane: the edges of the parts of a cell on which the density is linear.
#include <atomic>

#include "../laguerre-run.hpp"
#include "../laguerre-slices.hpp"
#include "deblai/powers.hpp"
#include "powers-gaussian.hpp"

namespace deblai::powers {
namespace {

using laguerre::Cell;
using laguerre::Run;
using laguerre::Scene;
using laguerre::Scratch;

// A density as a function of v, value + slope.v.
struct Linear {
    double value, slope_x = 0, slope_y = 0;
};

// An edge from a to b with a density: `height` is the distance of its line from the site, to the side of the normal
// (tangent_y, -tangent_x), and the density at t along it is value + rise t.
struct Edge {
    int owner;
    double height, tangent_x, tangent_y, value, rise;
    Linear density;
};

// The edges of one cell, in units of `unit`.
class Edges {
public:
    void start(const Power& power, double unit) {
        lines_.clear();
        edges_.clear();
        unit_ = unit;
        scale_ = std::pow(unit, power.p);
    }
    void add(const Power& power, Point a, Point b, Linear density) {
        const double ax = a.x / unit_, ay = a.y / unit_, bx = b.x / unit_, by = b.y / unit_;
        const double dx = bx - ax, dy = by - ay, length = std::sqrt(dx * dx + dy * dy);
        if (!(length > 0)) return;
        const double tx = dx / length, ty = dy / length, h = ax * ty - ay * tx;
        const Linear own{density.value, density.slope_x * unit_, density.slope_y * unit_};
        const int owner = lines_.add(power, h * h, ax * tx + ay * ty, bx * tx + by * ty);
        const double value = own.value + h * (own.slope_x * ty - own.slope_y * tx);
        edges_.push_back({owner, h, tx, ty, value, own.slope_x * tx + own.slope_y * ty, own});
    }
    void integrate(const Power& power, const Kernels& kernel) { lines_.integrate(power, kernel, false); }

    // Sums over closed polygons. With s = slope.v, r^p = div(r^p v) / (p + 2) and r^p s = div(r^p s v) / (p + 3).
    Sums total(double p) const {
        Sums sum;
        for (const Edge& e : edges_) {
            const double* const b = lines_.of(e.owner);
            const double h = e.height, nx = e.tangent_y, ny = -e.tangent_x;
            const double whole = h * h * b[0] + b[2], along = h * h * b[1] + b[3];  // of r^p and r^p t
            const double sloped = (e.value - e.density.value) * whole + e.rise * along;
            const double m0 = e.value * b[0] + e.rise * b[1], m1 = e.value * b[1] + e.rise * b[2];
            const double vx = h * m0 * nx + m1 * e.tangent_x, vy = h * m0 * ny + m1 * e.tangent_y;
            const double inner = h * whole / (p + 2), flux = e.density.value * whole + sloped;
            sum.energy += h * (e.density.value * whole / (p + 2) + sloped / (p + 3));
            sum.x += e.density.slope_x * inner - nx * flux;
            sum.y += e.density.slope_y * inner - ny * flux;
            sum.xx += p * vx * nx - e.density.slope_x * nx * whole;
            sum.yy += p * vy * ny - e.density.slope_y * ny * whole;
            sum.xy += 0.5 * (p * (vx * ny + vy * nx) - (e.density.slope_x * ny + e.density.slope_y * nx) * whole);
        }
        const double first = scale_ * unit_, second = first * unit_;
        return {second * sum.energy, first * sum.x, first * sum.y, scale_ * sum.xx, scale_ * sum.xy, scale_ * sum.yy};
    }
    // Sums over one edge, of which there are pieces begin to end.
    FacetMoments moments(std::size_t begin, std::size_t end) const {
        FacetMoments sum;
        const double less = scale_ / unit_, more = scale_ * unit_;
        for (std::size_t k = begin; k < end; ++k) {
            const Edge& e = edges_[k];
            const double* const b = lines_.of(e.owner);
            const double tx = e.tangent_x, ty = e.tangent_y, hx = e.height * ty, hy = -e.height * tx;
            const double m0 = e.value * b[0] + e.rise * b[1], m1 = e.value * b[1] + e.rise * b[2],
                         m2 = e.value * b[2] + e.rise * b[3];
            sum.mass += less * m0;
            sum.x += scale_ * (hx * m0 + tx * m1);
            sum.y += scale_ * (hy * m0 + ty * m1);
            sum.xx += more * (hx * hx * m0 + 2 * hx * tx * m1 + tx * tx * m2);
            sum.yy += more * (hy * hy * m0 + 2 * hy * ty * m1 + ty * ty * m2);
            sum.xy += more * (hx * hy * m0 + (hx * ty + hy * tx) * m1 + tx * ty * m2);
        }
        return sum;
    }
    std::size_t size() const { return edges_.size(); }

private:
    Lines lines_;
    std::vector<Edge> edges_;
    double unit_ = 1, scale_ = 1;  // and its power
};

void require(bool ok, const char* message) {
    if (!ok) throw InvalidValue(std::string("[quantization.laguerre] ") + message);
}

void require_power(double p) { require(p >= 1 && p < 1000, "p: expected 1 <= p < 1000"); }

Point site_at(const Scene& scene, index_t place) {
    const laguerre::Leaf& leaf = scene.leaf[place / laguerre::lanes];
    return {leaf.x[place % laguerre::lanes], leaf.y[place % laguerre::lanes]};
}

// The edges of the parts of a cell on which the density is linear; an edge between two parts comes once, with the
// difference of their densities.
template <class Use>
void edges_of_parts(const Scene& scene, Point site, const Cell& cell, const Scratch& s, const Use& use) {
    const Pixels& p = scene.pixels;
    const PixelScratch rings{s.pixels, s.capacity + PixelScratch::slack};
    const auto around = [](const double* x, const double* y, int size, const auto& edge) {
        for (int k = 0; k < size; ++k) {
            const int l = k + 1 < size ? k + 1 : 0;
            edge(Point{x[k], y[k]}, Point{x[l], y[l]});
        }
    };
    if (scene.mesh.triangle) {
        MeshIntegral(scene.mesh, site.x, site.y, rings)
            .parts(s.x, s.y, cell.size, [&](const Ring& part, const deblai::detail::Plane& plane) {
                const double value = plane.value - plane.slope_x * plane.x - plane.slope_y * plane.y;
                const Linear density{value, plane.slope_x, plane.slope_y};
                around(part.x, part.y, part.size, [&](Point a, Point b) { use(a, b, density); });
            });
        return;
    }
    if (!p.density) return around(s.x, s.y, cell.size, [&](Point a, Point b) { use(a, b, {p.uniform}); });
    Ring whole = rings.ring(6);
    for (int k = 0; k < cell.size; ++k) whole.push(s.x[k], s.y[k]);
    using laguerre::Sides;
    laguerre::each_pixel(
        whole, p, site.x, site.y, rings, [&](index_t i, index_t j, const Ring& part, Sides xs, Sides ys) {
            const double* const row = p.density + j * p.nx;
            const double right = row[i + 1 < p.nx ? i + 1 : 0],
                         above = p.density[(j + 1 < p.ny ? j + 1 : 0) * p.nx + i];
            around(part.x, part.y, part.size, [&](Point a, Point b) {
                const auto on = [&](double line, double u, double v) { return u == line && v == line; };
                if (on(xs.low, a.x, b.x) || on(ys.low, a.y, b.y)) return;
                double density = row[i];
                if (on(xs.high, a.x, b.x)) density -= right;
                if (on(ys.high, a.y, b.y)) density -= above;
                if (density != 0) use(a, b, {density});
            });
        });
}

// Pieces of an edge on which the density is linear.
template <class Use>
void pieces(const Scene& scene, Point site, Point a, Point b, const Use& use) {
    if (scene.mesh.triangle) {
        MeshFacet(scene.mesh, site.x, site.y)
            .pieces(a, b, [&](Point from, Point to, double share, const deblai::detail::Plane& plane) {
                const double value = plane.value - plane.slope_x * plane.x - plane.slope_y * plane.y;
                use(from, to, {share * value, share * plane.slope_x, share * plane.slope_y});
            });
    } else {
        PixelFacet(scene.pixels, site.x, site.y).pieces(a, b, [&](Point from, Point to, double, double density) {
            if (density > 0) use(from, to, {density});
        });
    }
}

}  // namespace

index_t cells(const laguerre::Problem<double>& q, double p, const Output& out, const Control& control) {
    laguerre::require_shapes(q);
    require_power(p);
    require(!q.psi, "psi: expected none for powers");
    const index_t n = q.sites.rows;
    for (index_t i = 0; i < n; ++i) out.mass(i) = std::numeric_limits<double>::quiet_NaN();
    const Power power = power_of(p);
    const Kernels& kernel = pick(powers_table, control.simd);
    Run<double> run(q, control, true);
    const Scene& scene = run.scene();
    const GaussianPowers gaussian(scene.gaussians, power);
    std::vector<Edges> workers(run.team().size());
    std::atomic<index_t> done{0};
    run.each(
        true, [](index_t) { return true; },
        [&](index_t, index_t place, const Cell& cell, const Scratch& s) {
            const index_t i = scene.id[place];
            const Point site = site_at(scene, place);
            Sums sum;
            if (cell.size > 0 && scene.gaussians.component) {
                sum = gaussian.over(s.x, s.y, cell.size, site.x, site.y);
            } else if (cell.size > 0) {
                Edges& edges = workers[s.worker];
                edges.start(power, unit_of(s.x, s.y, nullptr, cell.size));
                edges_of_parts(scene, site, cell, s,
                               [&](Point a, Point b, Linear density) { edges.add(power, a, b, density); });
                edges.integrate(power, kernel);
                sum = edges.total(p);
            }
            out.mass(i) = cell.moments.mass;
            out.energy(i) = sum.energy;
            out.gradient(i, 0) = sum.x, out.gradient(i, 1) = sum.y;
            out.second(i, 0) = sum.xx, out.second(i, 1) = out.second(i, 2) = sum.xy, out.second(i, 3) = sum.yy;
            out.counts(i, 0) = cell.size;
            done.fetch_add(1, std::memory_order_relaxed);
        });
    return done.load();
}

index_t facets(const laguerre::Problem<double>& q, double p, Vector<const std::int64_t> offsets,
               const laguerre::Facets<double>& out, const Control& control) {
    laguerre::require_shapes(q);
    require_power(p);
    require(!q.psi, "psi: expected none for powers");
    const index_t n = q.sites.rows;
    require(offsets.size == n + 1 && offsets(0) == 0, "offsets: expected n + 1 running sums of the cells' counts");
    const index_t total = offsets(n);
    require(out.mass.size == total && out.neighbours.size == total && out.first.rows == total &&
                out.second.rows == total && out.offset.rows == total,
            "facets: expected as many rows as the last offset says");
    const Power power = power_of(p);
    const Kernels& kernel = pick(powers_table, control.simd);
    Run<double> run(q, control, true);
    const Scene& scene = run.scene();
    const GaussianPowers gaussian(scene.gaussians, power);
    std::vector<Edges> workers(run.team().size());
    std::vector<std::vector<std::size_t>> ends(run.team().size());
    std::atomic<index_t> done{0}, wrong{0};
    const auto wanted = [&](index_t i) { return offsets(i) != offsets(i + 1); };
    run.each(false, wanted, [&](index_t, index_t place, const Cell& cell, const Scratch& s) {
        const index_t begin = offsets(scene.id[place]);
        if (begin < 0 || begin + cell.size != offsets(scene.id[place] + 1)) return wrong.store(1);
        Edges& edges = workers[s.worker];
        std::vector<std::size_t>& end = ends[s.worker];
        edges.start(power, unit_of(s.x, s.y, nullptr, cell.size));
        end.assign(1, 0);
        const auto corner = [&](int k) { return k < cell.size ? Point{s.x[k], s.y[k]} : Point{s.x[0], s.y[0]}; };
        const Point site = site_at(scene, place);
        const bool smooth = scene.gaussians.component != nullptr;
        for (int k = 0; k < cell.size && !smooth; ++k) {
            pieces(scene, site, corner(k), corner(k + 1),
                   [&](Point from, Point to, Linear density) { edges.add(power, from, to, density); });
            end.push_back(edges.size());
        }
        edges.integrate(power, kernel);
        for (int k = 0; k < cell.size; ++k) {
            const std::int64_t other = s.label[k];
            const Point d = other < 0 ? Point{0, 0} : across(scene, place, other, corner(k), corner(k + 1));
            out.write(
                begin + k,
                smooth ? gaussian.along(corner(k), corner(k + 1), site.x, site.y) : edges.moments(end[k], end[k + 1]),
                d);
            out.neighbours(begin + k) = other < 0 ? -1 : scene.id[owner(scene, other)];
        }
        done.fetch_add(1, std::memory_order_relaxed);
    });
    require(wrong.load() == 0, "offsets: expected the counts of the same problem");
    return done.load();
}

}  // namespace deblai::powers
