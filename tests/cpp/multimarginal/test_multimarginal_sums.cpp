// Sums over all marginals but one, asked for in any order while potentials move: a table serves the updates of two
// marginals and no others, and only while the rest stand still (the formula of the header, on the whole tensor).
#include "multimarginal/complete/multimarginal-sums.hpp"

#include "multimarginal_support.hpp"

namespace deblai::baseline {
extern const multimarginal::Kernels<float> multimarginal_f32;
extern const multimarginal::Kernels<double> multimarginal_f64;
}  // namespace deblai::baseline

namespace {

using namespace deblai;
using namespace deblai::test;

const mm::Kernels<float>& kernels(float) { return baseline::multimarginal_f32; }
const mm::Kernels<double>& kernels(double) { return baseline::multimarginal_f64; }

template <class T>
void any_order(std::vector<index_t> sizes, int n_marginals, double epsilon, std::uint64_t seed) {
    Case<T> c = random_case<T>(sizes, n_marginals, epsilon, 0, {}, {.zeros = true, .infinite = n_marginals == 3}, seed);
    const Truth<T> truth(c);
    const mm::Problem<T> q = c.problem();
    const int count = static_cast<int>(sizes.size());
    Team team({.threads = 2}, 1e9);
    mm::Sums<T> sums(q, kernels(T{}), team);
    std::vector<index_t> at{0};
    for (const index_t n : sizes) at.push_back(at.back() + n);
    std::vector<double> f(c.length());
    for (int p = 0; p < count; ++p) sums.set_potential(p, &f[at[p]]);

    const std::vector<double> draws = uniform<double>(3 * 40, seed);
    const auto draw = [&](index_t step, int k, int most) { return static_cast<int>(draws[3 * step + k] * most); };
    for (index_t step = 0; step < 40; ++step) {
        // The next marginal or any, after some other, or the last one, has moved a little or far.
        const int p = step % 3 ? static_cast<int>(step) % count : draw(step, 0, count);
        const int moved = step % 2 ? (p + count - 1) % count : draw(step, 1, count);
        const double far = step % 5 == 4 ? 60 : 1;
        for (index_t i = 0; i < sizes[moved]; ++i)
            f[at[moved] + i] += epsilon * far * (double((i + step) % 4) / 4 - draws[3 * step + 2]);
        sums.set_potential(moved, &f[at[moved]]);
        std::vector<double> lse(sizes[p]);
        CHECK(sums.conditional(p, inf, lse.data()));
        const std::vector<double> want = truth.conditional(p, f);
        double off = 0;
        for (index_t i = 0; i < sizes[p]; ++i)
            if (want[i] != inf) off = std::max(off, std::abs(-epsilon * lse[i] - want[i]) / epsilon);
        const double tol = (400 + 20 / epsilon) * double(std::numeric_limits<T>::epsilon());
        CHECK(off <= tol, off, tol, step, p, moved, n_marginals, sizes[0], epsilon, sizeof(T));
    }
}

template <class T>
void all() {
    for (const double epsilon : {0.5, 0.02}) {
        any_order<T>({14, 11, 9}, 3, epsilon, 1);
        any_order<T>({9, 14, 40}, 3, epsilon, 2);
        any_order<T>({10}, 3, epsilon, 3);
        any_order<T>({5, 6, 7, 5}, 4, epsilon, 4);
        any_order<T>({40, 3, 2, 33}, 4, epsilon, 5);
        any_order<T>({7}, 4, epsilon, 6);
        any_order<T>({3, 4, 3, 4, 3}, 5, epsilon, 7);
        any_order<T>({5}, 5, epsilon, 8);
    }
}

}  // namespace

int main() {
    all<float>();
    all<double>();
    return report();
}
