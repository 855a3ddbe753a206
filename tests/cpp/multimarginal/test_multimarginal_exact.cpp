// Small epsilon: what a product of stabilised float kernels loses to underflow is found and summed again, so that
// float32 agrees with the truth in double where products carry the sum and where they cannot.
#include "multimarginal_support.hpp"

namespace {

using namespace deblai;
using namespace deblai::test;

// Three equal marginals at zero potentials and equal weights: for each row, the log of the factors of its largest term
// in the product, exp(-c(i,k) - min) exp(-c(k,j) - min) exp(-c(i,j) - min). Below -87 a float has nothing left of it.
template <class T>
double worst_product(const Case<T>& c) {
    const Truth<T> truth(c);
    const index_t n = c.sizes[0];
    std::vector<double> M(n * n), top(n, -inf);
    for (index_t i = 0; i < n; ++i)
        for (index_t j = 0; j < n; ++j) {
            M[i * n + j] = -truth.cost(0, 1, i, j) / c.epsilon;
            top[i] = std::max(top[i], M[i * n + j]);
        }
    double worst = 0;
    for (index_t i = 0; i < n; ++i) {
        double best = -inf, factors = 0;
        for (index_t j = 0; j < n; ++j)
            for (index_t k = 0; k < n; ++k) {
                const double term = M[i * n + j] + M[i * n + k] + M[j * n + k];
                if (term <= best) continue;
                best = term;
                factors = term - 2 * top[i] - top[j];
            }
        worst = std::min(worst, factors);
    }
    return worst;
}

// One plain sweep from zero, and from potentials of a run in double.
template <class T>
void agrees(const Case<T>& c, double tol) {
    const Truth<T> truth(c);
    for (const index_t before : {0, 6}) {
        const std::vector<double> start =
            before ? truth.sweep(before).potentials : std::vector<double>(c.length(), 0.0);
        // A sweep in symmetric mode leaves what it measured: two of them show the first one's image.
        const Run<T> got = sweep(c, {-1, c.symmetric() ? 2 : 1}, {}, start);
        std::vector<double> want = start;
        index_t at = 0;
        for (std::size_t p = 0; p < c.sizes.size(); ++p) {
            const std::vector<double> image = truth.conditional(static_cast<int>(p), want);
            for (index_t i = 0; i < c.sizes[p]; ++i, ++at) {
                if (image[i] == inf) continue;
                want[at] = c.symmetric() ? want[at] + (image[i] - want[at]) / c.n_marginals : image[i];
            }
        }
        const double off = distance(got.potentials, want) / c.epsilon;
        CHECK(off <= tol, off, tol, before, c.n_marginals, c.epsilon, sizeof(T));
        const Evaluated<T> e = evaluate(c, want);
        const Evaluated<double> true_e = truth.evaluate(want);
        for (std::size_t k = 0; k < e.plans.size(); ++k) {
            const double error = relative_distance(e.plans[k], true_e.plans[k]);
            CHECK(error <= 4 * tol, error, tol, k, before, c.n_marginals, c.epsilon, sizeof(T));
        }
    }
}

// Exponents of E are rounded to E times half a rounding error of T, a few of them to a term.
template <class T>
double rounding(double exponents) {
    return 4 * exponents * double(std::numeric_limits<T>::epsilon());
}

template <class T>
void around_the_limits_of_float() {
    const index_t n = sized(30, 14);
    // Equal weights, points on a line: far apart electrons are cheap, near ones dear.
    const auto line = [&](double epsilon) {
        Case<T> c = random_case<T>({n}, 3, epsilon, 1, coulomb, {.weighted = false}, 7);
        for (index_t i = 0; i < n; ++i) c.points[0][i] = static_cast<T>((double(i) + 0.5) / double(n));
        return c;
    };
    CHECK(worst_product(line(1.0)) > -40, worst_product(line(1.0)));
    CHECK(worst_product(line(0.01)) < -90, worst_product(line(0.01)));
    for (const double epsilon : {1.0, 0.1, 0.03, 0.01, 0.003, 0.001})
        agrees(line(epsilon), rounding<T>(50 + 10 / epsilon));
}

template <class T>
void everywhere_else() {
    for (const double epsilon : {0.01, 0.001}) {
        const double tol = rounding<T>(50 + 6 / epsilon);
        agrees(random_case<T>({9, 20, 14}, 3, epsilon, 0, {}, {.zeros = true, .infinite = true}, 1), tol);
        agrees(random_case<T>({6, 3, 8, 7}, 4, epsilon, 0, {}, {.zeros = true}, 2), tol);
        agrees(random_case<T>({8}, 4, epsilon, 0, {}, {.zeros = true, .infinite = true}, 3), tol);
        agrees(random_case<T>({4, 3, 2, 5, 4}, 5, epsilon, 0, {}, {}, 4), tol);
        agrees(random_case<T>({6}, 5, epsilon, 0, {}, {.weighted = false, .infinite = true}, 5), tol);
        agrees(random_case<T>({60, 45}, 2, epsilon, 0, {}, {.zeros = true, .infinite = true}, 6), tol);
        agrees(random_case<T>({50}, 2, epsilon, 2, harmonic, {}, 7), tol);
    }
}

// Tables that are deeper than wide, of runs of many tuples: their factors are made where they are multiplied.
template <class T>
void deep_tables() {
    for (const double epsilon : {0.5, 0.03}) {
        const double tol = rounding<T>(50 + 6 / epsilon);
        agrees(random_case<T>({4, 5, 47, 50}, 4, epsilon, 0, {}, {.zeros = true, .infinite = true}, 1), tol);
    }
    agrees(random_case<T>({40, 25, 3, 53}, 4, 0.5, 2, coulomb, {}, 2), rounding<T>(60));
}

// Rows summed term by term are counted: none where products carry the sums, all of some case at small epsilon.
template <class T>
void counted() {
    const auto line = [](double epsilon) {
        Case<T> c = random_case<T>({24}, 3, epsilon, 1, coulomb, {.weighted = false}, 7);
        for (index_t i = 0; i < 24; ++i) c.points[0][i] = static_cast<T>((double(i) + 0.5) / 24);
        return c;
    };
    const double small = sizeof(T) == 4 ? 1e-3 : 1e-4;
    CHECK(sweep(line(0.5), {-1, 3}).done.exact_rows == 0);
    const Run<T> r = sweep(line(small), {-1, 3});
    CHECK(r.done.exact_rows > 24 && r.done.exact_rows <= 72, r.done.exact_rows);
    const index_t rows = evaluate(line(small), r.potentials).summary.exact_rows;
    CHECK(rows > 0 && rows <= 24, rows);
    CHECK(evaluate(line(0.5), sweep(line(0.5), {-1, 3}).potentials).summary.exact_rows == 0);
}

// A cost that has nothing to do with the potentials at hand: whole rows are far below the others.
template <class T>
void rows_apart() {
    Case<T> c = random_case<T>({12, 15, 18}, 3, 0.01, 0, {}, {}, 9);
    for (index_t i = 0; i < 12; ++i)
        for (index_t j = 0; j < 15; ++j) c.costs[0][i * 15 + j] += static_cast<T>(i % 4 * 30.0);
    agrees(c, rounding<T>(12000));
}

}  // namespace

int main() {
    around_the_limits_of_float<float>();
    around_the_limits_of_float<double>();
    everywhere_else<float>();
    everywhere_else<double>();
    deep_tables<float>();
    deep_tables<double>();
    rows_apart<float>();
    rows_apart<double>();
    counted<float>();
    counted<double>();
    return report();
}
