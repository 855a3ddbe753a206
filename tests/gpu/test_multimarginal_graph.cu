// The CUDA kernels of multi-marginal problems with edges against the CPU ones, in one process: potentials, errors and
// values sweep by sweep, plans of edges and of other pairs, gradients, exact minima, errors of bad input, stops, and
// runs equal to the bit. Compiled against tests/gpu/emulated it runs on the host. Usage and exit status: see twin.hpp.
#include "deblai/cuda/multimarginal.hpp"
#include "twin.hpp"

namespace {

using namespace deblai::test;
using deblai::index_t;
using deblai::Matrix;
using deblai::PairCost;
using deblai::multimarginal::Edge;
using deblai::multimarginal::Marginal;
using deblai::multimarginal::Minimum;
using deblai::multimarginal::Output;
using deblai::multimarginal::Problem;
using deblai::multimarginal::Progress;
using deblai::multimarginal::Schedule;
using deblai::multimarginal::Summary;
namespace cpu = deblai::multimarginal;
namespace gpu = deblai::cuda::multimarginal;

using Edges = std::vector<Edge>;

bool thorough = true;  // not quick

struct Case {
    std::vector<index_t> sizes;
    Edges edges;
    double epsilon;
    index_t d = 0;  // 0: matrices
    PairCost cost = {};
    bool zeros = false, infinite = false, strided = false;

    int count() const { return static_cast<int>(sizes.size()); }
    index_t length() const {
        index_t total = 0;
        for (const index_t n : sizes) total += n;
        return total;
    }
};

template <class T>
std::string name(const Case& c) {
    std::string shape;
    for (const index_t n : c.sizes) shape += std::to_string(n) + ' ';
    for (const auto& [p, q] : c.edges) shape += std::to_string(p) + '-' + std::to_string(q) + ' ';
    char text[300];
    std::snprintf(text, sizeof text, "f%d n=%seps=%g d=%lld kind=%d s=%g zeros=%d inf=%d strided=%d",
                  8 * static_cast<int>(sizeof(T)), shape.c_str(), c.epsilon, static_cast<long long>(c.d),
                  static_cast<int>(c.cost.kind), c.cost.s, c.zeros, c.infinite, c.strided);
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
            std::vector<T> w = uniform<T>(2 * n, 20 + p);
            for (std::size_t i = 0; i < w.size(); ++i)
                w[i] = c.zeros && n > 2 && i % 10 == 2 ? T(0) : T(0.5) + w[i];  // at places of both strides
            weights.push_back(std::make_unique<Twin<T>>(std::move(w)));
        }
        for (std::size_t e = 0; !c.d && e < c.edges.size(); ++e) {
            const index_t n = c.sizes[c.edges[e].p], m = c.sizes[c.edges[e].q];
            std::vector<T> v = uniform<T>(n * m, 30 + e);
            for (index_t i = 0; c.infinite && i < std::min(n, m); ++i)
                if (n > 1 && m > 1) v[i * m + i] = std::numeric_limits<T>::infinity();
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
    Edges edges;
    Problem<T> problem;

    Views(const Arrays<T>& arrays, bool on_device) {
        const Case& c = arrays.c;
        const auto at = [&](const Twin<T>& t) -> const T* { return on_device ? t.device : t.host.data(); };
        for (std::size_t p = 0; p < c.sizes.size(); ++p) {
            const index_t n = c.sizes[p];
            Marginal<T> m{n, {}, {at(*arrays.weights[p]), n, c.strided ? 2 : 1}};
            if (c.d) m.points = laid_out(at(*arrays.points[p]), n, c.d, c.strided);
            marginals.push_back(m);
        }
        for (std::size_t e = 0; !c.d && e < c.edges.size(); ++e)
            costs.push_back(laid_out(at(*arrays.costs[e]), c.sizes[c.edges[e].p], c.sizes[c.edges[e].q], c.strided));
        costs.reserve(1);  // not null where there are no edges
        edges.reserve(c.edges.size() + 1);
        edges.assign(c.edges.begin(), c.edges.end());
        problem = {c.count(), false,     marginals.data(), c.d ? nullptr : costs.data(),
                   c.cost,    c.epsilon, edges.data(),     static_cast<index_t>(edges.size())};
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
            of.push_back(laid_out(to.back()->on(on_device), rows, cols, c.strided));
        };
        for (const auto& [a, b] : c.edges) add(plans, pairs, c.sizes[a], c.sizes[b]);
        for (std::size_t p = 0; c.d && p < c.sizes.size(); ++p) add(gradients, grads, c.sizes[p], c.d);
        const Output<T> out{pairs.data(), c.d ? grads.data() : nullptr, false};
        summary = on_device ? gpu::evaluate(views.problem, potentials.data(), out, nullptr, 0)
                            : cpu::evaluate(views.problem, potentials.data(), out);
        for (auto* group : {&plans, &gradients})
            for (auto& t : *group)
                if (on_device) t->host = t->fetch();
    }
};

template <class T>
std::vector<T> pair(const Arrays<T>& arrays, const std::vector<double>& potentials, int p, int q, bool on_device) {
    const Case& c = arrays.c;
    const Views<T> views(arrays, on_device);
    Twin<T> plan(std::vector<T>(c.sizes[p] * c.sizes[q], T(0.25)));
    const Matrix<T> to = laid_out(plan.on(on_device), c.sizes[p], c.sizes[q], c.strided);
    const bool done = on_device ? gpu::pair_plan(views.problem, potentials.data(), p, q, to, nullptr, 0)
                                : cpu::pair_plan(views.problem, potentials.data(), p, q, to);
    expect(done, name<T>(c) + ": a plan was not made");
    return on_device ? plan.fetch() : plan.host;
}

bool near(double a, double b, double tolerance) { return a == b || std::abs(a - b) <= tolerance; }

template <class T>
double tolerance(const Case& c) {
    const double parts = 1 + 0.3 * c.count();
    return parts * (sizeof(T) == 4 ? 2e-5 + 4e-6 / c.epsilon : 1e-11 + 1e-13 / c.epsilon);
}

template <class T>
void same_plan(const std::vector<T>& got, const std::vector<T>& want, double tolerance, const std::string& what) {
    const double error = relative_error(got, want);
    expect(error <= tolerance, what + " is off by " + std::to_string(error / tolerance) + " tolerances");
}

// The least of costs less potentials, in float64 whatever the arrays are.
template <class T>
void compare_minima(const Arrays<T>& arrays, const std::vector<double>& potentials) {
    const std::string what = name<T>(arrays.c);
    const Views<T> host(arrays, false), device(arrays, true);
    const Minimum want = cpu::minimum(host.problem, potentials.data(), {1}),
                  got = gpu::graph_minimum(device.problem, potentials.data(), nullptr, 0);
    const double scale = 1e-12 * (1 + std::abs(want.value));
    expect(got.exact && got.nodes == want.nodes, what + ": exact minimum");
    expect(near(got.value, want.value, scale), what + ": minimum " + std::to_string(got.value - want.value) + " off");
    expect(near(got.best, got.value, scale) && got.at.size() == want.at.size(),
           what + ": the minimum is not attained: " + std::to_string(got.best - got.value));
    if (!thorough) return;
    const Minimum again = gpu::graph_minimum(device.problem, potentials.data(), nullptr, 0);
    expect(got.value == again.value && got.best == again.best && got.at == again.at, what + ": two minima differ");
}

// Returns how many entries of tables were summed term by term on the device.
template <class T>
index_t compare(const Case& c, index_t sweeps = 2) {
    const Arrays<T> arrays(c);
    const std::string what = name<T>(c);
    const double tol = tolerance<T>(c);
    const Schedule schedule{-1, sweeps, 0};
    const Run want = sweep(arrays, schedule, false), got = sweep(arrays, schedule, true);
    expect(got.done.sweeps == sweeps && !got.done.converged, what + ": sweeps");
    double off = 0;
    for (std::size_t i = 0; i < got.potentials.size(); ++i) {
        const double a = got.potentials[i], b = want.potentials[i];
        off = std::max(off, std::isnan(a) ? INFINITY : a == b ? 0 : std::abs(a - b) / c.epsilon);
    }
    expect(off <= tol, what + ": potentials are off by " + std::to_string(off / tol) + " tolerances");
    for (index_t k = 0; k < sweeps; ++k) {
        expect(near(got.errors[k], want.errors[k], tol * (1 + want.errors[k])),
               what + ": error of sweep " + std::to_string(k));
        expect(near(got.values[k], want.values[k], tol * c.epsilon * (1 + want.errors[k]) * c.count()),
               what + ": value of sweep " + std::to_string(k));
    }
    const Run again = sweep(arrays, schedule, true);
    expect(same_bits(got.potentials, again.potentials) && same_bits(got.errors, again.errors) &&
               same_bits(got.values, again.values) && got.done.exact_rows == again.done.exact_rows,
           what + ": two runs differ");

    const Evaluated<T> a(arrays, want.potentials, false), b(arrays, want.potentials, true);
    const double scale = std::max(1.0, a.summary.mass);
    expect(b.summary.finished && near(a.summary.mass, b.summary.mass, tol * scale), what + ": mass");
    expect(near(a.summary.value, b.summary.value, tol * scale * (1 + std::abs(a.summary.value))), what + ": value");
    expect(near(a.summary.value_linear, b.summary.value_linear, tol * scale * (1 + std::abs(a.summary.value_linear))),
           what + ": <c, plan>");
    expect(near(a.summary.marginal_error, b.summary.marginal_error, tol * scale), what + ": marginal error");
    for (std::size_t i = 0; i < a.summary.marginals.size(); ++i)
        if (!near(a.summary.marginals[i], b.summary.marginals[i], tol * scale)) expect(false, what + ": marginals");
    for (std::size_t k = 0; k < a.plans.size(); ++k)
        same_plan(b.plans[k]->host, a.plans[k]->host, 4 * tol, what + ": plan " + std::to_string(k));
    for (std::size_t k = 0; k < a.gradients.size(); ++k)
        same_plan(b.gradients[k]->host, a.gradients[k]->host, 8 * tol, what + ": gradient " + std::to_string(k));
    const int N = c.count();
    for (const auto& [p, q] : Edges{{0, N - 1}, {N / 2, N - 1}})
        if (p < q && (thorough || p == 0))
            same_plan(pair(arrays, want.potentials, p, q, true), pair(arrays, want.potentials, p, q, false), 4 * tol,
                      what + ": pair " + std::to_string(p) + "-" + std::to_string(q));
    compare_minima(arrays, want.potentials);
    return got.done.exact_rows;
}

// Potentials of -inf leave points out: plans alike, nothing at those points.
template <class T>
void leave_out(const Case& c) {
    const Arrays<T> arrays(c);
    const std::string what = name<T>(c) + " with points left out";
    std::vector<double> potentials = sweep(arrays, {-1, 2, 0}, false).potentials;
    for (std::size_t i = 0; i < potentials.size(); i += 5) potentials[i] = -INFINITY;
    const Evaluated<T> a(arrays, potentials, false), b(arrays, potentials, true);
    for (std::size_t k = 0; k < a.plans.size(); ++k)
        same_plan(b.plans[k]->host, a.plans[k]->host, 4 * tolerance<T>(c), what + ": plan " + std::to_string(k));
    const Edge e = c.edges[0];
    if (e.p == 0)
        for (index_t j = 0; j < c.sizes[e.q]; ++j)
            expect(b.plans[0]->host[j] == 0, what + ": mass where there is none");
    const int last = c.count() - 1;
    same_plan(pair(arrays, potentials, 0, last, true), pair(arrays, potentials, 0, last, false), 4 * tolerance<T>(c),
              what + ": pair");
    compare_minima(arrays, potentials);
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

const Edges chain = {{0, 1}, {1, 2}, {2, 3}}, ring = {{0, 1}, {0, 3}, {1, 2}, {2, 3}},
            star = {{0, 1}, {0, 2}, {0, 3}, {0, 4}}, tree = {{0, 1}, {1, 2}, {1, 3}, {3, 4}, {3, 5}},
            triangle = {{0, 1}, {0, 2}, {1, 2}},
            three = {{0, 1}, {0, 2}, {0, 3}, {1, 2}, {1, 3}, {1, 4}, {2, 3}, {2, 4}, {3, 4}},
            book = {{0, 1}, {0, 2}, {0, 3}, {0, 4}, {0, 5}, {1, 2}, {1, 3}, {1, 4}, {1, 5}}, apart = {{0, 2}, {1, 3}},
            lonely = {{0, 2}};

Edges complete(int n) {
    Edges all;
    for (int p = 0; p < n; ++p)
        for (int q = p + 1; q < n; ++q) all.push_back({p, q});
    return all;
}

template <class T>
void compare_all(bool quick) {
    for (const double epsilon : {0.7, 0.02}) {
        const bool far = epsilon < 0.1;
        // Lines alone: trees, of matrices and of points.
        compare<T>({.sizes = {33, 40, 7, 64}, .edges = chain, .epsilon = epsilon, .zeros = true, .infinite = true});
        if (far) compare<T>({.sizes = {1, 40, 1, 5}, .edges = chain, .epsilon = epsilon, .d = 1, .cost = harmonic});
        compare<T>({.sizes = {20, 3, 35, 1, 9}, .edges = star, .epsilon = epsilon, .strided = true});
        compare<T>({.sizes = {8, 30, 5, 33, 4, 6},
                    .edges = tree,
                    .epsilon = epsilon,
                    .d = 3,
                    .cost = coulomb,
                    .strided = far});
        // Tables of two variables and of more.
        compare<T>({.sizes = {33, 5, 40, 9}, .edges = ring, .epsilon = epsilon, .zeros = true, .infinite = true});
        compare<T>({.sizes = {6, 35, 12, 33}, .edges = ring, .epsilon = epsilon, .d = 2, .cost = coulomb});
        compare<T>({.sizes = {1, 1, 1}, .edges = triangle, .epsilon = epsilon});
        compare<T>({.sizes = {40, 1, 33}, .edges = triangle, .epsilon = epsilon, .strided = true});
        compare<T>({.sizes = {5, 4, 6, 3, 7}, .edges = three, .epsilon = epsilon, .zeros = true, .infinite = far});
        compare<T>({.sizes = {9, 5, 33, 4, 6}, .edges = three, .epsilon = epsilon, .d = 2, .cost = harmonic});
        compare<T>({.sizes = {4, 3, 5, 2, 3}, .edges = complete(5), .epsilon = epsilon, .strided = true});
        compare<T>({.sizes = {9, 8, 3, 4, 5, 2}, .edges = book, .epsilon = epsilon, .d = 1, .cost = harmonic});
        // Components, and marginals alone.
        compare<T>({.sizes = {6, 7, 33, 5}, .edges = apart, .epsilon = epsilon});
        compare<T>({.sizes = {6, 7, 8, 5}, .edges = lonely, .epsilon = epsilon, .d = 2, .cost = harmonic});
    }
    compare<T>({.sizes = {4, 5}, .edges = {}, .epsilon = 1});
    compare<T>({.sizes = {40, 37}, .edges = {{0, 1}}, .epsilon = 0.1, .d = 19, .cost = harmonic, .strided = true});
    for (const PairCost& cost : {riesz, square, logarithmic, harmonic, repulsive, yukawa, softened, distances, cubes})
        compare<T>({.sizes = {8, 11, 7}, .edges = triangle, .epsilon = 0.3, .d = 2, .cost = cost}, 1);
    leave_out<T>({.sizes = {12, 33, 9, 20}, .edges = ring, .epsilon = 0.1, .zeros = true});
    leave_out<T>({.sizes = {12, 33, 9, 20}, .edges = chain, .epsilon = 0.05, .d = 3, .cost = harmonic});
    leave_out<T>({.sizes = {6, 5, 7, 4, 3}, .edges = three, .epsilon = 0.1, .d = 2, .cost = coulomb});
    // Exponents of hundreds and thousands: products may underflow, terms are summed one by one.
    for (const double epsilon : {3e-3, 3e-4}) {
        const index_t some = compare<T>({.sizes = {40, 33, 45, 20}, .edges = ring, .epsilon = epsilon}, 2);
        if (epsilon < 1e-3 || sizeof(T) == 4)
            expect(some > 0, "no exact entries at epsilon " + std::to_string(epsilon));
        compare<T>({.sizes = {40, 33, 20}, .edges = triangle, .epsilon = epsilon, .d = 2, .cost = coulomb}, 2);
        compare<T>({.sizes = {5, 4, 6, 3, 7}, .edges = three, .epsilon = epsilon, .infinite = true}, 2);
        compare<T>({.sizes = {40, 33, 45, 20}, .edges = chain, .epsilon = epsilon, .d = 2, .cost = harmonic}, 2);
    }
    expect(compare<T>({.sizes = {40, 33, 45, 20}, .edges = ring, .epsilon = 1}) == 0, "exact entries at epsilon 1");
    const double tol = sizeof(T) == 4 ? 1e-4 : 1e-9;
    converge<T>({.sizes = {30, 20, 25, 9}, .edges = ring, .epsilon = 0.1}, tol);
    converge<T>({.sizes = {30, 20, 25, 9}, .edges = chain, .epsilon = 0.1, .d = 2, .cost = harmonic}, tol);
    if (quick) return;
    compare<T>({.sizes = {3000, 2500, 2000, 900}, .edges = chain, .epsilon = 0.05, .d = 3, .cost = harmonic});
    compare<T>({.sizes = {1500, 1000, 1300, 900}, .edges = chain, .epsilon = 0.05, .strided = true});
    compare<T>({.sizes = {300, 250, 200, 310}, .edges = ring, .epsilon = 0.05, .d = 2, .cost = coulomb});
    compare<T>({.sizes = {300, 250, 200, 310}, .edges = ring, .epsilon = 0.002, .zeros = true, .infinite = true});
    compare<T>({.sizes = {50, 40, 45, 30, 60}, .edges = three, .epsilon = 0.05, .d = 3, .cost = coulomb});
    converge<T>({.sizes = {300, 250, 200, 310}, .edges = ring, .epsilon = 0.02, .d = 2, .cost = harmonic}, tol);
}

template <class T>
void compare_errors() {
    const auto spoiled = [](const Case& c, const auto& spoil) {
        Arrays<T> arrays(c);
        spoil(arrays);
        arrays.upload();
        const Schedule schedule{0, 2, 0};
        const std::vector<double> f(c.length(), 0.0);
        const std::string on_cpu = message([&] { sweep(arrays, schedule, false); });
        const std::string here = message([&] { sweep(arrays, schedule, true); });
        expect(on_cpu == here && on_cpu != "no error", "'" + on_cpu + "' on the CPU, '" + here + "' here");
        const Views<T> host(arrays, false), device(arrays, true);
        const std::string there = message([&] { cpu::minimum(host.problem, f.data(), {1}); });
        const std::string minimum = message([&] { gpu::graph_minimum(device.problem, f.data(), nullptr, 0); });
        expect(there == minimum, "'" + there + "' on the CPU, '" + minimum + "' here");
    };
    constexpr T inf = std::numeric_limits<T>::infinity();
    for (const Edges& edges : {chain, ring}) {
        const Case points{.sizes = {40, 50, 9, 5}, .edges = edges, .epsilon = 1, .d = 3, .cost = coulomb};
        spoiled(points, [](auto& s) { s.points[1]->host[7] = s.points[1]->host[70] = NAN; });
        spoiled(points, [](auto& s) { s.points[2]->host[26] = -inf; });
        spoiled(points, [](auto& s) { s.weights[1]->host[7] = -1; });
        spoiled(points, [](auto& s) { s.weights[2]->host[8] = NAN; });
        spoiled(points, [](auto& s) { s.weights[0]->host.assign(80, T(0)); });
        spoiled(points, [](auto& s) { s.c.epsilon = 0; });
        spoiled(points, [](auto& s) { s.c.edges[0] = {1, 1}; });
        spoiled(points, [](auto& s) { s.c.edges[1].q = 4; });
        spoiled(points, [](auto& s) { s.c.edges[1] = s.c.edges[0]; });
        const Case matrix{.sizes = {20, 20, 20, 20}, .edges = edges, .epsilon = 1};
        spoiled(matrix, [](auto& s) { s.costs[0]->host[45] = NAN; });
        spoiled(matrix, [](auto& s) { s.costs[2]->host[45] = -inf; });
        spoiled(matrix, [](auto& s) {  // a row that can meet no others
            for (index_t k = 0; k < 20; ++k) s.costs[0]->host[5 * 20 + k] = inf;
        });
    }
    const Arrays<T> arrays(Case{.sizes = {4, 5, 6, 7}, .edges = ring, .epsilon = 1});
    const Views<T> host(arrays, false), device(arrays, true);
    const std::vector<double> f(22, 0.0);
    for (const auto& [p, q] : Edges{{1, 1}, {2, 1}, {-1, 2}, {0, 4}})
        expect(message([&] { cpu::pair_plan(host.problem, f.data(), p, q, Matrix<T>{}); }) ==
                   message([&] { gpu::pair_plan(device.problem, f.data(), p, q, Matrix<T>{}, nullptr, 0); }),
               "pairs that are none");
}

// Tables that fit nowhere are refused before anything is made of them, with the bytes wanted.
template <class T>
void too_large() {
    const Case c{.sizes = std::vector<index_t>(5, 20000), .edges = complete(5), .epsilon = 1, .d = 1, .cost = harmonic};
    const Arrays<T> arrays(c);
    std::string said = "no error";
    try {
        sweep(arrays, {-1, 1, 0}, true);
    } catch (const deblai::cuda::OutOfMemory& e) {
        said = e.what();
    }
    expect(said.find("out of memory, the workspace of this call takes ") != said.npos, "too large: '" + said + "'");
}

bool stop_at_once(void*) { return true; }

// A stop leaves the potentials of the last full sweep.
template <class T>
void stop(const Case& c) {
    const Arrays<T> arrays(c);
    const Views<T> views(arrays, true);
    Run r(c, 100000);
    r.done = gpu::sinkhorn(views.problem, {-1, 100000, 0}, r.potentials.data(), r.errors.data(), r.values.data(),
                           nullptr, 0, stop_at_once, nullptr);
    expect(r.done.sweeps < 100000 && !r.done.converged, "stop: " + std::to_string(r.done.sweeps) + " sweeps");
    const std::vector<double> whole =
        r.done.sweeps ? sweep(arrays, {-1, r.done.sweeps, 0}, true).potentials : std::vector<double>(c.length(), 0.0);
    expect(same_bits(r.potentials, whole), "stop: the potentials are not those of the last full sweep");
}

}  // namespace

int main(int argc, char** argv) {
    return run(argc, argv, [](bool quick) {
        thorough = !quick;
        compare_all<float>(quick);
        compare_all<double>(quick);
        compare_errors<float>();
        compare_errors<double>();
        too_large<double>();
        stop<double>({.sizes = {40, 33, 20, 30}, .edges = ring, .epsilon = 0.1});
        stop<float>({.sizes = {400, 330, 200, 300}, .edges = chain, .epsilon = 0.1, .d = 2, .cost = harmonic});
    });
}
