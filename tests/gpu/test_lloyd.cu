// The CUDA kernel of Lloyd's step against the CPU one, in one process: labels, sums, energies, seeds, errors, strides,
// stops, and runs equal to the bit. Compiled against tests/gpu/emulated it runs on the host.
// Usage and exit status: see twin.hpp.
#include "deblai/cuda/lloyd.hpp"
#include "twin.hpp"

namespace {

using namespace deblai::test;
using deblai::index_t;
using deblai::Matrix;
using deblai::Vector;
using deblai::lloyd::Output;
using deblai::lloyd::Problem;

template <class T>
std::vector<T> numbers(index_t count, std::uint64_t seed, bool lattice) {
    const deblai::Philox philox(seed);
    std::vector<T> out(count);
    for (index_t i = 0; i < count; ++i) {
        const auto b = philox(i);
        const double u = deblai::uniform_open(b.word[0], b.word[1]);
        out[i] = static_cast<T>(lattice ? std::floor(7 * u) : 3 * u - 1);
    }
    return out;
}

struct Case {
    index_t n, k, d;
    bool weighted = false, lattice = false, strided = false;
    double p = 2;
};

template <class T>
struct Arrays {
    Case c;
    Twin<T> x, y, w;

    explicit Arrays(const Case& c)
        : c(c),
          x(numbers<T>(c.n * c.d, 1, c.lattice)),
          y(numbers<T>(c.k * c.d, 2, c.lattice)),
          w(c.weighted ? numbers<T>(c.n * (c.strided ? 2 : 1), 3, true) : std::vector<T>()) {}

    Problem<T> problem(bool gpu) const {
        Problem<T> q;
        q.x = c.strided ? Matrix<const T>{x.on(gpu), c.n, c.d, 1, c.n} : Matrix<const T>{x.on(gpu), c.n, c.d, c.d, 1};
        q.sites = {y.on(gpu), c.k, c.d, c.d, 1};
        q.p = c.p;
        q.near = c.lattice ? 1.0 : 1e-2;
        if (c.weighted) q.weights = {w.on(gpu), c.n, c.strided ? 2 : 1};
        return q;
    }
};

template <class T>
struct Outputs {
    std::vector<double> mass, sum, pull;
    Twin<std::int32_t> labels;
    Twin<T> cost;
    double energy = 0;

    explicit Outputs(const Case& c)
        : mass(c.k),
          sum(c.k * c.d),
          pull(2 * c.k),
          labels(std::vector<std::int32_t>(2 * c.n, -1)),
          cost(std::vector<T>(c.n)) {}

    Output<T> output(const Case& c, bool gpu) {
        return {mass.data(), sum.data(), {labels.on(gpu), c.n, 2}, {cost.on(gpu), c.n, 1}, pull.data()};
    }
};

bool never(void* calls) { return ++*static_cast<int*>(calls) < 0; }
bool at_once(void*) { return true; }

template <class T>
void compare(const Case& c) {
    const Arrays<T> arrays(c);
    Outputs<T> cpu(c), gpu(c), again(c);
    char what[160];
    std::snprintf(what, sizeof what,
                  "f%d n=%lld k=%lld d=%lld weighted=%d lattice=%d strided=%d p=%g: ", 8 * static_cast<int>(sizeof(T)),
                  (long long)c.n, (long long)c.k, (long long)c.d, c.weighted, c.lattice, c.strided, c.p);
    const std::string name = what;
    cpu.energy = deblai::lloyd::assign(arrays.problem(false), cpu.output(c, false));
    for (Outputs<T>* out : {&gpu, &again}) {
        out->energy = deblai::cuda::lloyd::assign(arrays.problem(true), out->output(c, true), nullptr, 0);
        out->labels.host = out->labels.fetch();
        out->cost.host = out->cost.fetch();
    }
    expect(gpu.energy == again.energy && gpu.mass == again.mass && gpu.sum == again.sum &&
               gpu.labels.host == again.labels.host && gpu.cost.host == again.cost.host,
           name + "differs between runs");
    const double rounding = sizeof(T) == 4 ? 1e-6 : 1e-14;
    index_t different = 0;
    bool close = true;
    for (index_t i = 0; i < c.n; ++i) {
        different += gpu.labels.host[2 * i] != cpu.labels.host[2 * i];
        const double a = static_cast<double>(gpu.cost.host[i]), b = static_cast<double>(cpu.cost.host[i]);
        close &= std::abs(a - b) <= rounding * (static_cast<double>(c.d) + 4) * (a + b) / 2;
    }
    expect(close, name + "squared distances");
    expect(different == 0, name + std::to_string(different) + " labels differ");
    const double total = std::abs(gpu.energy - cpu.energy);
    expect(total <= 1e-6 * cpu.energy, name + "energy");
    if (different > 0) return;
    bool sums = total <= 1e-12 * cpu.energy;
    for (index_t j = 0; j < c.k; ++j) sums &= std::abs(gpu.mass[j] - cpu.mass[j]) <= 1e-12 * cpu.mass[j];
    for (index_t e = 0; e < c.k * c.d; ++e)
        sums &= std::abs(gpu.sum[e] - cpu.sum[e]) <= 1e-10 * (1 + std::abs(cpu.sum[e]));
    expect(sums, name + "masses and sums");
    bool pulls = true;
    for (index_t j = 0; j < 2 * c.k; ++j) pulls &= std::abs(gpu.pull[j] - cpu.pull[j]) <= 1e-12 * cpu.pull[j];
    expect(pulls, name + "pulls");
}

template <class T>
void compare_seeds(const Case& c, index_t count) {
    const Arrays<T> arrays(c);
    std::vector<double> u = numbers<double>(count, 5, false);
    for (double& v : u) v = (v + 1) / 3;
    std::vector<std::int32_t> cpu(count), gpu(count);
    const Problem<T> here = arrays.problem(false), there = arrays.problem(true);
    deblai::lloyd::seed<T>(here.x, here.weights, {u.data(), count, 1}, {cpu.data(), count, 1});
    deblai::cuda::lloyd::seed<T>(there.x, there.weights, {u.data(), count, 1}, {gpu.data(), count, 1}, nullptr, 0);
    expect(cpu == gpu, "seeds n=" + std::to_string(c.n) + " d=" + std::to_string(c.d));
}

template <class T>
void compare_all(bool quick) {
    for (const bool weighted : {false, true})
        for (const bool strided : {false, true}) {
            compare<T>({1, 1, 1, weighted, false, strided});
            compare<T>({300, 5, 2, weighted, true, strided});
            compare<T>({129, 33, 3, weighted, false, strided});
            compare<T>({500, 70, 17, weighted, false, strided});
            compare<T>({260, 40, 40, weighted, strided, strided});
            for (const double p : {1.0, 3.0}) compare<T>({200, 9, 3, weighted, weighted, strided, p});
            compare<T>({5000, 2, 2, weighted, false, strided});  // runs of several slices
            compare_seeds<T>({700, 1, 2, weighted, true, strided}, 20);
            compare_seeds<T>({5000, 1, 3, weighted, true, strided}, 5);
        }
    compare_seeds<T>({60, 1, 1, true, true, false}, 12);  // more seeds than distinct samples
    if (quick) return;
    compare<T>({1000000, 1000, 2, true});
    compare<T>({100000, 1000, 64});
    compare<T>({20000, 3000, 300, true});
}

void compare_errors() {
    const auto spoiled = [](const char* what, const auto& spoil) {
        const Case c{50, 6, 3, true};
        Arrays<double> arrays(c);
        spoil(arrays);
        for (Twin<double>* t : {&arrays.x, &arrays.y, &arrays.w}) t->send();
        Outputs<double> out(c);
        const std::string cpu = message([&] { deblai::lloyd::assign(arrays.problem(false), out.output(c, false)); });
        const std::string gpu =
            message([&] { deblai::cuda::lloyd::assign(arrays.problem(true), out.output(c, true), nullptr, 0); });
        expect(cpu == gpu && cpu != "no error", std::string(what) + ": '" + cpu + "' on the CPU, '" + gpu + "' here");
    };
    spoiled("NaN", [](auto& s) { s.x.host[10] = s.x.host[100] = NAN; });
    spoiled("inf", [](auto& s) { s.y.host[17] = -INFINITY; });
    spoiled("negative", [](auto& s) { s.w.host[3] = s.w.host[40] = -1; });
    spoiled("massless", [](auto& s) { s.w.host.assign(50, 0.0); });
    spoiled("overflow", [](auto& s) {
        for (double& v : s.x.host) v *= 1e200;
    });
}

// Squares that would overflow or vanish in float32.
void compare_scales() {
    const Case c{300, 40, 3};
    Arrays<float> arrays(c);
    Outputs<float> plain(c);
    deblai::lloyd::assign(arrays.problem(false), plain.output(c, false));
    for (const float scale : {1e-25f, 1e35f}) {
        Outputs<float> out(c);
        Arrays<float> other(c);
        for (Twin<float>* t : {&other.x, &other.y}) {
            for (float& v : t->host) v *= scale;
            t->send();
        }
        deblai::cuda::lloyd::assign(other.problem(true), out.output(c, true), nullptr, 0);
        out.labels.host = out.labels.fetch();
        index_t different = 0;
        for (index_t i = 0; i < c.n; ++i) different += out.labels.host[2 * i] != plain.labels.host[2 * i];
        expect(different <= 1, "scale: " + std::to_string(different) + " labels differ");
    }
}

void stops() {
    const Case c{2000, 3, 2};
    const Arrays<double> arrays(c);
    const Problem<double> q = arrays.problem(true);
    std::vector<double> u(3000, 0.5);
    std::vector<std::int32_t> chosen(3000);
    int calls = 0;
    const Vector<const double> draws{u.data(), 60, 1};
    expect(deblai::cuda::lloyd::seed<double>(q.x, {}, draws, {chosen.data(), 60, 1}, nullptr, 0, never, &calls) == 60,
           "stop: all seeds");
#if !defined(DEBLAI_EMULATED)
    const Case large{400000, 200000, 60};
    const Arrays<float> many(large);
    Outputs<float> out(large);
    expect(std::isnan(deblai::cuda::lloyd::assign(many.problem(true), out.output(large, true), nullptr, 0, at_once)),
           "stop: between chunks of samples");
#else
    (void)at_once;
#endif
}

}  // namespace

int main(int argc, char** argv) {
    return run(argc, argv, [](bool quick) {
        compare_all<float>(quick);
        compare_all<double>(quick);
        compare_errors();
        compare_scales();
        stops();
    });
}
