// The CUDA kernel of laguerre against the CPU one, in one process: numbers, polygons, errors, strides, stops, and runs
// equal to the bit. Compiled against tests/gpu/emulated it runs on the host.
// Usage and exit status: see twin.hpp.
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
    enum Kind { random, circle, equal, cluster, copies } kind = random;
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

template <class T>
void compare_polygons(Setup<T>& s, const std::string& name, double tolerance) {
    const std::vector<std::int64_t> counts = s.count.fetch();
    std::vector<std::int64_t> offsets(s.c.n + 1);
    for (index_t i = 0; i < s.c.n; ++i) offsets[i + 1] = offsets[i] + counts[i];
    const index_t total = offsets[s.c.n];
    Twin<std::int64_t> begin(offsets), across(std::vector<std::int64_t>(total, -7));
    Twin<T> vertices(std::vector<T>(2 * total));
    const auto ask = [&](bool gpu) {
        const deblai::Vector<const std::int64_t> o{begin.on(gpu), s.c.n + 1, 1};
        const deblai::Matrix<T> v{vertices.on(gpu), total, 2, 2, 1};
        const deblai::Vector<std::int64_t> a{across.on(gpu), total, 1};
        if (gpu) return deblai::cuda::laguerre::polygons<T>(s.problem(true), o, v, a, nullptr, 0);
        return deblai::laguerre::polygons<T>(s.problem(false), o, v, a);
    };
    ask(true);
    ask(false);
    const std::vector<T> v = vertices.fetch();
    const std::vector<std::int64_t> a = across.fetch();
    // Polygons may begin at another vertex: area and the sum of what is across do not mind.
    double worst = 0;
    bool same = true;
    for (index_t i = 0; i < s.c.n; ++i) {
        double area[2] = {};
        std::int64_t sum[2] = {};
        for (index_t k = offsets[i]; k < offsets[i + 1]; ++k) {
            const index_t l = k + 1 < offsets[i + 1] ? k + 1 : offsets[i];
            for (int side = 0; side < 2; ++side) {
                const std::vector<T>& w = side ? v : vertices.host;
                area[side] += 0.5 * (double(w[2 * k]) * w[2 * l + 1] - double(w[2 * l]) * w[2 * k + 1]);
                sum[side] += (side ? a : across.host)[k];
            }
        }
        worst = std::max(worst, std::abs(area[0] - area[1]));
        same = same && sum[0] == sum[1];
    }
    expect(worst < tolerance, name + " polygons " + std::to_string(worst));
    expect(same, name + " neighbours");
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
    compare_polygons(s, name, tolerance);
    deblai::cuda::laguerre::cells(s.problem(true), s.output(true), nullptr, 0);
    expect(same_bits(s.mass.fetch(), mass) && same_bits(s.centroid.fetch(), centroid), name + " twice the same");
}

template <class F>
void refuse(const char* reason, const F& call) {
    const std::string said = message(call);
    expect(said.find(reason) != std::string::npos, said + " instead of " + reason);
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
                            {"equal", 60, false, 0, 0, 0, false, Case::equal},
                            {"copies", 160, false, 0, 0, 0, false, Case::copies},
                            {"copies weighted", 160, false, 1e-3, 0, 0, false, Case::copies},
                            {"cluster", 600, false, 0, 0, 0, false, Case::cluster}};
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
}

}  // namespace

int main(int argc, char** argv) {
    return run(argc, argv, [](bool quick) {
        compare_all(quick);
        errors();
    });
}
