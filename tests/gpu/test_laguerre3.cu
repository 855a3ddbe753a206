// The CUDA kernel of laguerre3 against the CPU one, in one process: numbers, errors, strides, and runs equal to the
// bit. Compiled against tests/gpu/emulated it runs on the host. Usage and exit status: see twin.hpp.
#include "deblai/cuda/laguerre3.hpp"
#include "twin.hpp"

namespace {

using namespace deblai::test;
using deblai::index_t;
using deblai::laguerre3::Output;
using deblai::laguerre3::Problem;
using deblai::laguerre3::Summary;

struct Case {
    const char* name;
    index_t n;
    bool periodic = false;
    double psi = 0;
    enum Kind { random, sphere, equal, cluster, copies, lattice, outside } kind = random;
    bool strided = false;
};

template <class T>
std::vector<T> sites_of(const Case& c) {
    std::vector<T> y =
        uniform<T>(3 * c.n, 7 + c.n, c.kind == Case::outside ? 4.0 : 1.2, c.kind == Case::outside ? -1.5 : -0.1);
    for (index_t i = 0; i < c.n; ++i) {
        T* const at = y.data() + 3 * i;
        if (c.kind == Case::sphere && i + 1 < c.n) {
            const double z = 1 - 2 * (i + 0.5) / static_cast<double>(c.n - 1), r = std::sqrt(1 - z * z),
                         a = 2.399963229728653 * i;
            const double point[3] = {r * std::cos(a), r * std::sin(a), z};
            for (int k = 0; k < 3; ++k) at[k] = static_cast<T>(0.5 + 0.4 * point[k]);
        }
        if (c.kind == Case::sphere && i + 1 == c.n) at[0] = at[1] = at[2] = static_cast<T>(0.5);
        if (c.kind == Case::equal && i % 3)
            for (int k = 0; k < 3; ++k) at[k] = y[k];
        if (c.kind == Case::cluster)
            for (int k = 0; k < 3; ++k) at[k] = static_cast<T>(0.5 + std::pow(0.1, i % 6) * (at[k] - 0.5));
        // Sixteen of each, not beside one another, and some so near that they share a place of the curve.
        if (c.kind == Case::copies)
            for (int k = 0; k < 3; ++k)
                at[k] = i >= c.n / 16 ? y[3 * (i * 7 % (c.n / 16)) + k]
                        : i % 3      ? at[k]
                                     : static_cast<T>(0.5 + 1e-9 * at[k]);
        if (c.kind == Case::lattice)
            for (int k = 0, rest = static_cast<int>(i); k < 3; ++k, rest /= 4)
                at[k] = static_cast<T>((rest % 4 + 0.5) / 4);
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
    Twin<T> sites, psi, mass, centroid, second, gradient;
    Twin<std::int64_t> counts;
    Case c;

    explicit Setup(const Case& c)
        : sites(spread(sites_of<T>(c), c.strided)),
          psi(psi_of<T>(c)),
          mass(std::vector<T>(c.n)),
          centroid(std::vector<T>(3 * c.n)),
          second(std::vector<T>(c.n)),
          gradient(std::vector<T>(3 * c.n)),
          counts(std::vector<std::int64_t>(3 * c.n)),
          c(c) {}

    static std::vector<T> spread(const std::vector<T>& y, bool strided) {
        if (!strided) return y;
        std::vector<T> out(2 * y.size(), std::numeric_limits<T>::quiet_NaN());
        for (std::size_t k = 0; k < y.size(); ++k) out[2 * k] = y[k];
        return out;
    }
    Problem<T> problem(bool gpu) {
        const index_t step = c.strided ? 2 : 1;
        Problem<T> q{{sites.on(gpu), c.n, 3, 3 * step, step}, {}, {0, 0, 0}, {1, 1.25, 1}, c.periodic};
        if (c.psi > 0) q.psi = {psi.on(gpu), c.n, 1};
        return q;
    }
    Output<T> output(bool gpu) {
        return {{mass.on(gpu), c.n, 1},
                {centroid.on(gpu), c.n, 3, 3, 1},
                {second.on(gpu), c.n, 1},
                {counts.on(gpu), c.n, 3, 3, 1},
                {gradient.on(gpu), c.n, 3, 3, 1}};
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
void compare(const Case& c) {
    Setup<T> s(c);
    const std::string name = std::string(c.name) + (sizeof(T) == 4 ? " f32" : " f64") + (c.periodic ? " torus" : "");
    const Summary cpu = deblai::laguerre3::cells(s.problem(false), s.output(false));
    const Summary gpu = deblai::cuda::laguerre3::cells(s.problem(true), s.output(true), nullptr, 0);
    const double tolerance = sizeof(T) == 4 ? 1e-6 : 1e-12, scale = 1 + std::abs(cpu.energy) + c.psi;
    expect(gpu.done == c.n, name + " done");
    expect(std::abs(gpu.energy - cpu.energy) < 1e-12 * scale, name + " energy");
    expect(std::abs(gpu.value - cpu.value) < 1e-12 * scale, name + " value");
    const std::vector<T> mass = s.mass.fetch(), centroid = s.centroid.fetch();
    expect(difference(mass, s.mass.host) < tolerance, name + " mass " + std::to_string(difference(mass, s.mass.host)));
    expect(difference(s.second.fetch(), s.second.host) < tolerance * scale, name + " second moment");
    expect(difference(s.gradient.fetch(), s.gradient.host) < tolerance * scale, name + " gradient");
    double moment = 0, sum = 0;
    for (index_t i = 0; i < 3 * c.n; ++i) {
        moment = std::max(moment, std::abs(double(mass[i / 3]) * (double(centroid[i]) - double(s.centroid.host[i]))));
        sum += double(mass[i / 3]) / 3;
    }
    expect(moment < tolerance * scale, name + " centroid");
    expect(std::abs(sum - 1) < (sizeof(T) == 4 ? 1e-5 : 1e-12), name + " sum of masses");
    const std::vector<std::int64_t> counts = s.counts.fetch();
    bool same = true;
    for (index_t i = 0; i < c.n; ++i) same = same && (counts[3 * i] == 0) == (s.counts.host[3 * i] == 0);
    if (c.kind != Case::lattice && c.kind != Case::sphere && c.n > 2) same = same && same_bits(counts, s.counts.host);
    expect(same, name + " counts");
    deblai::cuda::laguerre3::cells(s.problem(true), s.output(true), nullptr, 0);
    expect(same_bits(s.mass.fetch(), mass) && same_bits(s.centroid.fetch(), centroid), name + " twice the same");
}

template <class F>
void refuse(const char* reason, const F& call) {
    const std::string said = message(call);
    expect(said.find(reason) != std::string::npos, said + " instead of " + reason);
}

void errors() {
    const double nan = std::numeric_limits<double>::quiet_NaN();
    const auto run = [](bool of_psi, index_t at, double value) {
        Setup<double> s({"", 30, false, 0.1});
        check(cudaMemcpy((of_psi ? s.psi : s.sites).device + at, &value, sizeof value, cudaMemcpyHostToDevice));
        deblai::cuda::laguerre3::cells(s.problem(true), s.output(true), nullptr, 0);
    };
    refuse("sites: expected finite values, got nan at [3, 1]", [&] { run(false, 10, nan); });
    refuse("sites: expected values below 100 powers of ten, got one at [0, 0]", [&] { run(false, 0, -1e150); });
    refuse("psi: expected finite values, got nan at [29, 0]", [&] { run(true, 29, nan); });
    refuse("measure: expected the uniform measure", [] {
        Setup<double> s({"", 30});
        Problem<double> q = s.problem(true);
        q.density = {s.sites.on(true), {3, 1, 1}, {1, 1, 1}};
        deblai::cuda::laguerre3::cells(q, s.output(true), nullptr, 0);
    });
}

void compare_all(bool quick) {
    std::vector<Case> cases{{"one", 1},
                            {"two", 2},
                            {"eight", 8},
                            {"nine", 9, false, 0.01},
                            {"few", 70},
                            {"power", 200, false, 0.01},
                            {"wide", 100, false, 10},
                            {"outside", 60, false, 1, Case::outside},
                            {"strided", 60, false, 0, Case::random, true},
                            {"sphere", 150, false, 0, Case::sphere},
                            {"equal", 60, false, 0, Case::equal},
                            {"copies", 160, false, 0, Case::copies},
                            {"copies weighted", 160, false, 1e-3, Case::copies},
                            {"lattice", 64, false, 0, Case::lattice},
                            {"cluster", 300, false, 0, Case::cluster}};
    if (!quick) {
        cases.push_back({"many", 300000});
        cases.push_back({"many weighted", 100000, false, 1e-5});
        cases.push_back({"large sphere", 3000, false, 0, Case::sphere});
    }
    for (Case c : cases)
        for (const bool periodic : {false, true}) {
            c.periodic = periodic;
            compare<double>(c);
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
