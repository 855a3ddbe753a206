// Sweeps and evaluations against the whole tensor in double (Benamou, Carlier and Nenna 2015), for two to five
// marginals, at every instruction set.
#include "multimarginal_support.hpp"

namespace {

using namespace deblai;
using namespace deblai::test;

template <class T>
void random_problems() {
    const std::vector<std::vector<index_t>> general = {{1, 1},       {1, 9},       {37, 1},         {20, 33},
                                                       {130, 70},    {1, 1, 1},    {5, 1, 40},      {17, 12, 35},
                                                       {4, 7, 1, 5}, {9, 3, 6, 8}, {1, 2, 3, 1, 4}, {5, 3, 4, 2, 6}};
    const std::vector<std::pair<index_t, int>> symmetric = {{1, 2},  {40, 2}, {129, 2}, {1, 3}, {16, 3},
                                                            {33, 3}, {2, 4},  {9, 4},   {3, 5}, {6, 5}};
    std::uint64_t seed = 1;
    for (const double epsilon : {1.0, 0.05}) {
        for (const auto& sizes : general) {
            const int n = static_cast<int>(sizes.size());
            sweeps_and_plans(random_case<T>(sizes, n, epsilon, 0, {}, {}, seed += 1000));
            sweeps_and_plans(random_case<T>(sizes, n, epsilon, 3, harmonic, {.zeros = true}, seed += 1000));
            // Infinite costs need somebody else to meet.
            if (*std::min_element(sizes.begin(), sizes.end()) < 3) continue;
            sweeps_and_plans(
                random_case<T>(sizes, n, epsilon, 0, {}, {.zeros = true, .infinite = n < 4}, seed += 1000));
        }
        for (const auto& [n, marginals] : symmetric) {
            sweeps_and_plans(random_case<T>({n}, marginals, epsilon, 0, {}, {.weighted = false}, seed += 1000));
            sweeps_and_plans(random_case<T>({n}, marginals, epsilon, 2, harmonic, {.zeros = true}, seed += 1000));
            if (n < 2 * marginals) continue;
            sweeps_and_plans(
                random_case<T>({n}, marginals, epsilon, 0, {}, {.zeros = true, .infinite = true}, seed += 1000));
        }
    }
    for (const PairCost& cost : {coulomb, riesz, logarithmic, repulsive, yukawa, softened, distances, cubes}) {
        // In three dimensions no two of so few random points are very near: exponents stay in the tens.
        sweeps_and_plans(random_case<T>({25, 31}, 2, 0.7, 3, cost, {}, seed += 1000));
        sweeps_and_plans(random_case<T>({12, 9, 14}, 3, 0.7, 3, cost, {}, seed += 1000));
        sweeps_and_plans(random_case<T>({15}, 3, 0.7, 3, cost, {}, seed += 1000));
        sweeps_and_plans(random_case<T>({10}, 4, 0.7, 3, cost, {.weighted = false}, seed += 1000));
    }
}

// Strides of any kind give the same bits.
template <class T>
void any_strides() {
    Case<T> c = random_case<T>({7, 12, 9}, 3, 0.3, 0, {}, {}, 5);
    const Run<T> want = sweep(c, {-1, 3});
    mm::Problem<T> q = c.problem();
    std::vector<T> turned(7 * 12), spread(2 * 12);
    for (index_t i = 0; i < 7; ++i)
        for (index_t j = 0; j < 12; ++j) turned[j * 7 + i] = c.costs[0][i * 12 + j];
    for (index_t i = 0; i < 12; ++i) spread[2 * (11 - i)] = c.weights[1][i];
    c.matrices[0] = {turned.data(), 7, 12, 1, 7};
    c.marginals[1].weights = {spread.data() + 22, 12, -2};
    std::vector<double> f(c.length()), errors(3), values(3);
    mm::sinkhorn(q, {-1, 3}, f.data(), errors.data(), values.data());
    CHECK(f == want.potentials && errors == want.errors && values == want.values);
}

// plans_only leaves the gradients alone and makes only the plans that were asked for.
void plans_only() {
    Case<double> c = random_case<double>({7, 12, 9}, 3, 0.3, 2, harmonic, {}, 6);
    const Run<double> r = sweep(c, {-1, 3});
    const Evaluated<double> whole = evaluate(c, r.potentials);
    std::vector<double> plan(12 * 9, -1.0);
    std::vector<Matrix<double>> pairs{{}, {}, {plan.data(), 12, 9, 9, 1}};
    CHECK(mm::evaluate(c.problem(), r.potentials.data(), mm::Output<double>{pairs.data(), nullptr, true}).finished);
    CHECK(plan == whole.plans[2]);
}

}  // namespace

int main() {
    random_problems<float>();
    random_problems<double>();
    any_strides<float>();
    any_strides<double>();
    plans_only();
    return report();
}
