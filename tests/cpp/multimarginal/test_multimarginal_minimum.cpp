// The least reduced cost: against the whole tensor, within budgets that are too small, for any number of threads, after
// a stop.
#include "deblai/error.hpp"
#include "deblai/multimarginal-minimum.hpp"
#include "multimarginal_support.hpp"

namespace {

using namespace deblai;
using namespace deblai::test;

constexpr std::int64_t unlimited = 1'000'000'000;

template <class T>
mm::Minimum least(Case<T> c, const std::vector<double>& potentials, std::int64_t budget, const Control& control = {}) {
    return mm::minimum(c.problem(), potentials.data(), {budget}, control);
}

template <class T>
mm::Minimum below(Case<T> c, const std::vector<double>& potentials, const mm::Wanted& wanted,
                  const Control& control = {}) {
    return mm::minimum(c.problem(), potentials.data(), wanted, control);
}

template <class T>
std::vector<double> random_potentials(const Case<T>& c, std::uint64_t seed) {
    std::vector<double> f = uniform<double>(c.length(), seed);
    return f;
}

// By brute force, over tuples of points that have weight.
template <class T>
double brute(const Case<T>& c, const std::vector<double>& potentials) {
    const Truth<T> truth(c);
    double low = inf;
    truth.each(potentials, [&](const auto& at, double e) {
        for (int p = 0; p < c.n_marginals; ++p)
            if (!(truth.weight(p, at[p]) > 0)) return;
        low = std::min(low, -e * c.epsilon);
    });
    return low;
}

template <class T>
double reduced(const Case<T>& c, const std::vector<double>& potentials, const std::vector<index_t>& at) {
    const Truth<T> truth(c);
    double total = 0;
    std::vector<index_t> begin{0};
    for (const index_t n : c.sizes) begin.push_back(begin.back() + n);
    for (int p = 0; p < c.n_marginals; ++p) {
        total -= potentials[begin[truth.own(p)] + at[p]];
        for (int q = p + 1; q < c.n_marginals; ++q) total += truth.cost(p, q, at[p], at[q]);
    }
    return total;
}

bool same(const mm::Minimum& a, const mm::Minimum& b) {
    return a.value == b.value && a.best == b.best && a.exact == b.exact && a.nodes == b.nodes && a.at == b.at &&
           a.values == b.values && a.tuples == b.tuples;
}

template <class T>
std::vector<Case<T>> cases() {
    std::vector<Case<T>> all;
    std::uint64_t seed = 1;
    for (const Kind kind : {Kind{}, Kind{.zeros = true, .infinite = true}})
        for (const index_t d : {0, 2}) {
            all.push_back(random_case<T>({31, 17}, 2, 1, d, coulomb, kind, ++seed));
            all.push_back(random_case<T>({23}, 2, 1, d, harmonic, kind, ++seed));
            all.push_back(random_case<T>({13, 9, 11}, 3, 1, d, harmonic, kind, ++seed));
            all.push_back(random_case<T>({17}, 3, 1, d, coulomb, kind, ++seed));
            all.push_back(random_case<T>({7, 3, 9, 8}, 4, 1, d, coulomb, kind, ++seed));
            all.push_back(random_case<T>({11}, 4, 1, d, harmonic, kind, ++seed));
            all.push_back(random_case<T>({8}, 5, 1, d, coulomb, kind, ++seed));
            all.push_back(random_case<T>({3, 4, 1, 5, 2}, 5, 1, d, harmonic, kind, ++seed));
            all.push_back(random_case<T>({6}, 6, 1, d, coulomb, kind, ++seed));
        }
    return all;
}

template <class T>
void against_the_tensor() {
    for (const Case<T>& c : cases<T>())
        for (std::uint64_t seed = 0; seed < 3; ++seed) {
            const std::vector<double> f = random_potentials(c, 50 + seed);
            const double truth = brute(c, f);
            const mm::Minimum whole = least(c, f, unlimited);
            CHECK(whole.exact && whole.value == whole.best);
            if (truth == inf) {
                CHECK(whole.best == inf && whole.at.empty());
                continue;
            }
            CHECK_CLOSE(whole.best, truth, 1e-12);
            CHECK(static_cast<int>(whole.at.size()) == c.n_marginals);
            CHECK_CLOSE(reduced(c, f, whole.at), truth, 1e-12);
            for (const std::int64_t budget : {0, 1, 3, 10}) {
                const mm::Minimum cut = least(c, f, budget);
                CHECK(cut.value <= truth + 1e-12 && cut.best >= truth - 1e-12, cut.value, cut.best, truth);
                CHECK(cut.exact == (cut.value == cut.best));
                CHECK(cut.nodes <= budget + 1 || c.n_marginals == 2, cut.nodes, budget);
            }
        }
}

// What a threshold cuts off does not count; tuples are below it, the least one among them.
template <class T>
void below_a_threshold() {
    for (const Case<T>& c : cases<T>()) {
        const std::vector<double> f = random_potentials(c, 70);
        const double truth = brute(c, f);
        if (truth == inf) continue;
        for (const bool tuples : {false, true}) {
            const mm::Minimum none = below(c, f, {unlimited, truth - 1, tuples});
            CHECK(none.exact && none.value == truth - 1 && none.best == inf && none.at.empty() && none.values.empty());
            for (const std::int64_t budget : {std::int64_t{3}, std::int64_t{30}, unlimited}) {
                const mm::Minimum some = below(c, f, {budget, truth + 0.3, tuples});
                CHECK(some.value <= truth + 1e-12 && (budget < unlimited || some.exact));
                CHECK(some.exact == (some.value == std::min(some.best, truth + 0.3)));
                if (some.exact) CHECK_CLOSE(some.best, truth, 1e-12);
                CHECK(some.values.size() * c.n_marginals == some.tuples.size());
                double low = inf;
                for (std::size_t k = 0; k < some.values.size(); ++k) {
                    const auto begin = some.tuples.begin() + static_cast<std::ptrdiff_t>(k * c.n_marginals);
                    CHECK_CLOSE(reduced(c, f, {begin, begin + c.n_marginals}), some.values[k], 1e-12);
                    CHECK(some.values[k] < truth + 0.3);
                    low = std::min(low, some.values[k]);
                }
                CHECK(low == (tuples ? some.best : inf));
            }
        }
    }
}

// Enough subtrees for several rounds, and a budget that ends within one.
void any_number_of_threads() {
    const std::vector<Case<double>> all = {
        random_case<double>({sized(900, 300), sized(700, 200)}, 2, 1, 2, coulomb, {}, 1),
        random_case<double>({sized(200, 80)}, 3, 1, 1, coulomb, {}, 2),
        random_case<double>({sized(60, 25), sized(70, 30), sized(80, 20)}, 3, 1, 0, {}, {.infinite = true}, 3),
        random_case<double>({sized(40, 20)}, 5, 1, 2, coulomb, {}, 4),
    };
    for (const Case<double>& c : all)
        for (const std::int64_t budget : {std::int64_t{200}, unlimited}) {
            const std::vector<double> f = random_potentials(c, 9);
            const mm::Minimum one = least(c, f, budget, {.threads = 1});
            for (const int threads : {2, 3, 7}) CHECK(same(one, least(c, f, budget, {.threads = threads})));
            CHECK(one.exact || (budget == 200 && one.nodes <= 200), one.nodes);
            const mm::Wanted wanted{budget, one.best + 0.1, true};
            const mm::Minimum many = below(c, f, wanted, {.threads = 1});
            for (const int threads : {2, 3}) CHECK(same(many, below(c, f, wanted, {.threads = threads})));
        }
}

void bounds_after_a_stop() {
    const Case<double> c = random_case<double>({60}, 8, 1, 2, coulomb, {}, 1);
    const std::vector<double> f = random_potentials(c, 1);
    const mm::Minimum stopped = least(c, f, unlimited, {.threads = 2, .poll = [](void*) { return true; }});
    CHECK(!stopped.exact && stopped.value < stopped.best);
    const mm::Minimum cut = least(c, f, 2000);
    CHECK(stopped.value <= cut.best);
}

void nothing_finite() {
    Case<double> c = random_case<double>({4, 5, 3}, 3, 1, 0, {}, {}, 1);
    c.costs[1].assign(c.costs[1].size(), inf);
    const mm::Minimum none = least(c, random_potentials(c, 1), unlimited);
    CHECK(none.exact && none.best == inf && none.value == inf && none.at.empty());
}

void refuses() {
    const auto refuse = [](const std::string& message, const Case<double>& good,
                           const std::function<void(Case<double>&)>& change) {
        Case<double> c = good;
        change(c);
        CHECK_THROWS(least(c, std::vector<double>(c.length(), 0.0), 100), InvalidValue, message);
    };
    const auto points = random_case<double>({5, 4, 6}, 3, 1, 2, coulomb, {}, 1);
    const auto matrix = random_case<double>({5}, 3, 1, 0, {}, {}, 1);
    refuse("points[1]: expected finite values, got nan at [1, 1]", points, [](auto& c) { c.points[1][3] = NAN; });
    refuse("weights[0]: expected finite nonnegative weights", points, [](auto& c) { c.weights[0][2] = -1; });
    refuse("cost: expected numbers or +inf, got nan", matrix, [](auto& c) { c.costs[0][7] = NAN; });
    refuse("expected a symmetric matrix", matrix, [](auto& c) { c.costs[0][7] += 1; });
}

}  // namespace

int main() {
    against_the_tensor<float>();
    against_the_tensor<double>();
    below_a_threshold<float>();
    below_a_threshold<double>();
    any_number_of_threads();
    bounds_after_a_stop();
    nothing_finite();
    refuses();
    return report();
}
