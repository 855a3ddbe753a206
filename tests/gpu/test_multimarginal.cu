// The CUDA kernel of multi-marginal Sinkhorn against the CPU one, in one process: potentials, errors and values sweep
// by sweep, plans, gradients, errors of bad input, stops, and runs equal to the bit. Compiled against
// tests/gpu/emulated it runs on the host. Usage and exit status: see twin.hpp.
#include "deblai/cuda/multimarginal.hpp"
#include "twin.hpp"

namespace {

using namespace deblai::test;
using deblai::index_t;
using deblai::Matrix;
using deblai::PairCost;
using deblai::multimarginal::Marginal;
using deblai::multimarginal::Output;
using deblai::multimarginal::Problem;
using deblai::multimarginal::Progress;
using deblai::multimarginal::Schedule;
using deblai::multimarginal::Summary;
namespace cpu = deblai::multimarginal;
namespace gpu = deblai::cuda::multimarginal;

struct Case {
    std::vector<index_t> sizes;  // one in symmetric mode
    int n_marginals;
    double epsilon;
    index_t d = 0;  // 0: matrices
    PairCost cost = {};
    bool weighted = true, zeros = false, infinite = false, strided = false;

    bool symmetric() const { return sizes.size() == 1 && n_marginals > 1; }
    index_t length() const {
        index_t total = 0;
        for (const index_t n : sizes) total += n;
        return total;
    }
};

template <class T>
std::string name(const Case& c) {
    std::string sizes;
    for (const index_t n : c.sizes) sizes += std::to_string(n) + ' ';
    char text[200];
    std::snprintf(text, sizeof text, "f%d N=%d n=%seps=%g d=%lld kind=%d s=%g weights=%d%d inf=%d strided=%d",
                  8 * static_cast<int>(sizeof(T)), c.n_marginals, sizes.c_str(), c.epsilon, static_cast<long long>(c.d),
                  static_cast<int>(c.cost.kind), c.cost.s, c.weighted, c.zeros, c.infinite, c.strided);
    return text;
}

// The arrays of a case; strided ones are stored by columns, weights at every other place.
template <class T>
struct Arrays {
    Case c;
    std::vector<std::unique_ptr<Twin<T>>> points, weights, costs;

    explicit Arrays(const Case& c) : c(c) {
        for (std::size_t p = 0; p < c.sizes.size(); ++p) {
            const index_t n = c.sizes[p];
            points.push_back(std::make_unique<Twin<T>>(uniform<T>(n * c.d, 10 + p)));
            std::vector<T> w = uniform<T>(c.weighted ? 2 * n : 0, 20 + p);
            for (std::size_t i = 0; i < w.size(); ++i) w[i] = c.zeros && i % 6 == 2 ? T(0) : T(0.5) + w[i];
            weights.push_back(std::make_unique<Twin<T>>(std::move(w)));
        }
        if (c.d) return;
        const std::size_t count = c.sizes.size();
        for (std::size_t a = 0; a < count; ++a)
            for (std::size_t b = c.symmetric() ? a : a + 1; b < count; ++b) {
                const index_t n = c.sizes[a], m = c.sizes[b];
                std::vector<T> v = uniform<T>(n * m, 30 + a * count + b);
                for (index_t i = 0; c.symmetric() && i < n; ++i)
                    for (index_t j = 0; j < i; ++j) v[i * n + j] = v[j * n + i];
                for (index_t i = 0; c.infinite && i < std::min(n, m); ++i)
                    v[i * m + i] = std::numeric_limits<T>::infinity();
                costs.push_back(std::make_unique<Twin<T>>(std::move(v)));
            }
    }

    void upload() const {
        for (const auto* group : {&points, &weights, &costs})
            for (const auto& t : *group) t->send();
    }
};

template <class T>
Matrix<T> laid_out(T* data, index_t rows, index_t cols, bool by_columns) {
    return by_columns ? Matrix<T>{data, rows, cols, 1, rows} : Matrix<T>{data, rows, cols, cols, 1};
}

template <class T>
struct Views {
    std::vector<Marginal<T>> marginals;
    std::vector<Matrix<const T>> costs;
    Problem<T> problem;

    Views(const Arrays<T>& arrays, bool on_device) {
        const Case& c = arrays.c;
        const auto at = [&](const Twin<T>& t) -> const T* { return on_device ? t.device : t.host.data(); };
        for (std::size_t p = 0; p < c.sizes.size(); ++p) {
            const index_t n = c.sizes[p];
            Marginal<T> m{n, {}, {}};
            if (c.d) m.points = laid_out(at(*arrays.points[p]), n, c.d, c.strided);
            if (c.weighted) m.weights = {at(*arrays.weights[p]), n, c.strided ? 2 : 1};
            marginals.push_back(m);
        }
        std::size_t next = 0;
        for (std::size_t a = 0; !c.d && a < c.sizes.size(); ++a)
            for (std::size_t b = c.symmetric() ? a : a + 1; b < c.sizes.size(); ++b)
                costs.push_back(laid_out(at(*arrays.costs[next++]), c.sizes[a], c.sizes[b], c.strided));
        problem = {c.n_marginals, c.symmetric(), marginals.data(), c.d ? nullptr : costs.data(), c.cost, c.epsilon};
    }
};

struct Run {
    std::vector<double> potentials, errors, values;
    Progress done;

    Run(const Case& c, index_t sweeps) : potentials(c.length(), 0.0), errors(sweeps), values(sweeps) {}
};

template <class T>
Run sweep(const Arrays<T>& arrays, const Schedule& schedule, bool on_device) {
    Run r(arrays.c, schedule.max_iter);
    const Views<T> views(arrays, on_device);
    r.done = on_device ? gpu::sinkhorn(views.problem, schedule, r.potentials.data(), r.errors.data(), r.values.data(),
                                       nullptr, 0)
                       : cpu::sinkhorn(views.problem, schedule, r.potentials.data(), r.errors.data(), r.values.data());
    return r;
}

template <class T>
struct Evaluated {
    std::vector<std::unique_ptr<Twin<T>>> plans, gradients;
    Summary summary;

    Evaluated(const Arrays<T>& arrays, const std::vector<double>& potentials, bool on_device) {
        const Case& c = arrays.c;
        const Views<T> views(arrays, on_device);
        std::vector<Matrix<T>> pairs, grads;
        const auto add = [&](auto& to, auto& of, index_t rows, index_t cols) {
            to.push_back(std::make_unique<Twin<T>>(std::vector<T>(rows * cols, T(0.25))));
            of.push_back(laid_out(on_device ? to.back()->device : to.back()->host.data(), rows, cols, c.strided));
        };
        for (std::size_t a = 0; a < c.sizes.size(); ++a)
            for (std::size_t b = c.symmetric() ? a : a + 1; b < c.sizes.size(); ++b)
                add(plans, pairs, c.sizes[a], c.sizes[b]);
        for (std::size_t p = 0; c.d && p < c.sizes.size(); ++p) add(gradients, grads, c.sizes[p], c.d);
        const Output<T> out{pairs.data(), c.d ? grads.data() : nullptr, false};
        summary = on_device ? gpu::evaluate(views.problem, potentials.data(), out, nullptr, 0)
                            : cpu::evaluate(views.problem, potentials.data(), out);
        for (auto* group : {&plans, &gradients})
            for (auto& t : *group)
                if (on_device) t->host = t->fetch();
    }
};

bool near(double a, double b, double tolerance) { return a == b || std::abs(a - b) <= tolerance; }

// Potentials after a few sweeps, in units of epsilon; exponents of a few hundred have lost that much of a float.
// Returns how many rows were summed term by term on the device.
template <class T>
index_t compare(const Case& c, index_t sweeps = 4) {
    const Arrays<T> arrays(c);
    const std::string what = name<T>(c);
    const double tolerance = sizeof(T) == 4 ? 3e-5 + 4e-6 / c.epsilon : 1e-11 + 1e-13 / c.epsilon;
    const Schedule schedule{-1, sweeps, 0};
    const Run want = sweep(arrays, schedule, false), got = sweep(arrays, schedule, true);
    expect(got.done.sweeps == sweeps && !got.done.converged, what + ": sweeps");
    double off = 0;
    for (std::size_t i = 0; i < got.potentials.size(); ++i)
        off =
            std::max(off, std::isnan(got.potentials[i]) ? INFINITY
                                                        : std::abs(got.potentials[i] - want.potentials[i]) / c.epsilon);
    expect(off <= tolerance, what + ": potentials are off by " + std::to_string(off / tolerance) + " tolerances");
    for (index_t k = 0; k < sweeps; ++k) {
        expect(near(got.errors[k], want.errors[k], tolerance * (1 + want.errors[k])),
               what + ": error of sweep " + std::to_string(k));
        expect(near(got.values[k], want.values[k],
                    tolerance * c.epsilon * (1 + want.errors[k]) * static_cast<double>(c.n_marginals)),
               what + ": value of sweep " + std::to_string(k));
    }
    const Run again = sweep(arrays, schedule, true);
    expect(same_bits(got.potentials, again.potentials) && same_bits(got.errors, again.errors) &&
               same_bits(got.values, again.values),
           what + ": two runs differ");

    const Evaluated<T> a(arrays, want.potentials, false), b(arrays, want.potentials, true);
    const double scale = std::max(1.0, a.summary.mass);
    expect(b.summary.finished && near(a.summary.mass, b.summary.mass, tolerance * scale), what + ": mass");
    expect(near(a.summary.value, b.summary.value, tolerance * scale * (1 + std::abs(a.summary.value))),
           what + ": value");
    expect(
        near(a.summary.value_linear, b.summary.value_linear,
             tolerance * scale * (1 + std::abs(a.summary.value_linear))),
        what + ": <c, plan> " + std::to_string(a.summary.value_linear) + " " + std::to_string(b.summary.value_linear));
    expect(near(a.summary.marginal_error, b.summary.marginal_error, tolerance * scale), what + ": marginal error");
    for (std::size_t k = 0; k < a.plans.size(); ++k) {
        const double error = relative_error(b.plans[k]->host, a.plans[k]->host);
        expect(error <= 4 * tolerance, what + ": plan is off by " + std::to_string(error / tolerance) + " tolerances");
    }
    for (std::size_t k = 0; k < a.gradients.size(); ++k) {
        const double error = relative_error(b.gradients[k]->host, a.gradients[k]->host);
        expect(error <= 8 * tolerance,
               what + ": gradient is off by " + std::to_string(error / tolerance) + " tolerances");
    }
    if ((c.epsilon >= 0.7 && !c.infinite) || c.n_marginals == 2)  // a product without a term may look like a loss
        expect(b.summary.exact_rows == 0, what + ": " + std::to_string(b.summary.exact_rows) + " exact rows");
    return b.summary.exact_rows;
}

// Potentials of -inf leave points out, as where a particle is held fixed: plans alike, nothing at those points.
template <class T>
void leave_out(const Case& c) {
    const Arrays<T> arrays(c);
    const std::string what = name<T>(c) + " with points left out";
    const double tolerance = sizeof(T) == 4 ? 3e-5 + 4e-6 / c.epsilon : 1e-11 + 1e-13 / c.epsilon;
    std::vector<double> potentials = sweep(arrays, {-1, 3, 0}, false).potentials;
    for (std::size_t i = 0; i < potentials.size(); i += 5) potentials[i] = -INFINITY;
    const Evaluated<T> a(arrays, potentials, false), b(arrays, potentials, true);
    for (std::size_t k = 0; k < a.plans.size(); ++k) {
        const double error = relative_error(b.plans[k]->host, a.plans[k]->host);
        expect(error <= 4 * tolerance, what + ": plan is off by " + std::to_string(error / tolerance) + " tolerances");
    }
    const index_t cols = c.sizes[c.symmetric() ? 0 : 1];
    for (index_t j = 0; j < cols; ++j) {
        expect(b.plans[0]->host[j] == 0, what + ": mass where there is none");
        expect(c.strided || b.plans[0]->host[(c.sizes[0] - 1) / 5 * 5 * cols + j] == 0, what + ": mass of another");
    }
}

// Accelerated to the end: different roundings on the way, the same end.
template <class T>
void converge(const Case& c, double tol) {
    const Arrays<T> arrays(c);
    const std::string what = name<T>(c) + " accelerated";
    const Schedule schedule{tol, 3000, 6};
    const Run want = sweep(arrays, schedule, false), got = sweep(arrays, schedule, true);
    expect(want.done.converged && got.done.converged,
           what + ": " + std::to_string(want.done.sweeps) + " and " + std::to_string(got.done.sweeps) + " sweeps");
    const double a = want.values[want.done.sweeps - 1], b = got.values[got.done.sweeps - 1];
    expect(near(a, b, 10 * tol * (c.epsilon + std::abs(a))), what + ": " + std::to_string(a - b) + " off");
}

constexpr PairCost coulomb{PairCost::Kind::riesz, 1, 1}, riesz{PairCost::Kind::riesz, 1.5, 1},
    square{PairCost::Kind::riesz, 2, 1}, logarithmic{PairCost::Kind::log, 1, 1},
    harmonic{PairCost::Kind::quadratic, 1, 1}, repulsive{PairCost::Kind::quadratic, 1, -1},
    yukawa{PairCost::Kind::yukawa, 2, 1.5}, softened{PairCost::Kind::soft, 0.3, 2},
    distances{PairCost::Kind::power, 1, -1}, cubes{PairCost::Kind::power, 3, 0.5};

template <class T>
void compare_all(bool quick) {
    for (const double epsilon : {0.7, 0.02}) {
        // Two marginals: matrices and points; one tile, several, rows and columns of one.
        for (const auto& [n, m] : {std::pair<index_t, index_t>{1, 1}, {1, 40}, {70, 1}, {33, 100}, {64, 32}}) {
            compare<T>({.sizes = {n, m}, .n_marginals = 2, .epsilon = epsilon});
            compare<T>({.sizes = {n, m}, .n_marginals = 2, .epsilon = epsilon, .d = 3, .cost = harmonic});
        }
        compare<T>({.sizes = {50, 41}, .n_marginals = 2, .epsilon = epsilon, .zeros = true, .infinite = true});
        compare<T>({.sizes = {50, 41}, .n_marginals = 2, .epsilon = epsilon, .weighted = false, .strided = true});
        compare<T>(
            {.sizes = {50, 41}, .n_marginals = 2, .epsilon = epsilon, .d = 19, .cost = harmonic, .strided = true});
        compare<T>({.sizes = {45}, .n_marginals = 2, .epsilon = epsilon, .infinite = true});
        compare<T>({.sizes = {45}, .n_marginals = 2, .epsilon = epsilon, .d = 1, .cost = coulomb, .zeros = true});
        // Three: one product a tile.
        compare<T>({.sizes = {1, 1, 1}, .n_marginals = 3, .epsilon = epsilon});
        compare<T>({.sizes = {7, 40, 33}, .n_marginals = 3, .epsilon = epsilon, .strided = true});
        compare<T>({.sizes = {33, 20, 64}, .n_marginals = 3, .epsilon = epsilon, .zeros = true, .infinite = true});
        compare<T>({.sizes = {20, 35, 9}, .n_marginals = 3, .epsilon = epsilon, .d = 3, .cost = coulomb});
        compare<T>({.sizes = {40}, .n_marginals = 3, .epsilon = epsilon, .d = 3, .cost = coulomb, .strided = true});
        compare<T>({.sizes = {35}, .n_marginals = 3, .epsilon = epsilon, .zeros = true, .infinite = true});
        // Four and more: tuples.
        compare<T>({.sizes = {3, 9, 4, 6}, .n_marginals = 4, .epsilon = epsilon, .zeros = true, .infinite = true});
        compare<T>({.sizes = {4, 7, 5, 3}, .n_marginals = 4, .epsilon = epsilon, .d = 2, .cost = logarithmic});
        compare<T>({.sizes = {9}, .n_marginals = 4, .epsilon = epsilon, .zeros = true, .infinite = true});
        compare<T>({.sizes = {8}, .n_marginals = 4, .epsilon = epsilon, .d = 3, .cost = coulomb});
        compare<T>({.sizes = {3, 4, 2, 5, 3}, .n_marginals = 5, .epsilon = epsilon});
        compare<T>({.sizes = {6}, .n_marginals = 5, .epsilon = epsilon});
    }
    for (const PairCost& cost : {riesz, square, logarithmic, harmonic, repulsive, yukawa, softened, distances, cubes}) {
        compare<T>({.sizes = {30, 37}, .n_marginals = 2, .epsilon = 0.3, .d = 2, .cost = cost});
        compare<T>({.sizes = {20}, .n_marginals = 3, .epsilon = 0.3, .d = 2, .cost = cost});
    }
    leave_out<T>({.sizes = {50, 41}, .n_marginals = 2, .epsilon = 0.1, .d = 2, .cost = harmonic});
    leave_out<T>({.sizes = {45}, .n_marginals = 2, .epsilon = 0.1, .infinite = true});
    leave_out<T>({.sizes = {40, 33, 20}, .n_marginals = 3, .epsilon = 0.1, .zeros = true});
    leave_out<T>({.sizes = {35}, .n_marginals = 3, .epsilon = 0.05, .d = 3, .cost = coulomb});
    leave_out<T>({.sizes = {9}, .n_marginals = 4, .epsilon = 0.1, .infinite = true});
    // Exponents of hundreds and thousands: products of a tile may underflow, terms are summed one by one.
    for (const double epsilon : {3e-3, 5e-4}) {
        const index_t one =
            compare<T>({.sizes = {40}, .n_marginals = 3, .epsilon = epsilon, .d = 1, .cost = coulomb}, 8);
        const index_t three = compare<T>({.sizes = {40, 33, 20}, .n_marginals = 3, .epsilon = epsilon}, 8);
        if (epsilon < 1e-3)
            expect(0 < one && one <= 40 && 0 < three && three <= 40 + 40 + 33,
                   std::to_string(one) + " and " + std::to_string(three) + " exact rows");
        compare<T>({.sizes = {8}, .n_marginals = 4, .epsilon = epsilon, .d = 3, .cost = coulomb}, 8);
    }
    const double tol = sizeof(T) == 4 ? 1e-4 : 1e-9;
    converge<T>({.sizes = {40}, .n_marginals = 3, .epsilon = 0.1, .d = 1, .cost = coulomb}, tol);
    converge<T>({.sizes = {30, 20, 25}, .n_marginals = 3, .epsilon = 0.1}, tol);
    converge<T>({.sizes = {60, 50}, .n_marginals = 2, .epsilon = 0.05}, tol);
    if (quick) return;
    compare<T>({.sizes = {3000, 2500}, .n_marginals = 2, .epsilon = 0.05, .d = 3, .cost = harmonic});
    compare<T>({.sizes = {3000, 2500}, .n_marginals = 2, .epsilon = 0.05});
    compare<T>({.sizes = {500}, .n_marginals = 3, .epsilon = 0.1, .d = 3, .cost = coulomb});
    compare<T>({.sizes = {500}, .n_marginals = 3, .epsilon = 0.005, .d = 3, .cost = coulomb});
    compare<T>({.sizes = {400, 300, 350}, .n_marginals = 3, .epsilon = 0.05});
    compare<T>({.sizes = {100}, .n_marginals = 4, .epsilon = 0.1, .d = 3, .cost = coulomb});
    compare<T>({.sizes = {60, 50, 70, 40}, .n_marginals = 4, .epsilon = 0.1, .zeros = true, .infinite = true});
    compare<T>({.sizes = {40}, .n_marginals = 5, .epsilon = 0.2, .d = 3, .cost = coulomb});
    converge<T>({.sizes = {300}, .n_marginals = 3, .epsilon = 0.02, .d = 3, .cost = coulomb}, tol);
}

template <class T>
void compare_errors() {
    const auto spoiled = [](const Case& c, const auto& spoil) {
        Arrays<T> arrays(c);
        spoil(arrays);
        arrays.upload();
        const Schedule schedule{0, 2, 0};
        const std::string on_cpu = message([&] { sweep(arrays, schedule, false); });
        const std::string here = message([&] { sweep(arrays, schedule, true); });
        expect(on_cpu == here && on_cpu != "no error", "'" + on_cpu + "' on the CPU, '" + here + "' here");
    };
    constexpr T inf = std::numeric_limits<T>::infinity();
    const Case points{.sizes = {40, 50, 9}, .n_marginals = 3, .epsilon = 1, .d = 3, .cost = coulomb};
    spoiled(points, [](auto& s) { s.points[1]->host[7] = s.points[1]->host[70] = NAN; });
    spoiled(points, [](auto& s) { s.points[2]->host[26] = -inf; });
    spoiled(points, [](auto& s) { s.weights[1]->host[7] = -1; });
    spoiled(points, [](auto& s) { s.weights[2]->host[8] = NAN; });
    spoiled(points, [](auto& s) { s.weights[0]->host.assign(80, T(0)); });
    spoiled(points, [](auto& s) { s.c.epsilon = 0; });
    for (const int N : {2, 3, 4}) {
        const Case matrix{.sizes = {20}, .n_marginals = N, .epsilon = 1, .infinite = true};
        spoiled(matrix, [](auto& s) { s.costs[0]->host[45] = NAN; });
        spoiled(matrix, [](auto& s) { s.costs[0]->host[45] = -inf; });
        spoiled(matrix, [](auto& s) { s.costs[0]->host[45] += T(0.1); });
        spoiled(matrix, [](auto& s) { s.costs[0]->host[45] = inf; });
        spoiled(matrix, [](auto& s) { s.weights[0]->host[3] = 30; });
        // A row that can meet no others.
        spoiled(matrix, [](auto& s) {
            for (index_t k = 0; k < 20; ++k) s.costs[0]->host[5 * 20 + k] = s.costs[0]->host[k * 20 + 5] = inf;
        });
        std::vector<index_t> sizes(N, 20);
        const Case general{.sizes = sizes, .n_marginals = N, .epsilon = 1, .infinite = true};
        spoiled(general, [](auto& s) { s.costs.back()->host[45] = NAN; });
        spoiled(general, [](auto& s) {
            for (index_t k = 0; k < 20; ++k) s.costs[0]->host[5 * 20 + k] = inf;
        });
    }
    const Case alone{.sizes = {20}, .n_marginals = 2, .epsilon = 1, .d = 2, .cost = logarithmic};
    spoiled(alone, [](auto& s) { s.weights[0]->host[3] = 30; });
}

bool stop_at_once(void*) { return true; }

// A stop leaves the potentials of the last full sweep.
template <class T>
void stop(const Case& c) {
    const Arrays<T> arrays(c);
    const Views<T> views(arrays, true);
    Run r(c, 100000);
    r.done = gpu::sinkhorn(views.problem, {0, 100000, 0}, r.potentials.data(), r.errors.data(), r.values.data(),
                           nullptr, 0, stop_at_once, nullptr);
    expect(r.done.sweeps < 100000 && !r.done.converged, "stop: " + std::to_string(r.done.sweeps) + " sweeps");
    if (r.done.sweeps == 0) return;
    const Run whole = sweep(arrays, {0, r.done.sweeps, 0}, true);
    expect(same_bits(r.potentials, whole.potentials), "stop: the potentials are not those of the last full sweep");
}

}  // namespace

int main(int argc, char** argv) {
    return run(argc, argv, [](bool quick) {
        compare_all<float>(quick);
        compare_all<double>(quick);
        compare_errors<float>();
        compare_errors<double>();
        stop<double>({.sizes = {40, 33, 20}, .n_marginals = 3, .epsilon = 0.1});
        stop<float>({.sizes = {40}, .n_marginals = 2, .epsilon = 0.1});
    });
}
