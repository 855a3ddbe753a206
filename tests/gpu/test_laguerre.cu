// The CUDA kernel of laguerre against the CPU one, in one process: numbers, polygons, facets, measures of every form,
// errors, strides, stops, and runs equal to the bit. Compiled against tests/gpu/emulated it runs on the host.
// Usage and exit status: see twin.hpp.
#include <array>

#include "deblai/cuda/laguerre.hpp"
#include "twin.hpp"

namespace {

using namespace deblai::test;
using deblai::index_t;
using deblai::laguerre::Output;
using deblai::laguerre::Problem;
using deblai::laguerre::Summary;

struct Case {
    const char* name;
    index_t n;
    bool periodic = false;
    double psi = 0;
    index_t nx = 0, ny = 0;
    bool strided = false;
    enum Kind { random, circle, equal, twins, cluster, copies } kind = random;
    int corners = 0;  // of the domain; 0: the box
    int gaussians = 0;
    int mesh = 0;  // squares along a side, of two triangles each
};

// What a form points to, on the host.
struct Arrays {
    std::vector<double> corners, gaussians, points, values;
    std::vector<std::int64_t> triangles;

    explicit Arrays(const Case& c) {
        for (int k = 0; k < c.corners; ++k) {
            const double angle = 6.283185307179586 * (k + 0.3) / c.corners;
            corners.insert(corners.end(), {0.5 + 0.5 * std::cos(angle), 0.5 + 0.4 * std::sin(angle)});
        }
        for (int k = 0; k < c.gaussians; ++k) {
            const double s = std::pow(0.3, k);
            gaussians.insert(gaussians.end(),
                             {1 + 0.5 * k, 0.2 + 0.25 * k, 0.7 - 0.2 * k, s * s, 0.4 * s * s, 2 * s * s});
        }
        const int side = c.mesh + 1;
        for (int k = 0; c.mesh > 0 && k < side * side; ++k) {
            points.insert(points.end(), {double(k % side) / c.mesh, double(k / side) / c.mesh});
            values.push_back(k % 5 == 0 ? 0 : 1 + k % 3);
            if (k % side < c.mesh && k / side < c.mesh)
                triangles.insert(triangles.end(), {k, k + 1, k + side, k + side, k + 1, k + side + 1});
        }
    }
    deblai::laguerre::Form form() const {
        const auto rows = [](const auto& v, index_t cols) { return static_cast<index_t>(v.size()) / cols; };
        deblai::laguerre::Form f;
        if (!corners.empty()) f.corners = {corners.data(), rows(corners, 2), 2, 2, 1};
        if (!gaussians.empty()) f.gaussians = {gaussians.data(), rows(gaussians, 6), 6, 6, 1};
        if (points.empty()) return f;
        f.points = {points.data(), rows(points, 2), 2, 2, 1};
        f.triangles = {triangles.data(), rows(triangles, 3), 3, 3, 1};
        f.values = {values.data(), rows(values, 1), 1};
        return f;
    }
};

template <class T>
std::vector<T> sites_of(const Case& c) {
    std::vector<T> y = uniform<T>(2 * c.n, 7 + c.n, 1.2, -0.1);
    for (index_t i = 0; i < c.n; ++i) {
        const double angle = 6.283185307179586 * static_cast<double>(i) / static_cast<double>(c.n - 1);
        if (c.kind == Case::circle) {
            y[2 * i] = static_cast<T>(0.5 + (i + 1 < c.n ? 0.4 * std::cos(angle) : 0));
            y[2 * i + 1] = static_cast<T>(0.5 + (i + 1 < c.n ? 0.4 * std::sin(angle) : 0));
        }
        if (c.kind == Case::equal && i % 3) y[2 * i] = y[0], y[2 * i + 1] = y[1];
        if (c.kind == Case::twins && i >= c.n / 4)
            for (int k = 0; k < 2; ++k) y[2 * i + k] = y[2 * (i % (c.n / 4)) + k];
        if (c.kind == Case::cluster)
            for (int k = 0; k < 2; ++k)
                y[2 * i + k] = static_cast<T>(0.5 + std::pow(0.1, i % 6) * (y[2 * i + k] - 0.5));
        // Sixteen of each, not beside one another, and some so near that they share a place of the curve.
        if (c.kind == Case::copies)
            for (int k = 0; k < 2; ++k) {
                T& x = y[2 * i + k];
                x = i >= c.n / 16 ? y[2 * (i * 7 % (c.n / 16)) + k] : i % 3 ? x : static_cast<T>(0.5 + 1e-11 * x);
            }
    }
    return y;
}

template <class T>
std::vector<T> psi_of(const Case& c) {
    std::vector<T> psi = c.psi > 0 ? uniform<T>(c.n, 3, c.psi) : std::vector<T>{};
    for (std::size_t i = 0; c.kind == Case::copies && i < psi.size(); ++i) psi[i] = static_cast<T>(c.psi * (i / 5 % 2));
    return psi;
}

template <class T>
struct Setup {
    Twin<T> sites, psi, density, mass, centroid, second, gradient;
    Twin<std::int64_t> count;
    Arrays arrays;
    Case c;

    explicit Setup(const Case& c)
        : sites(spread(sites_of<T>(c), c.strided)),
          psi(psi_of<T>(c)),
          density(uniform<T>(c.nx * c.ny, 4)),
          mass(std::vector<T>(c.n)),
          centroid(std::vector<T>(2 * c.n)),
          second(std::vector<T>(c.n)),
          gradient(std::vector<T>(2 * c.n)),
          count(std::vector<std::int64_t>(c.n)),
          arrays(c),
          c(c) {}

    static std::vector<T> spread(const std::vector<T>& y, bool strided) {
        if (!strided) return y;
        std::vector<T> out(3 * y.size(), std::numeric_limits<T>::quiet_NaN());
        for (std::size_t k = 0; k < y.size(); ++k) out[3 * k] = y[k];
        return out;
    }
    Problem<T> problem(bool gpu) {
        const index_t step = c.strided ? 3 : 1;
        Problem<T> q{{sites.on(gpu), c.n, 2, 2 * step, step}, {}, {0, 0}, {1, 1}, {}, c.periodic};
        if (c.psi > 0) q.psi = {psi.on(gpu), c.n, 1};
        q.form = arrays.form();
        if (c.nx) q.density = {density.on(gpu), c.nx, c.ny, c.ny, 1};
        return q;
    }
    Output<T> output(bool gpu) {
        return {{mass.on(gpu), c.n, 1},
                {centroid.on(gpu), c.n, 2, 2, 1},
                {second.on(gpu), c.n, 1},
                {count.on(gpu), c.n, 1},
                {gradient.on(gpu), c.n, 2, 2, 1}};
    }
};

template <class T>
double difference(const std::vector<T>& a, const std::vector<T>& b) {
    double most = 0;
    for (std::size_t i = 0; i < a.size(); ++i) {
        const double d = std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i]));
        most = d <= most ? most : d;  // NaN stays
    }
    return most;
}

template <class F>
void refuse(const char* reason, const F& call) {
    const std::string said = message(call);
    expect(said.find(reason) != std::string::npos, said + " instead of " + reason);
}

// Rows of what was asked edge by edge, from the CPU and from the GPU.
template <class T>
struct Edges {
    index_t n, total = 0;
    std::vector<std::int64_t> counts, offsets;
    Twin<std::int64_t> begin, across, beside;
    Twin<T> vertices, mass, first, second, offset;

    explicit Edges(const Setup<T>& s)
        : n(s.c.n),
          counts(s.count.fetch()),
          offsets(sums(counts)),
          begin(offsets),
          across(std::vector<std::int64_t>(offsets[n], -7)),
          beside(across.host),
          vertices(std::vector<T>(2 * offsets[n])),
          mass(std::vector<T>(offsets[n])),
          first(vertices.host),
          second(std::vector<T>(4 * offsets[n])),
          offset(vertices.host) {
        total = offsets[n];
    }
    static std::vector<std::int64_t> sums(const std::vector<std::int64_t>& counts) {
        std::vector<std::int64_t> sums(counts.size() + 1);
        for (std::size_t i = 0; i < counts.size(); ++i) sums[i + 1] = sums[i] + counts[i];
        return sums;
    }
    index_t polygons(const Problem<T>& q, bool gpu) {
        const deblai::Vector<const std::int64_t> o{begin.on(gpu), n + 1, 1};
        const deblai::Matrix<T> v{vertices.on(gpu), total, 2, 2, 1};
        const deblai::Vector<std::int64_t> a{across.on(gpu), total, 1};
        if (gpu) return deblai::cuda::laguerre::polygons<T>(q, o, v, a, nullptr, 0);
        return deblai::laguerre::polygons<T>(q, o, v, a);
    }
    index_t facets(const Problem<T>& q, bool gpu, index_t rows) {
        const deblai::Vector<const std::int64_t> o{begin.on(gpu), n + 1, 1};
        const deblai::laguerre::Facets<T> f{{mass.on(gpu), rows, 1},
                                            {first.on(gpu), total, 2, 2, 1},
                                            {second.on(gpu), total, 4, 4, 1},
                                            {offset.on(gpu), total, 2, 2, 1},
                                            {beside.on(gpu), total, 1}};
        if (gpu) return deblai::cuda::laguerre::facets<T>(q, o, f, nullptr, 0);
        return deblai::laguerre::facets<T>(q, o, f);
    }
    // A row of all numbers of each edge.
    std::vector<std::array<double, 11>> rows(bool gpu) const {
        const auto of = [&](const auto& t) { return gpu ? t.fetch() : t.host; };
        const auto a = of(across);
        const auto v = of(vertices), m = of(mass), f = of(first), s = of(second), d = of(offset);
        std::vector<std::array<double, 11>> out(total);
        for (index_t k = 0; k < total; ++k)
            out[k] = {double(a[k]), v[2 * k],     v[2 * k + 1], m[k],     f[2 * k],    f[2 * k + 1],
                      s[4 * k],     s[4 * k + 1], s[4 * k + 3], d[2 * k], d[2 * k + 1]};
        return out;
    }
};

template <class T>
void compare_edges(Setup<T>& s, const std::string& name, double tolerance) {
    Edges<T> e(s);
    for (const bool gpu : {true, false}) {
        e.polygons(s.problem(gpu), gpu);
        expect(e.facets(s.problem(gpu), gpu, e.total) <= s.c.n, name + " facets done");
    }
    expect(same_bits(e.beside.fetch(), e.across.fetch()), name + " neighbours of facets");
    const auto cpu = e.rows(false), gpu = e.rows(true);
    // Polygons may begin at another vertex.
    double worst = 0;
    for (index_t i = 0; i < s.c.n; ++i) {
        const index_t size = e.counts[i];
        double least = size > 0 ? HUGE_VAL : 0;
        for (index_t turn = 0; turn < size; ++turn) {
            double most = 0;
            for (index_t k = 0; k < size && most < least; ++k) {
                const auto& a = cpu[e.offsets[i] + k];
                const auto& b = gpu[e.offsets[i] + (k + turn) % size];
                for (std::size_t c = 0; c < a.size(); ++c) {
                    const double d = std::abs(a[c] - b[c]) / (1 + std::abs(a[c]));
                    most = d <= most ? most : d;
                }
            }
            least = std::min(least, most);
        }
        worst = std::max(worst, least);
    }
    expect(worst < tolerance, name + " edges " + std::to_string(worst));
    std::vector<std::int64_t>& wrong = e.begin.host;
    if (s.c.n < 2 || e.counts[0] == 0) return;
    ++wrong[1];
    e.begin.send();
    refuse("offsets: expected the counts of the same problem", [&] { e.facets(s.problem(true), true, e.total); });
    --wrong[1], ++wrong.back();
    e.begin.send();
    refuse("as many rows as the last offset says", [&] { e.facets(s.problem(true), true, e.total); });
    wrong.back() = e.total;
    e.begin.send();
    refuse("as many rows as the last offset says", [&] { e.facets(s.problem(true), true, e.total - 1); });
}

template <class T>
void compare(const Case& c) {
    Setup<T> s(c);
    const std::string name = std::string(c.name) + (sizeof(T) == 4 ? " f32" : " f64") + (c.periodic ? " torus" : "");
    const Summary cpu = deblai::laguerre::cells(s.problem(false), s.output(false));
    const Summary gpu = deblai::cuda::laguerre::cells(s.problem(true), s.output(true), nullptr, 0);
    const double tolerance = sizeof(T) == 4 ? 2e-7 : 1e-12;
    expect(gpu.done == c.n, name + " done");
    expect(std::abs(gpu.energy - cpu.energy) < 1e-12, name + " energy " + std::to_string(gpu.energy - cpu.energy));
    expect(std::abs(gpu.value - cpu.value) < 1e-12 * (1 + c.psi), name + " value");
    const std::vector<T> mass = s.mass.fetch(), gradient = s.gradient.fetch(), second = s.second.fetch();
    expect(difference(mass, s.mass.host) < tolerance, name + " mass " + std::to_string(difference(mass, s.mass.host)));
    expect(difference(second, s.second.host) < tolerance, name + " second moment");
    expect(difference(gradient, s.gradient.host) < tolerance, name + " gradient");
    double moment = 0, sum = 0;
    const std::vector<T> centroid = s.centroid.fetch();
    for (index_t i = 0; i < 2 * c.n; ++i) {
        moment = std::max(moment, std::abs(double(mass[i / 2]) * (double(centroid[i]) - double(s.centroid.host[i]))));
        sum += 0.5 * double(mass[i / 2]);
    }
    expect(moment < tolerance, name + " centroid");
    expect(std::abs(sum - 1) < (sizeof(T) == 4 ? 1e-5 : 1e-12), name + " sum of masses");
    expect(same_bits(s.count.fetch(), s.count.host), name + " counts");
    // Edges between sites 1e-11 apart are known to 1e-5.
    compare_edges(s, name, c.kind == Case::copies ? 1e-4 : tolerance);
    deblai::cuda::laguerre::cells(s.problem(true), s.output(true), nullptr, 0);
    expect(same_bits(s.mass.fetch(), mass) && same_bits(s.centroid.fetch(), centroid), name + " twice the same");
}

void errors() {
    const double nan = std::numeric_limits<double>::quiet_NaN();
    const auto run = [](auto&& change) {
        Setup<double> s({"", 30, false, 0.1, 4, 3});
        const auto put = [](Twin<double>& t, index_t at, double value) {
            check(cudaMemcpy(t.device + at, &value, sizeof value, cudaMemcpyHostToDevice));
        };
        change(s, put);
        deblai::cuda::laguerre::cells(s.problem(true), s.output(true), nullptr, 0);
    };
    refuse("sites: expected finite values, got nan at [3, 1]",
           [&] { run([&](auto& s, auto& put) { put(s.sites, 7, nan); }); });
    refuse("sites: expected values below 100 powers of ten, got one at [0, 0]",
           [&] { run([&](auto& s, auto& put) { put(s.sites, 0, -1e150); }); });
    refuse("psi: expected finite values, got nan at [29, 0]",
           [&] { run([&](auto& s, auto& put) { put(s.psi, 29, nan); }); });
    refuse("measure.values: expected finite nonnegative values, got -1",
           [&] { run([&](auto& s, auto& put) { put(s.density, 5, -1); }); });
    refuse("measure.values: expected a positive finite total mass, got 0", [&] {
        run([&](auto& s, auto& put) {
            for (index_t k = 0; k < 12; ++k) put(s.density, k, 0);
        });
    });
    const auto shape = [](const Case& c, auto&& change) {
        Setup<double> s(c);
        change(s.arrays);
        deblai::cuda::laguerre::cells(s.problem(true), s.output(true), nullptr, 0);
    };
    refuse("positive definite covariances",
           [&] { shape({.name = "", .n = 9, .gaussians = 2}, [](Arrays& a) { a.gaussians[9] = -1; }); });
    refuse("measure.triangles: expected numbers of points",
           [&] { shape({.name = "", .n = 9, .mesh = 2}, [](Arrays& a) { a.triangles[4] = 9; }); });
    refuse("measure.vertices: expected the corners of a convex polygon",
           [&] { shape({.name = "", .n = 9, .corners = 7}, [](Arrays& a) { a.corners[4] = 5; }); });
    refuse("graph, known: expected none on a GPU", [&] {
        Setup<double> s({"", 9});
        Output<double> out = s.output(true);
        std::int32_t sums[10];
        out.graph.begin = {sums, 10, 1};
        deblai::cuda::laguerre::cells(s.problem(true), out, nullptr, 0);
    });
}

// After a stop the cells done so far are as they are, the others NaN.
void stops(index_t n, index_t round) {
    Setup<double> s({"stop", n});
    deblai::cuda::laguerre::cells(s.problem(true), s.output(true), nullptr, 0);
    const std::vector<double> whole = s.mass.fetch();
    int asked = 0;
    const auto poll = [](void* context) { return ++*static_cast<int*>(context) == 2; };
    const Summary stopped = deblai::cuda::laguerre::cells(s.problem(true), s.output(true), nullptr, 0, poll, &asked);
    expect(stopped.done == 2 * round && std::isnan(stopped.energy) && std::isnan(stopped.value), "stop");
    const std::vector<double> part = s.mass.fetch();
    index_t done = 0;
    for (index_t i = 0; i < n; ++i) done += part[i] == whole[i];
    expect(done == stopped.done, "stop: " + std::to_string(done) + " masses");
}

void compare_all(bool quick) {
    std::vector<Case> cases{{"one", 1},
                            {"two", 2},
                            {"eight", 8},
                            {"nine", 9, false, 0.01},
                            {"few", 70},
                            {"power", 300, false, 0.01},
                            {"wide", 300, false, 10},
                            {"pixels", 100, false, 0.001, 9, 14},
                            {"strided", 100, false, 0, 0, 0, true},
                            {"circle", 200, false, 0, 5, 5, false, Case::circle},
                            {"equal", 300, false, 0, 0, 0, false, Case::equal},
                            {"copies", 160, false, 0, 0, 0, false, Case::copies},
                            {"copies weighted", 160, false, 1e-3, 0, 0, false, Case::copies},
                            {"twins", 200, false, 0, 0, 0, false, Case::twins},
                            {"twins", 200, false, 0.01, 0, 0, false, Case::twins},
                            {"cluster", 600, false, 0, 0, 0, false, Case::cluster}};
    const std::vector<Case> forms{{.name = "triangle", .n = 50, .psi = 0.01, .corners = 3},
                                  {.name = "disk", .n = 20, .corners = 60},
                                  {.name = "fine disk", .n = 3, .psi = 0.1, .corners = 300},
                                  {.name = "normal", .n = 60, .psi = 0.01, .gaussians = 1},
                                  {.name = "mixture", .n = 150, .gaussians = 4},
                                  {.name = "mixture on a disk", .n = 40, .corners = 20, .gaussians = 3},
                                  {.name = "mesh", .n = 100, .psi = 0.01, .mesh = 6},
                                  {.name = "fine mesh", .n = 9, .mesh = 17},
                                  {.name = "mesh, strided", .n = 20, .strided = true, .mesh = 1}};
    if (!quick) {
        cases.push_back({"many", 300000});
        cases.push_back({"many pixels", 100000, false, 1e-6, 500, 300});
        cases.push_back({"large circle", 3000, false, 0, 0, 0, false, Case::circle});
    }
    for (Case c : cases)
        for (const bool periodic : {false, true}) {
            c.periodic = periodic;
            // the circle is degenerate: float32 sites make it generic, and counts equal
            if (c.kind != Case::circle) compare<double>(c);
            compare<float>(c);
        }
    for (const Case& c : forms) compare<double>(c), compare<float>(c);
}

}  // namespace

int main(int argc, char** argv) {
    return run(argc, argv, [](bool quick) {
        compare_all(quick);
        errors();
#if defined(DEBLAI_ROUND_CELLS)
        stops(300, DEBLAI_ROUND_CELLS);
#else
        if (!quick) stops(3000000, 1 << 20);
#endif
    });
}
