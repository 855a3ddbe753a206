// The least reduced cost on the device against the CPU kernel and, for small problems, all tuples one by one: two
// marginals and more, equal and general, ties, infinite costs, budgets that are too small, errors of bad input, stops.
// Compiled against tests/gpu/emulated it runs on the host. Usage and exit status: see twin.hpp.
#include "deblai/cuda/multimarginal-minimum.hpp"

#include <algorithm>

#include "twin.hpp"

namespace {

using namespace deblai::test;
using deblai::index_t;
using deblai::Matrix;
using deblai::PairCost;
using deblai::multimarginal::Marginal;
using deblai::multimarginal::Minimum;
using deblai::multimarginal::Problem;
namespace cpu = deblai::multimarginal;
namespace gpu = deblai::cuda::multimarginal;

constexpr double inf = std::numeric_limits<double>::infinity();
constexpr std::int64_t ample = std::int64_t{1} << 40;

struct Case {
    std::vector<index_t> sizes;  // one for equal marginals
    int n_marginals;
    index_t d = 0;  // 0: matrices
    PairCost cost = {};
    bool weighted = true, zeros = false, infinite = false, strided = false;
    double levels = 0;  // costs and potentials are multiples of 1 / levels: ties

    bool symmetric() const { return sizes.size() == 1 && n_marginals > 1; }
};

template <class T>
std::string name(const Case& c) {
    std::string sizes;
    for (const index_t n : c.sizes) sizes += std::to_string(n) + ' ';
    char text[200];
    std::snprintf(text, sizeof text, "f%d N=%d n=%sd=%lld kind=%d s=%g weights=%d%d inf=%d strided=%d levels=%g",
                  8 * static_cast<int>(sizeof(T)), c.n_marginals, sizes.c_str(), static_cast<long long>(c.d),
                  static_cast<int>(c.cost.kind), c.cost.s, c.weighted, c.zeros, c.infinite, c.strided, c.levels);
    return text;
}

template <class T>
struct Arrays {
    Case c;
    std::vector<std::unique_ptr<Twin<T>>> points, weights, costs;
    std::vector<double> potentials;

    explicit Arrays(const Case& given) : c(given) {
        const auto rounded = [&](double v) { return c.levels > 0 ? std::floor(v * c.levels) / c.levels : v; };
        for (std::size_t p = 0; p < c.sizes.size(); ++p) {
            const index_t n = c.sizes[p];
            points.push_back(std::make_unique<Twin<T>>(uniform<T>(n * c.d, 10 + p)));
            std::vector<T> w = uniform<T>(c.weighted ? 2 * n : 0, 20 + p);
            for (std::size_t i = 0; i < w.size(); ++i) w[i] = c.zeros && i % 6 < 3 ? T(0) : T(0.5) + w[i];
            if (c.weighted && c.zeros && n < 4) w[0] = T(1);
            weights.push_back(std::make_unique<Twin<T>>(std::move(w)));
            for (const double f : uniform<double>(n, 40 + p, 0.5)) potentials.push_back(rounded(f));
        }
        if (c.d) return;
        const std::size_t count = c.sizes.size();
        for (std::size_t a = 0; a < count; ++a)
            for (std::size_t b = c.symmetric() ? a : a + 1; b < count; ++b) {
                const index_t n = c.sizes[a], m = c.sizes[b];
                std::vector<T> v = uniform<T>(n * m, 30 + a * count + b);
                for (T& x : v) x = static_cast<T>(rounded(static_cast<double>(x)));
                for (index_t i = 0; c.symmetric() && i < n; ++i)
                    for (index_t j = 0; j < i; ++j) v[i * n + j] = v[j * n + i];
                for (index_t i = 0; c.infinite && i < std::min(n, m); ++i) v[i * m + i] = static_cast<T>(inf);
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
        for (std::size_t p = 0; p < c.sizes.size(); ++p) {
            const index_t n = c.sizes[p];
            Marginal<T> m{n, {}, {}};
            if (c.d) m.points = laid_out<const T>(arrays.points[p]->on(on_device), n, c.d, c.strided);
            if (c.weighted) m.weights = {arrays.weights[p]->on(on_device), n, c.strided ? 2 : 1};
            marginals.push_back(m);
        }
        std::size_t next = 0;
        for (std::size_t a = 0; !c.d && a < c.sizes.size(); ++a)
            for (std::size_t b = c.symmetric() ? a : a + 1; b < c.sizes.size(); ++b)
                costs.push_back(
                    laid_out<const T>(arrays.costs[next++]->on(on_device), c.sizes[a], c.sizes[b], c.strided));
        problem = {c.n_marginals, c.symmetric(), marginals.data(), c.d ? nullptr : costs.data(), c.cost, 1.0};
    }
};

template <class T>
Minimum on_cpu(const Arrays<T>& arrays) {
    return cpu::minimum(Views<T>(arrays, false).problem, arrays.potentials.data(), {ample});
}

template <class T>
Minimum on_gpu(const Arrays<T>& arrays, std::int64_t budget = ample, bool (*poll)(void*) = nullptr) {
    return gpu::minimum(Views<T>(arrays, true).problem, arrays.potentials.data(), budget, nullptr, 0, poll, nullptr);
}

// The reduced cost of a tuple; inf where a point has no weight.
template <class T>
double reduced(const Arrays<T>& arrays, const std::vector<index_t>& at) {
    const Views<T> views(arrays, false);
    const Problem<T>& q = views.problem;
    const std::vector<index_t> sizes = arrays.c.sizes;
    double sum = 0;
    index_t offset = 0;
    for (int p = 0; p < q.n_marginals; ++p) {
        const int a = q.symmetric ? 0 : p;
        if (q.marginals[a].weights && !(q.marginals[a].weights(at[p]) > 0)) return inf;
        sum -= arrays.potentials[offset + at[p]];
        if (!q.symmetric) offset += sizes[p];
        for (int r = p + 1; r < q.n_marginals; ++r) {
            if (q.costs) {
                sum += static_cast<double>(q.costs[q.pair(p, r)](at[p], at[r]));
                continue;
            }
            double r2 = 0;
            for (index_t k = 0; k < arrays.c.d; ++k) {
                const double gap = static_cast<double>(q.marginals[a].points(at[p], k)) -
                                   static_cast<double>(q.marginals[q.symmetric ? 0 : r].points(at[r], k));
                r2 += gap * gap;
            }
            sum += q.cost.cost(r2);
        }
    }
    return sum;
}

template <class T>
double brute_force(const Arrays<T>& arrays) {
    const int N = arrays.c.n_marginals;
    const auto size = [&](int p) { return arrays.c.sizes[arrays.c.symmetric() ? 0 : p]; };
    std::vector<index_t> at(N, 0);
    double best = inf;
    for (int p = 0; p >= 0;) {
        best = std::min(best, reduced(arrays, at));
        for (p = N - 1; p >= 0 && ++at[p] == size(p); --p) at[p] = 0;
    }
    return best;
}

bool near(double a, double b) { return a == b || std::abs(a - b) <= 1e-13 * (1 + std::abs(a) + std::abs(b)); }

bool same(const Minimum& a, const Minimum& b) {
    return std::memcmp(&a.value, &b.value, sizeof a.value) == 0 && a.best == b.best && a.exact == b.exact &&
           a.nodes == b.nodes && a.at == b.at;
}

// That it is attained where it says.
template <class T>
void check_best(const Arrays<T>& arrays, const Minimum& m, const std::string& what) {
    if (m.best == inf) return expect(m.at.empty(), what + ": a tuple of infinite cost");
    expect(m.at.size() == static_cast<std::size_t>(arrays.c.n_marginals), what + ": no tuple");
    expect(near(reduced(arrays, m.at), m.best), what + ": not attained");
    expect(!arrays.c.symmetric() || std::is_sorted(m.at.begin(), m.at.end()), what + ": not sorted");
}

template <class T>
void compare(const Case& c, bool brute = true) {
    const Arrays<T> arrays(c);
    const std::string what = name<T>(c);
    const Minimum got = on_gpu(arrays), want = on_cpu(arrays);
    expect(got.exact && got.value == got.best, what + ": not exact");
    expect(near(got.best, want.best),
           what + ": " + std::to_string(got.best) + " where the CPU finds " + std::to_string(want.best));
    check_best(arrays, got, what);
    expect(same(got, on_gpu(arrays)), what + ": two runs differ");
    if (brute) expect(near(got.best, brute_force(arrays)), what + ": not that of all tuples");
    double nodes = 1;  // choices of all but two
    if (c.symmetric()) {
        for (int l = 1; l + 2 <= c.n_marginals; ++l) nodes *= static_cast<double>(c.sizes[0] + l - 1) / l;
    } else {
        std::vector<index_t> sizes = c.sizes;
        std::sort(sizes.begin(), sizes.end());
        for (std::size_t p = 0; p + 2 < sizes.size(); ++p) nodes *= static_cast<double>(sizes[p]);
    }
    expect(near(static_cast<double>(got.nodes), nodes), what + ": " + std::to_string(got.nodes) + " nodes");
    // A budget for less: a bound all the same.
    for (const std::int64_t budget : {got.nodes - 1, got.nodes / 3, std::int64_t{0}}) {
        if (c.n_marginals == 2) break;
        const Minimum bound = on_gpu(arrays, budget);
        const std::string with = what + " with a budget of " + std::to_string(budget);
        expect(bound.value <= got.value + 1e-12 * (1 + std::abs(got.value)), with + ": no bound");
        expect(bound.value > -inf && bound.value <= bound.best, with + ": nothing said");
        expect(!bound.exact || near(bound.value, got.value), with + ": not exact");
        check_best(arrays, bound, with);
        expect(same(bound, on_gpu(arrays, budget)), with + ": two runs differ");
    }
}

constexpr PairCost coulomb{PairCost::Kind::riesz, 1, 1}, riesz{PairCost::Kind::riesz, 1.5, 1},
    logarithmic{PairCost::Kind::log, 1, 1}, harmonic{PairCost::Kind::quadratic, 1, 1},
    repulsive{PairCost::Kind::quadratic, 1, -1}, yukawa{PairCost::Kind::yukawa, 2, 1.5},
    softened{PairCost::Kind::soft, 0.3, 2}, distances{PairCost::Kind::power, 1, -1},
    cubes{PairCost::Kind::power, 3, 0.5};

template <class T>
void compare_all(bool quick) {
    for (const auto& [n, m] : {std::pair<index_t, index_t>{1, 1}, {1, 40}, {70, 1}, {33, 100}, {64, 32}}) {
        compare<T>({.sizes = {n, m}, .n_marginals = 2});
        compare<T>({.sizes = {n, m}, .n_marginals = 2, .d = 3, .cost = harmonic, .strided = true});
    }
    compare<T>({.sizes = {50, 41}, .n_marginals = 2, .zeros = true, .infinite = true, .strided = true});
    compare<T>({.sizes = {45}, .n_marginals = 2, .infinite = true, .levels = 3});
    compare<T>({.sizes = {45}, .n_marginals = 2, .d = 1, .cost = coulomb, .zeros = true});
    compare<T>({.sizes = {1, 1, 1}, .n_marginals = 3});
    compare<T>({.sizes = {7, 40, 33}, .n_marginals = 3, .strided = true});
    compare<T>({.sizes = {33, 5, 64}, .n_marginals = 3, .zeros = true, .infinite = true});
    compare<T>({.sizes = {33, 20, 9}, .n_marginals = 3, .levels = 2});
    compare<T>({.sizes = {20, 35, 9}, .n_marginals = 3, .d = 3, .cost = coulomb, .zeros = true, .strided = true});
    compare<T>({.sizes = {70}, .n_marginals = 3, .d = 3, .cost = coulomb, .strided = true}, false);
    compare<T>({.sizes = {40}, .n_marginals = 3, .zeros = true, .infinite = true});
    compare<T>({.sizes = {40}, .n_marginals = 3, .infinite = true, .levels = 4});
    compare<T>({.sizes = {3, 9, 4, 6}, .n_marginals = 4, .zeros = true, .infinite = true});
    compare<T>({.sizes = {5, 34, 2, 33}, .n_marginals = 4, .d = 2, .cost = logarithmic});
    compare<T>({.sizes = {4, 3, 5, 3}, .n_marginals = 4, .levels = 2});
    compare<T>({.sizes = {9}, .n_marginals = 4, .zeros = true, .infinite = true});
    compare<T>({.sizes = {35}, .n_marginals = 4, .d = 3, .cost = coulomb}, false);
    compare<T>({.sizes = {3, 4, 2, 5, 3}, .n_marginals = 5, .weighted = false});
    compare<T>({.sizes = {6}, .n_marginals = 5, .levels = 5});
    compare<T>({.sizes = {8}, .n_marginals = 5, .d = 2, .cost = coulomb});
    compare<T>({.sizes = {4}, .n_marginals = 7, .infinite = false});
    compare<T>({.sizes = {1}, .n_marginals = 4});
    for (const PairCost& cost : {riesz, logarithmic, harmonic, repulsive, yukawa, softened, distances, cubes}) {
        compare<T>({.sizes = {30, 37}, .n_marginals = 2, .d = 2, .cost = cost});
        compare<T>({.sizes = {12}, .n_marginals = 3, .d = 2, .cost = cost});
    }
    // Tuples without a finite cost: more particles than points, matrices of nothing but inf.
    for (const Case& c : {Case{.sizes = {2}, .n_marginals = 3, .infinite = true},
                          Case{.sizes = {3}, .n_marginals = 5, .d = 1, .cost = coulomb}}) {
        for (const std::int64_t budget : {ample, std::int64_t{0}}) {
            const Minimum m = on_gpu(Arrays<T>(c), budget);
            expect(m.best == inf && m.at.empty() && m.exact == (m.value == inf), name<T>(c) + ": all infinite");
            expect(budget == 0 || m.exact, name<T>(c) + ": all infinite, exactly");
        }
    }
    for (const std::vector<index_t>& sizes : {std::vector<index_t>{5, 4}, {5, 4, 3}, {5, 4, 3, 6}}) {
        Arrays<T> arrays({.sizes = sizes, .n_marginals = static_cast<int>(sizes.size())});
        for (T& v : arrays.costs[0]->host) v = static_cast<T>(inf);
        arrays.upload();
        const Minimum m = on_gpu(arrays), small = on_gpu(arrays, 0);
        expect(m.value == inf && m.best == inf && m.exact && m.at.empty(), "nothing but inf");
        expect(small.value == inf && small.exact, "nothing but inf, with no budget");
    }
    if (quick) return;
    compare<T>({.sizes = {3000, 2500}, .n_marginals = 2, .d = 3, .cost = harmonic}, false);
    compare<T>({.sizes = {500}, .n_marginals = 3, .d = 3, .cost = coulomb}, false);
    compare<T>({.sizes = {400, 300, 350}, .n_marginals = 3, .zeros = true, .infinite = true}, false);
    compare<T>({.sizes = {100}, .n_marginals = 4, .d = 3, .cost = coulomb}, false);
    compare<T>({.sizes = {30}, .n_marginals = 6, .d = 3, .cost = coulomb}, false);
}

template <class T>
void compare_errors() {
    const auto spoiled = [](const Case& c, const auto& spoil) {
        Arrays<T> arrays(c);
        spoil(arrays);
        arrays.upload();
        const std::string there = message([&] { on_cpu(arrays); }), here = message([&] { on_gpu(arrays); });
        expect(there == here && there != "no error", "'" + there + "' on the CPU, '" + here + "' here");
    };
    const Case points{.sizes = {40, 50, 9}, .n_marginals = 3, .d = 3, .cost = coulomb};
    spoiled(points, [](auto& s) { s.points[1]->host[7] = s.points[1]->host[70] = NAN; });
    spoiled(points, [](auto& s) { s.points[2]->host[26] = static_cast<T>(-inf); });
    spoiled(points, [](auto& s) { s.weights[1]->host[7] = -1; });
    spoiled(points, [](auto& s) { s.weights[2]->host[8] = NAN; });
    spoiled(points, [](auto& s) { s.weights[0]->host.assign(80, T(0)); });
    for (const int N : {2, 3, 4}) {
        const Case equal{.sizes = {20}, .n_marginals = N, .infinite = true};
        const Case general{.sizes = std::vector<index_t>(N, 20), .n_marginals = N, .infinite = true};
        for (const Case& c : {equal, general}) {
            spoiled(c, [](auto& s) { s.costs.back()->host[45] = NAN; });
            spoiled(c, [](auto& s) { s.costs[0]->host[45] = static_cast<T>(-inf); });
        }
        if (N > 2) spoiled(equal, [](auto& s) { s.costs[0]->host[45] += T(0.1); });
        if (N > 2) spoiled(equal, [](auto& s) { s.costs[0]->host[45] = static_cast<T>(inf); });
    }
    Views<T> views(Arrays<T>(points), true);
    const deblai::multimarginal::Edge edges[] = {{0, 1}, {1, 2}};
    views.problem.edges = edges;
    views.problem.edge_count = 2;
    const std::string said = message([&] { gpu::minimum(views.problem, nullptr, 1, nullptr, 0); });
    expect(said.find("graph: expected all pairs for arrays on a GPU") != said.npos, "edges: '" + said + "'");
}

// Asked between launches, not before 50 ms have gone by.
bool stop_at_once(void*) { return true; }

template <class T>
void stop(const Case& c) {
    const Arrays<T> arrays(c);
    const Minimum whole = on_gpu(arrays);
    for (const std::int64_t budget : {ample, std::int64_t{0}}) {
        const Minimum m = on_gpu(arrays, budget, stop_at_once);
        expect(m.value <= whole.value + 1e-12 && (m.value > -inf || !m.exact), name<T>(c) + ": stopped");
    }
}

}  // namespace

int main(int argc, char** argv) {
    return run(argc, argv, [](bool quick) {
        compare_all<float>(quick);
        compare_all<double>(quick);
        compare_errors<float>();
        compare_errors<double>();
        stop<double>({.sizes = {70}, .n_marginals = 4, .d = 3, .cost = coulomb});
        stop<float>({.sizes = {400, 300}, .n_marginals = 2, .d = 3, .cost = harmonic});
    });
}
