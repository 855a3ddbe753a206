// Cells of space against brute force in C++, at every instruction set: the facet between two sites is what all other
// bisectors leave of theirs. Threads to the bit, stops, memory as promised.
#include <array>
#include <cmath>
#include <vector>

#include "check.hpp"
#include "deblai/error.hpp"
#include "deblai/laguerre3.hpp"
#include "support.hpp"

namespace {

using namespace deblai;
using namespace deblai::test;
using Vec = std::array<double, 3>;

double dot(const Vec& a, const Vec& b) { return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]; }
Vec cross(const Vec& a, const Vec& b) {
    return {a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]};
}
Vec plus(const Vec& a, double t, const Vec& b) { return {a[0] + t * b[0], a[1] + t * b[1], a[2] + t * b[2]}; }

template <class T>
struct Diagram {
    std::vector<T> sites, psi;
    bool periodic = false;

    index_t size() const { return static_cast<index_t>(sites.size() / 3); }
    laguerre3::Problem<T> problem() const {
        laguerre3::Problem<T> q{{sites.data(), size(), 3, 3, 1}, {}, {0, 0, 0}, {1, 1, 1}, periodic};
        if (!psi.empty()) q.psi = {psi.data(), size(), 1};
        return q;
    }
};

template <class T>
struct Result {
    std::vector<T> mass, centroid, second, gradient;
    std::vector<std::int64_t> counts;
    laguerre3::Summary summary;

    Result(const Diagram<T>& d, const Control& control)
        : mass(d.size()), centroid(3 * d.size()), second(d.size()), gradient(3 * d.size()), counts(3 * d.size()) {
        const index_t n = d.size();
        const laguerre3::Output<T> out{{mass.data(), n, 1},
                                       {centroid.data(), n, 3, 3, 1},
                                       {second.data(), n, 1},
                                       {counts.data(), n, 3, 3, 1},
                                       {gradient.data(), n, 3, 3, 1}};
        summary = laguerre3::cells(d.problem(), out, control);
    }
};

struct Plane {
    Vec normal;  // of length 1
    double h;
};

std::vector<Plane> planes(const Diagram<double>& d, index_t i) {
    std::vector<Plane> out;
    const Vec y{d.sites[3 * i], d.sites[3 * i + 1], d.sites[3 * i + 2]};
    if (!d.periodic)
        for (int k = 0; k < 3; ++k)
            for (const double sign : {-1.0, 1.0}) {
                Plane p{{0, 0, 0}, sign > 0 ? 1 - y[k] : y[k]};
                p.normal[k] = sign;
                out.push_back(p);
            }
    const int around = d.periodic ? 1 : 0;
    for (index_t j = 0; j < d.size(); ++j)
        for (int a = -around; a <= around; ++a)
            for (int b = -around; b <= around; ++b)
                for (int c = -around; c <= around; ++c) {
                    const Vec v{d.sites[3 * j] - y[0] + a, d.sites[3 * j + 1] - y[1] + b,
                                d.sites[3 * j + 2] - y[2] + c};
                    const double length = std::sqrt(dot(v, v));
                    if (length == 0) continue;
                    const double gap = d.psi.empty() ? 0.0 : d.psi[i] - d.psi[j];
                    out.push_back({{v[0] / length, v[1] / length, v[2] / length}, 0.5 * (length + gap / length)});
                }
    return out;
}

struct Sums {
    double mass = 0, second = 0;
    Vec first{};
    int facets = 0;
};

// The cone over each facet from the site: V = h A / 3, first moments 3/4 and second 3/5 of V times the facet's means.
Sums brute_force(const Diagram<double>& d, index_t i) {
    Sums sum;
    const std::vector<Plane> all = planes(d, i);
    std::vector<Vec> polygon, next;
    for (const Plane& own : all) {
        const Vec& n = own.normal;
        Vec axis{};
        axis[std::abs(n[0]) < 0.6 ? 0 : std::abs(n[1]) < 0.6 ? 1 : 2] = 1;
        Vec u = cross(n, axis);
        const double length = std::sqrt(dot(u, u));
        for (double& x : u) x /= length;
        const Vec w = cross(n, u), foot{own.h * n[0], own.h * n[1], own.h * n[2]};
        polygon.clear();
        for (const auto& [a, b] : {std::pair{1, 1}, {-1, 1}, {-1, -1}, {1, -1}})
            polygon.push_back(plus(plus(foot, 20.0 * a, u), 20.0 * b, w));
        for (const Plane& other : all) {
            if (&other == &own) continue;
            next.clear();
            for (std::size_t k = 0; k < polygon.size(); ++k) {
                const Vec &p = polygon[k], &q = polygon[(k + 1) % polygon.size()];
                const double s = dot(p, other.normal) - other.h, t = dot(q, other.normal) - other.h;
                if (s <= 0) next.push_back(p);
                if ((s < 0 && t > 0) || (s > 0 && t < 0)) next.push_back(plus(p, s / (s - t), plus(q, -1, p)));
            }
            polygon.swap(next);
            if (polygon.size() < 3) break;
        }
        double whole = 0;
        for (std::size_t k = 1; k + 1 < polygon.size(); ++k) {
            const Vec &a = polygon[0], &b = polygon[k], &c = polygon[k + 1];
            const double v = dot(a, cross(b, c)) / 6;
            Vec s = plus(plus(a, 1, b), 1, c);
            for (int m = 0; m < 3; ++m) sum.first[m] += v * s[m] / 4;
            sum.mass += v;
            sum.second += v * (dot(a, a) + dot(b, b) + dot(c, c) + dot(s, s)) / 20;
            const Vec area = cross(plus(b, -1, a), plus(c, -1, a));
            whole += std::sqrt(dot(area, area));
        }
        sum.facets += whole > 1e-12;
    }
    return sum;
}

void equal_to_brute_force() {
    for (std::uint64_t seed = 0; seed < static_cast<std::uint64_t>(sized(2000, 60)); ++seed) {
        const index_t n = 1 + static_cast<index_t>(seed % 12);
        Diagram<double> d{uniform<double>(3 * n, seed), uniform<double>(n, seed + 5000), seed % 8 == 7};
        const double amplitude = std::array{0.0, 1e-3, 0.05, 3.0}[seed / 2 % 4];
        for (double& p : d.psi) p *= amplitude;
        if (amplitude == 0.0) d.psi.clear();
        if (d.periodic && n > 5) d.sites.resize(15), d.psi.resize(d.psi.empty() ? 0 : 5);
        std::vector<Sums> expected;
        for (index_t i = 0; i < d.size(); ++i) expected.push_back(brute_force(d, i));
        for (const char* level : levels()) {
            const Result<double> r(d, {.threads = 1, .simd = level});
            double sum = 0;
            for (index_t i = 0; i < d.size(); ++i) {
                const Sums& m = expected[i];
                CHECK(std::abs(m.mass - r.mass[i]) < 1e-12, m.mass, r.mass[i], n, i, level, seed);
                CHECK(std::abs(m.second - r.second[i]) < 1e-12, m.second, r.second[i], n, i, level, seed);
                for (int k = 0; k < 3; ++k)
                    CHECK(std::abs(2 * m.first[k] + r.gradient[3 * i + k]) < 1e-12, m.first[k], seed);
                sum += r.mass[i];
            }
            CHECK(std::abs(sum - 1) < 1e-13, sum, seed);
        }
    }
}

// Sites on a sphere around one: its polyhedron outgrows the first scratch several times.
void many_facets() {
    const index_t n = sized(3000, 700);
    Diagram<double> d;
    for (index_t i = 0; i < n; ++i) {
        const double z = 1 - (2 * static_cast<double>(i) + 1) / static_cast<double>(n), ring = std::sqrt(1 - z * z);
        const double angle = std::numbers::pi * (1 + std::sqrt(5.0)) * static_cast<double>(i);
        d.sites.insert(d.sites.end(),
                       {0.5 + 0.4 * ring * std::cos(angle), 0.5 + 0.4 * ring * std::sin(angle), 0.5 + 0.4 * z});
    }
    d.sites.insert(d.sites.end(), {0.5, 0.5, 0.5});
    for (const char* level : levels()) {
        const Result<double> r(d, {.simd = level});
        CHECK(r.counts[3 * n + 1] == n, r.counts[3 * n + 1]);
        double sum = 0;
        for (const double m : r.mass) sum += m;
        CHECK(std::abs(sum - 1) < 1e-12, sum);
    }
}

// Lattices, whose vertices lie on many planes: every cell has the same volume, to the bit of rounding.
void lattices() {
    const int m = static_cast<int>(sized(6, 3));
    for (const int basis : {1, 2, 4})
        for (const bool periodic : {false, true}) {
            Diagram<double> d;
            d.periodic = periodic;
            for (int c = 0; c < m * m * m * basis; ++c) {
                const int b = c % basis, cell = c / basis, at[3] = {cell % m, cell / m % m, cell / m / m};
                for (int k = 0; k < 3; ++k) {
                    const double shift = basis == 2 ? 0.5 * b : b == 0 || b == k + 1 ? 0.0 : 0.5;
                    d.sites.push_back((at[k] + shift + 0.1) / m);
                }
            }
            for (const char* level : levels()) {
                const Result<double> r(d, {.simd = level});
                double sum = 0;
                for (const double v : r.mass) {
                    sum += v;
                    if (periodic) CHECK_CLOSE(v * static_cast<double>(d.size()), 1.0, 1e-12);
                }
                CHECK(std::abs(sum - 1) < 1e-12, sum, basis, periodic, level);
                if (periodic) CHECK(r.counts[1] == (basis == 1 ? 6 : basis == 2 ? 14 : 12), r.counts[1], basis);
            }
        }
}

void polyhedra_of(const Diagram<float>& d) {
    const index_t n = d.size();
    const Result<float> r(d, {});
    std::vector<std::int64_t> offsets(3 * (n + 1));
    for (index_t i = 0; i < 3 * n; ++i) offsets[i + 3] = offsets[i] + r.counts[i];
    const index_t nv = offsets[3 * n], nf = offsets[3 * n + 1], nc = offsets[3 * n + 2];
    std::vector<float> vertices(3 * nv), areas(nf);
    std::vector<std::int64_t> neighbours(nf), begin(nf + 1), corners(nc);
    const auto ask = [&] {
        return laguerre3::polyhedra<float>(d.problem(), {{offsets.data(), n + 1, 3, 3, 1},
                                                         {vertices.data(), nv, 3, 3, 1},
                                                         {neighbours.data(), nf, 1},
                                                         {areas.data(), nf, 1},
                                                         {begin.data(), nf + 1, 1},
                                                         {corners.data(), nc, 1}});
    };
    const index_t done = ask();
    CHECK(done > 10 && begin[nf] == nc, done, begin[nf], nc);
    for (index_t f = 0; f < nf; ++f) CHECK(begin[f] + 3 <= begin[f + 1] && neighbours[f] < n);
    for (const std::int64_t v : corners) CHECK(0 <= v && v < nv);
    ++offsets[3];
    CHECK_THROWS(ask(), InvalidValue, "[quantization.laguerre] offsets: expected");
}

void any_number_of_threads() {
    const index_t n = sized(6000, 1500);
    for (const bool weighted : {false, true}) {
        Diagram<double> d{uniform<double>(3 * n, 1), {}, true};
        if (weighted) d.psi = uniform<double>(n, 2);
        for (double& p : d.psi) p *= 1e-3;
        const Result<double> one(d, {.threads = 1});
        CHECK(one.summary.done == n);
        for (const int threads : {2, 3, 8}) {
            const Result<double> r(d, {.threads = threads});
            CHECK(r.mass == one.mass && r.centroid == one.centroid && r.second == one.second, threads);
            CHECK(r.counts == one.counts && r.summary.value == one.summary.value, threads);
        }
    }
    const Diagram<double> large{uniform<double>(3 * sized(60000, 20000), 4), {}, false};
    const Result<double> none(large, {.threads = 2, .poll = [](void*) { return true; }});
    CHECK(none.summary.done < large.size() && std::isnan(none.summary.value));
    index_t done = 0;
    for (const double m : none.mass) done += !std::isnan(m);
    CHECK(done == none.summary.done, done, none.summary.done);
}

void promised_memory() {
    const double zero = 0;
    const auto bytes = [&](index_t n, int threads) {
        return static_cast<double>(
            laguerre3::workspace_bytes<double>({{&zero, n, 3, 0, 0}, {}, {0, 0, 0}, {1, 1, 1}, false}, threads));
    };
    CHECK(bytes(1000000, 1) < 75e6 && bytes(1000000, 1) > 60e6, bytes(1000000, 1));
    CHECK(bytes(1000, 9) - bytes(1000, 1) < 8 * 130e3, bytes(1000, 9) - bytes(1000, 1));
}

void refused() {
    Diagram<double> d{uniform<double>(30, 1), uniform<double>(10, 2), false};
    d.sites[10] = std::nan("");
    CHECK_THROWS((Result<double>(d, {})), InvalidValue, "sites: expected finite values, got nan at [3, 1]");
    laguerre3::Problem<double> q = d.problem();
    q.upper[2] = 0;
    CHECK_THROWS(laguerre3::require_shapes(q), InvalidValue, "measure: expected a box");
    q = d.problem();
    q.psi.size = 3;
    CHECK_THROWS(laguerre3::require_shapes(q), InvalidValue, "psi: expected one value per site");
}

}  // namespace

int main() {
    equal_to_brute_force();
    many_facets();
    lattices();
    for (const bool periodic : {false, true})
        polyhedra_of({uniform<float>(3 * sized(1000, 200), 5), uniform<float>(sized(1000, 200), 6), periodic});
    any_number_of_threads();
    promised_memory();
    refused();
    return report();
}
