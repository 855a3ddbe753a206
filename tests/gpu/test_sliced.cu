// The CUDA kernel of sliced Wasserstein against the CPU one, in one process: costs, gradients, errors, strides, stops,
// and runs equal to the bit. Compiled against tests/gpu/emulated it runs on the host.
// Usage and exit status: see twin.hpp.
#include "deblai/cuda/sliced.hpp"
#include "twin.hpp"

namespace {

using namespace deblai::test;
using deblai::index_t;
using deblai::Matrix;
using deblai::Vector;
using deblai::sliced::Estimate;
using deblai::sliced::Output;
using deblai::sliced::Problem;

enum class Weights { none, random, integers, heavy, zeros };

template <class T>
std::vector<T> weights(index_t n, Weights kind, std::uint64_t seed) {
    if (kind == Weights::none) return {};
    const deblai::Philox philox(seed);
    std::vector<T> w(n);
    for (index_t i = 0; i < n; ++i) {
        const auto b = philox(i);
        if (kind == Weights::random) w[i] = static_cast<T>(deblai::uniform_open(b.word[0], b.word[1]));
        if (kind == Weights::integers) w[i] = static_cast<T>(1 + b.word[0] % 3);
        if (kind == Weights::heavy) w[i] = static_cast<T>(i / 2 == n / 4 ? 1e3 * static_cast<double>(n) : 1.0);
        if (kind == Weights::zeros) w[i] = static_cast<T>(b.word[0] % 4 == 0 || i / 2 == n / 4);
    }
    return w;
}

struct Case {
    index_t n, m, d, L;
    Weights a = Weights::none, b = Weights::none;
    double p = 2;
    bool grad_points = true, grad_weights = false;
    bool strided = false, only_x = false;
};

template <class T>
std::string name(const Case& c) {
    char text[160];
    std::snprintf(text, sizeof text, "f%d n=%lld m=%lld d=%lld L=%lld a=%d b=%d p=%g grads=%d%d strided=%d x=%d",
                  8 * static_cast<int>(sizeof(T)), static_cast<long long>(c.n), static_cast<long long>(c.m),
                  static_cast<long long>(c.d), static_cast<long long>(c.L), static_cast<int>(c.a),
                  static_cast<int>(c.b), c.p, c.grad_points, c.grad_weights, c.strided, c.only_x);
    return text;
}

// Inputs of a case, and outputs that begin at 0.25: gradients are added.
template <class T>
struct Arrays {
    Case c;
    index_t width;  // between rows of points; strided arrays are padded, and directions stored by columns
    Twin<T> x, y, theta, a, b;

    explicit Arrays(const Case& c)
        : c(c),
          width(c.d + (c.strided ? 3 : 0)),
          x(gaussian<T>(c.n * width, 1)),
          y(gaussian<T>(c.m * width, 2)),
          theta(gaussian<T>(c.L * c.d, 3)),
          a(weights<T>(c.strided ? 2 * c.n : c.n, c.a, 4)),
          b(weights<T>(c.m, c.b, 5)) {}

    Matrix<const T> rows(const T* data, index_t n) const { return {data, n, c.d, width, 1}; }
    Problem<T> problem(bool gpu) const {
        Problem<T> q;
        q.x = rows(x.on(gpu), c.n);
        q.y = rows(y.on(gpu), c.m);
        q.directions = c.strided ? Matrix<const T>{theta.on(gpu), c.L, c.d, 1, c.L}
                                 : Matrix<const T>{theta.on(gpu), c.L, c.d, c.d, 1};
        if (!a.host.empty()) q.a = {a.on(gpu), c.n, c.strided ? 2 : 1};
        if (!b.host.empty()) q.b = {b.on(gpu), c.m, 1};
        q.p = c.p;
        return q;
    }
};

template <class T>
struct Outputs {
    std::vector<double> cost;
    Twin<T> x, y, a, b;

    explicit Outputs(const Case& c)
        : cost(c.L),
          x(std::vector<T>(c.grad_points ? c.n * c.d : 0, T(0.25))),
          y(std::vector<T>(c.grad_points && !c.only_x ? c.m * c.d : 0, T(0.25))),
          a(std::vector<T>(c.grad_weights ? c.n : 0, T(0.25))),
          b(std::vector<T>(c.grad_weights && !c.only_x ? c.m : 0, T(0.25))) {}

    Output<T> output(const Case& c, bool gpu) {
        const auto at = [gpu](Twin<T>& t) { return t.host.empty() ? nullptr : gpu ? t.device : t.host.data(); };
        // Strided cases write gradients by columns.
        const auto points = [&](Twin<T>& t, index_t n) {
            return c.strided ? Matrix<T>{at(t), n, c.d, 1, n} : Matrix<T>{at(t), n, c.d, c.d, 1};
        };
        return {cost.data(), points(x, c.n), points(y, c.m), {at(a), c.n, 1}, {at(b), c.m, 1}};
    }
};

template <class T>
void compare(const Case& c) {
    const Arrays<T> arrays(c);
    Outputs<T> cpu(c), gpu(c), again(c);
    const std::string what = name<T>(c);
    deblai::sliced::wasserstein(arrays.problem(false), cpu.output(c, false));
    const Estimate e = deblai::cuda::sliced::wasserstein(arrays.problem(true), gpu.output(c, true), nullptr, 0);
    deblai::cuda::sliced::wasserstein(arrays.problem(true), again.output(c, true), nullptr, 0);
    expect(e.done == c.L, what + ": not all directions");
    const double tolerance = sizeof(T) == 4 ? 1e-5 : 1e-11;
    const auto close = [&](const std::string& of, double error, double at_most) {
        expect(error <= at_most, what + ": " + of + " is off by " + std::to_string(error / at_most) + " tolerances");
    };
    close("cost", relative_error(gpu.cost, cpu.cost), tolerance);
    expect(same_bits(gpu.cost, again.cost), what + ": cost differs between runs");
    const auto gradient = [&](const char* of, const Twin<T>& got, const Twin<T>& second, const Twin<T>& want) {
        if (got.host.empty()) return;
        close(of, relative_error(got.fetch(), want.host), 20 * tolerance);
        expect(same_bits(got.fetch(), second.fetch()), what + ": " + of + " differs between runs");
    };
    gradient("grad_x", gpu.x, again.x, cpu.x);
    gradient("grad_y", gpu.y, again.y, cpu.y);
    gradient("grad_a", gpu.a, again.a, cpu.a);
    gradient("grad_b", gpu.b, again.b, cpu.b);
}

template <class T>
void compare_all(bool quick) {
    using W = Weights;
    const index_t part = quick ? 4 : 1;  // makes the larger shapes smaller
    for (const auto& [rows, cols] : {std::pair<index_t, index_t>{1, 1},
                                     {1, 7},
                                     {7, 1},
                                     {2, 3},
                                     {100, 100},
                                     {100, 37},
                                     {255, 257},
                                     {1000, 1000},
                                     {700, 1500},
                                     {1, 3000},
                                     {3000, 2},
                                     {5000, 5000},
                                     {6000, 4097}}) {
        const bool large = rows + cols > 700;
        if (quick && rows + cols > 9000) continue;
        const index_t n = large && rows > 2 ? rows / part : rows, m = large && cols > 2 ? cols / part : cols;
        const index_t d = 1 + (n + m) % 5, L = quick ? 2 : large ? 3 : 5;
        for (const int grads : {0, 1, 2, 3}) {
            const bool points = grads & 1, potentials = grads & 2;
            if (quick && large && points != potentials) continue;
            for (const double p : {1.0, 1.5, 2.0, 3.0}) {
                if (p != 2 && n + m > (quick ? 300 : 2500)) continue;
                compare<T>({n, m, d, L, W::none, W::none, p, points, potentials});
                compare<T>({n, m, d, L, W::random, W::random, p, points, potentials});
            }
            compare<T>({n, m, d, L, W::random, W::none, 2, points, potentials});
            compare<T>({n, m, d, L, W::none, W::integers, 2, points, potentials});
            compare<T>({n, m, d, L, W::integers, W::integers, 2, points, potentials});
            compare<T>({n, m, d, L, W::heavy, W::zeros, 2, points, potentials});
            compare<T>({n, m, d, L, W::zeros, W::heavy, 2, points, potentials, true});
            compare<T>({n, m, d, L, W::none, W::none, 2, points, potentials, true, true});
        }
    }
    compare<T>({300 / part, 300 / part, 130, 70 / part});
    compare<T>({64, 65, 33, 200 / part, W::random, W::random, 2, true, true});
    // Rows sorted many at a time, and one by one.
    compare<T>({5000, 4500, 2, 24 / part, W::none, W::random, 2, true, true});
    compare<T>({50000 / part, 40000 / part, 1, 2, W::none, W::none, 2, true});
    compare<T>({50000 / part, 40000 / part, 1, 2, W::random, W::none, 2, false, true});
    if (quick) return;
    compare<T>({20000, 20000, 3, 150});
    compare<T>({20000, 20000, 3, 150, W::none, W::none, 2, false});
    compare<T>({30000, 17000, 10, 100, W::random, W::integers, 2, true, true});
    compare<T>({1000000, 1000000, 3, 4, W::none, W::none, 2, true, true});
    compare<T>({1000000, 300000, 3, 4, W::random, W::heavy, 1.5, true, true});
    compare<T>({500, 400, 784, 1000, W::none, W::none, 2, true, true});
}

void compare_errors() {
    const auto spoiled = [](const char* what, const auto& spoil) {
        Case c{50, 60, 3, 4, Weights::random, Weights::random};
        Arrays<double> arrays(c);
        spoil(arrays);
        const Arrays<double>& s = arrays;
        for (const Twin<double>* t : {&s.x, &s.y, &s.theta, &s.a, &s.b}) t->send();
        Outputs<double> out(c);
        const std::string cpu =
            message([&] { deblai::sliced::wasserstein(arrays.problem(false), out.output(c, false)); });
        const std::string gpu =
            message([&] { deblai::cuda::sliced::wasserstein(arrays.problem(true), out.output(c, true), nullptr, 0); });
        expect(cpu == gpu && cpu != "no error", std::string(what) + ": '" + cpu + "' on the CPU, '" + gpu + "' here");
    };
    spoiled("NaN", [](auto& s) { s.x.host[10] = s.x.host[100] = NAN; });
    spoiled("inf", [](auto& s) { s.y.host[17] = -INFINITY; });
    spoiled("direction", [](auto& s) { s.theta.host[5] = INFINITY; });
    spoiled("negative", [](auto& s) { s.a.host[3] = s.a.host[40] = -1; });
    spoiled("weight", [](auto& s) { s.b.host[59] = NAN; });
    spoiled("massless", [](auto& s) { s.b.host.assign(60, 0.0); });
    spoiled("exponent", [](auto& s) { s.c.p = 0.5; });
}

bool count_polls(void* calls) { return ++*static_cast<int*>(calls) < 0; }
bool stop_at_once(void*) { return true; }

// Directions that do not fit at once: a stop leaves the costs of the first chunks and NaN.
template <class T>
void stop_between_chunks(const Case& c) {
    const Arrays<T> arrays(c);
    Outputs<T> whole(c), part(c);
    int calls = 0;
    deblai::cuda::sliced::wasserstein(arrays.problem(true), whole.output(c, true), nullptr, 0, count_polls, &calls);
    expect(calls > 0, "stop: more than one chunk");
    const Estimate e = deblai::cuda::sliced::wasserstein(arrays.problem(true), part.output(c, true), nullptr, 0,
                                                         stop_at_once, nullptr);
    bool ok = e.done > 0 && e.done < c.L;
    for (index_t l = 0; l < c.L; ++l) ok &= l < e.done ? part.cost[l] == whole.cost[l] : std::isnan(part.cost[l]);
    expect(ok, "stop: " + std::to_string(e.done) + " directions done");
}

#if defined(DEBLAI_EMULATED)
// How many directions fit at once changes no bit of the result.
template <class T>
void compare_chunks(const Case& c) {
    const Arrays<T> arrays(c);
    Outputs<T> one(c), many(c);
    const auto run = [&](Outputs<T>& out) {
        int calls = 0;
        deblai::cuda::sliced::wasserstein(arrays.problem(true), out.output(c, true), nullptr, 0, count_polls, &calls);
        return calls + 1;
    };
    expect(run(one) == 1, "chunks: one");
    emulated::free_memory = 0;
    expect(run(many) > 1, "chunks: many");
    expect(same_bits(one.cost, many.cost) && same_bits(one.x.fetch(), many.x.fetch()) &&
               same_bits(one.y.fetch(), many.y.fetch()) && same_bits(one.a.fetch(), many.a.fetch()) &&
               same_bits(one.b.fetch(), many.b.fetch()),
           "chunks: the same to the bit");
    stop_between_chunks<T>(c);
}
#endif

}  // namespace

int main(int argc, char** argv) {
    return run(argc, argv, [](bool quick) {
        compare_all<float>(quick);
        compare_all<double>(quick);
#if defined(DEBLAI_EMULATED)
        compare_chunks<float>({5000, 5100, 2, 70, Weights::random, Weights::none, 2, true, true});
#else
        if (!quick) stop_between_chunks<float>({4000000, 4000000, 1, 64, Weights::none, Weights::none, 2, false});
#endif
        compare_errors();
    });
}
