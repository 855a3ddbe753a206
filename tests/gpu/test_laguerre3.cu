// The CUDA kernel of laguerre3 against the CPU one, in one process: numbers, polyhedra, facets, errors, strides,
// stops, and runs equal to the bit. Compiled against tests/gpu/emulated it runs on the host. Usage and exit status: see
// twin.hpp.
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
    int sides = 0;  // of a domain
    index_t voxels[3] = {};
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
                        : i % 3       ? at[k]
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

// Planes that touch an ellipsoid; 8: an octahedron.
std::vector<double> planes_of(const Case& c) {
    std::vector<double> out;
    const std::vector<double> direction = gaussian<double>(3 * c.sides, 11);
    for (int k = 0; k < c.sides; ++k) {
        double n[3], length = 0;
        for (int a = 0; a < 3; ++a) {
            n[a] = c.sides == 8 ? (k >> a & 1 ? 1.0 : -1.0) : direction[3 * k + a];
            length += n[a] * n[a];
        }
        const double scale = c.sides == 8 ? 1 : std::sqrt(length);
        for (int a = 0; a < 3; ++a) out.push_back(n[a] / scale * (a == 1 ? 1.6 : 2.0));
        out.push_back(1 + (n[0] + n[1] + n[2]) / scale);
    }
    return out;
}

template <class T>
struct Setup {
    Twin<T> sites, psi, density, mass, centroid, second, gradient;
    Twin<std::int64_t> counts;
    std::vector<double> planes;
    Case c;

    explicit Setup(const Case& c)
        : sites(spread(sites_of<T>(c), c.strided)),
          psi(psi_of<T>(c)),
          density(uniform<T>(c.voxels[0] * c.voxels[1] * c.voxels[2], 4)),
          mass(std::vector<T>(c.n)),
          centroid(std::vector<T>(3 * c.n)),
          second(std::vector<T>(c.n)),
          gradient(std::vector<T>(3 * c.n)),
          counts(std::vector<std::int64_t>(3 * c.n)),
          planes(planes_of(c)),
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
        if (c.sides) q.planes = {planes.data(), c.sides, 4, 4, 1};
        const index_t(&v)[3] = c.voxels;
        if (v[0]) q.density = {density.on(gpu), {v[0], v[1], v[2]}, {v[1] * v[2], v[2], 1}};
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

// The arrays of polyhedra and facets.
template <class T>
struct Shapes {
    std::vector<std::int64_t> sums;
    Twin<std::int64_t> offsets, neighbours, facet_offsets, corners, across;
    Twin<T> vertices, areas, mass, first, second, offset;

    static std::vector<std::int64_t> running(const std::vector<std::int64_t>& counts) {
        std::vector<std::int64_t> sums(counts.size() + 3);
        for (std::size_t i = 0; i < counts.size(); ++i) sums[i + 3] = sums[i] + counts[i];
        return sums;
    }
    static std::vector<std::int64_t> whole(std::int64_t size) { return std::vector<std::int64_t>(size, -7); }
    static std::vector<T> real(std::int64_t size) { return std::vector<T>(size, static_cast<T>(-7)); }
    std::int64_t total(int k) const { return sums[sums.size() - 3 + k]; }

    explicit Shapes(const std::vector<std::int64_t>& counts)
        : sums(running(counts)),
          offsets(sums),
          neighbours(whole(total(1))),
          facet_offsets(whole(total(1) + 1)),
          corners(whole(total(2))),
          across(whole(total(1))),
          vertices(real(3 * total(0))),
          areas(real(total(1))),
          mass(real(total(1))),
          first(real(3 * total(1))),
          second(real(9 * total(1))),
          offset(real(3 * total(1))) {}

    void ask(Setup<T>& s, bool gpu) {
        const index_t v = total(0), f = total(1), c = total(2), rows = s.c.n + 1;
        const deblai::laguerre3::Polyhedra<T> solids{{offsets.on(gpu), rows, 3, 3, 1},  {vertices.on(gpu), v, 3, 3, 1},
                                                     {neighbours.on(gpu), f, 1},        {areas.on(gpu), f, 1},
                                                     {facet_offsets.on(gpu), f + 1, 1}, {corners.on(gpu), c, 1}};
        const deblai::laguerre3::Facets<T> facets{{across.on(gpu), f, 1},
                                                  {mass.on(gpu), f, 1},
                                                  {first.on(gpu), f, 3, 3, 1},
                                                  {second.on(gpu), f, 9, 9, 1},
                                                  {offset.on(gpu), f, 3, 3, 1}};
        if (gpu) {
            deblai::cuda::laguerre3::polyhedra<T>(s.problem(true), solids, nullptr, 0);
            deblai::cuda::laguerre3::facets<T>(s.problem(true), solids.offsets, facets, nullptr, 0);
        } else {
            deblai::laguerre3::polyhedra<T>(s.problem(false), solids);
            deblai::laguerre3::facets<T>(s.problem(false), solids.offsets, facets);
        }
    }
};

// What does not depend on the order of facets and vertices, cell by cell; nan where rows of the two do not fit.
template <class T>
std::vector<double> invariants(const Shapes<T>& s, bool gpu, index_t n) {
    const auto pick = [&](const auto& twin) { return gpu ? twin.fetch() : twin.host; };
    const auto neighbours = pick(s.neighbours), ends = pick(s.facet_offsets), corners = pick(s.corners),
               across = pick(s.across);
    const std::vector<T> vertices = pick(s.vertices), areas = pick(s.areas), mass = pick(s.mass), first = pick(s.first),
                         second = pick(s.second), offset = pick(s.offset);
    constexpr int size = 21;
    std::vector<double> out(size * n);
    for (index_t i = 0; i < n; ++i) {
        double* const sum = out.data() + size * i;
        for (std::int64_t f = s.sums[3 * i + 1]; f < s.sums[3 * i + 4]; ++f) {
            sum[0] += neighbours[f] == across[f] ? std::sqrt(double(across[f]) + 2) : NAN;
            sum[1] += std::abs(areas[f]) * (double(across[f]) + 2);
            double twice[3] = {};
            const auto at = [&](std::int64_t c, int k) { return double(vertices[3 * corners[c] + k]); };
            for (std::int64_t c = ends[f] + 1; c + 1 < ends[f + 1]; ++c)
                for (int k = 0; k < 3; ++k) {
                    const int l = (k + 1) % 3, m = (k + 2) % 3;
                    twice[k] += (at(c, l) - at(ends[f], l)) * (at(c + 1, m) - at(ends[f], m)) -
                                (at(c, m) - at(ends[f], m)) * (at(c + 1, l) - at(ends[f], l));
                }
            const double a = 0.5 * std::sqrt(twice[0] * twice[0] + twice[1] * twice[1] + twice[2] * twice[2]);
            sum[2] += std::abs(a - areas[f]) < 1e-5 ? 0 : NAN;
            for (int k = 0; k < 3; ++k) sum[3] += twice[k] * at(ends[f], k) / 6;
            sum[4] += double(mass[f]) * (double(across[f]) + 2);
            for (int k = 0; k < 3; ++k) sum[5 + k] += first[3 * f + k];
            for (int k = 0; k < 9; ++k) sum[8 + k] += second[9 * f + k];
            for (int k = 0; k < 3; ++k) sum[17 + k] += double(offset[3 * f + k]) * double(areas[f]);
            sum[20] += double(ends[f + 1] - ends[f]) * double(ends[f + 1] - ends[f]);
        }
    }
    return out;
}

template <class T>
void compare_shapes(Setup<T>& s, const std::string& name, double tolerance) {
    Shapes<T> shapes(s.counts.host);
    shapes.ask(s, true);
    shapes.ask(s, false);
    const double off = difference(invariants(shapes, true, s.c.n), invariants(shapes, false, s.c.n));
    expect(off < tolerance, name + " polyhedra and facets " + std::to_string(off));
    expect(shapes.facet_offsets.fetch()[0] == 0, name + " offsets of facets");
    const std::vector<T> before = shapes.vertices.fetch(), masses = shapes.mass.fetch();
    shapes.ask(s, true);
    expect(same_bits(before, shapes.vertices.fetch()) && same_bits(masses, shapes.mass.fetch()),
           name + " shapes twice the same");
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
    // That of the sphere has cells whose vertices coincide but for rounding, which may differ.
    if (c.kind != Case::sphere) {
        expect(same_bits(s.counts.fetch(), s.counts.host), name + " counts");
        const double exact = c.kind == Case::copies ? 1e-8 : 1e-10;  // between sites near by
        compare_shapes(s, name, (sizeof(T) == 4 ? 1e-4 : exact) * scale * static_cast<double>(c.n));
    }
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
    const auto weigh = [](index_t from, index_t to, double value) {
        Setup<double> s({"", 30, false, 0, Case::random, false, 0, {2, 3, 4}});
        for (index_t at = from; at < to; ++at)
            check(cudaMemcpy(s.density.device + at, &value, sizeof value, cudaMemcpyHostToDevice));
        deblai::cuda::laguerre3::cells(s.problem(true), s.output(true), nullptr, 0);
    };
    refuse("measure.values: expected finite nonnegative values, got -1.000000 at [1, 2, 3]",
           [&] { weigh(23, 24, -1); });
    refuse("measure.values: expected a positive finite total mass, got 0", [&] { weigh(0, 24, 0); });
}

// Cells beside a voxel that has nearly all the mass keep their digits.
void spike() {
    Setup<double> s({"", 40, false, 0, Case::random, false, 0, {5, 4, 6}});
    s.density.host[2 * 24 + 2 * 6 + 3] = 1e12;
    s.density.send();
    deblai::laguerre3::cells(s.problem(false), s.output(false));
    deblai::cuda::laguerre3::cells(s.problem(true), s.output(true), nullptr, 0);
    const std::vector<double> mass = s.mass.fetch();
    double worst = 0;
    for (index_t i = 0; i < 40; ++i) worst = std::max(worst, std::abs(mass[i] / s.mass.host[i] - 1));
    expect(worst < 1e-10, "spike " + std::to_string(worst));
}

void offsets_of_others() {
    Setup<double> s({"", 30});
    deblai::cuda::laguerre3::cells(s.problem(true), s.output(true), nullptr, 0);
    const auto with = [&](index_t at, std::int64_t more) {
        std::vector<std::int64_t> counts = s.counts.fetch();
        counts[at] += more;
        Shapes<double>(counts).ask(s, true);
    };
    for (const index_t at : {0, 31, 89}) {
        refuse("offsets: expected the counts of the same problem", [&] { with(at, 1); });
        refuse("offsets: expected the counts of the same problem", [&] { with(at, -1); });
    }
    refuse("offsets: expected running sums of the cells' counts", [&] {
        std::vector<std::int64_t> counts = s.counts.fetch();
        counts[4] -= 100, counts[7] += 100;
        Shapes<double>(counts).ask(s, true);
    });
}

// After a stop the cells done so far are as they are, the others NaN.
void stops(index_t n, index_t round) {
    Setup<double> s({"stop", n});
    deblai::cuda::laguerre3::cells(s.problem(true), s.output(true), nullptr, 0);
    const std::vector<double> whole = s.mass.fetch();
    int asked = 0;
    const auto poll = [](void* context) { return ++*static_cast<int*>(context) == 2; };
    const Summary stopped = deblai::cuda::laguerre3::cells(s.problem(true), s.output(true), nullptr, 0, poll, &asked);
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
                            {"power", 200, false, 0.01},
                            {"wide", 100, false, 10},
                            {"outside", 60, false, 1, Case::outside},
                            {"strided", 60, false, 0, Case::random, true},
                            {"sphere", 150, false, 0, Case::sphere},
                            {"equal", 60, false, 0, Case::equal},
                            {"copies", 160, false, 0, Case::copies},
                            {"copies weighted", 160, false, 1e-3, Case::copies},
                            {"lattice", 64, false, 0, Case::lattice},
                            {"cluster", 300, false, 0, Case::cluster},
                            {"octahedron", 90, false, 0, Case::random, false, 8},
                            {"octahedron weighted", 90, false, 1, Case::outside, true, 8},
                            {"round", 40, false, 0.01, Case::random, false, 80},
                            {"voxels", 40, false, 0.01, Case::random, false, 0, {5, 3, 4}},
                            {"many voxels", 9, false, 0, Case::random, true, 0, {12, 9, 14}},
                            {"lattice in voxels", 64, false, 0, Case::lattice, false, 0, {8, 2, 3}}};
    if (!quick) {
        cases.push_back({"many", 300000});
        cases.push_back({"many weighted", 100000, false, 1e-5});
        cases.push_back({"large sphere", 3000, false, 0, Case::sphere});
        cases.push_back({"large voxels", 20000, false, 1e-5, Case::random, false, 0, {64, 64, 64}});
    }
    for (Case c : cases)
        for (const bool periodic : {false, true}) {
            if (periodic && c.sides) continue;
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
        offsets_of_others();
        spike();
#if defined(DEBLAI_ROUND_CELLS)
        stops(150, DEBLAI_ROUND_CELLS);
#else
        if (!quick) stops(5000000, 1 << 21);
#endif
    });
}
