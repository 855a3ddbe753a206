// The radix sort against std::sort, compiled here for a level of its own.
#define DEBLAI_LEVEL test_level
#include "sliced/sort-inl.hpp"

#include <algorithm>
#include <bit>
#include <limits>
#include <vector>

#include "check.hpp"
#include "support.hpp"

namespace {

using namespace deblai;
using namespace deblai::test_level;

// Says yes from the call number `yes_from` on.
struct Countdown final : Stop {
    mutable long calls = 0;
    long yes_from = std::numeric_limits<long>::max();
    bool requested(int) const override { return ++calls >= yes_from; }
};

constexpr const char* distributions[] = {"gaussian",   "all equal",      "sorted",       "reversed",
                                         "few values", "every exponent", "signed zeros", "extremes"};

template <class T>
std::vector<T> sample(int distribution, index_t n) {
    using Limits = std::numeric_limits<T>;
    std::vector<T> x = test::gaussian<T>(n, 100 + distribution);
    const std::vector<double> u = test::uniform<double>(n, 200 + distribution);
    for (index_t i = 0; i < n; ++i) {
        const T sign = x[i] < 0 ? T(-1) : T(1);
        switch (distribution) {
            case 1: x[i] = T(-2.5); break;
            case 4: x[i] = std::floor(T(4) * x[i]); break;
            // From the least subnormal to the largest exponent.
            case 5:
                x[i] = sign * std::ldexp(T(1 + u[i]) / 2,
                                         int(u[i] * (Limits::max_exponent + Limits::digits - Limits::min_exponent)) +
                                             Limits::min_exponent - Limits::digits + 1);
                break;
            case 6: x[i] = u[i] < 0.4 ? sign * T(0) : u[i] < 0.6 ? sign * Limits::denorm_min() : x[i]; break;
            case 7: x[i] = u[i] < 0.3 ? sign * Limits::max() : u[i] < 0.6 ? sign * Limits::min() : x[i]; break;
            default: break;
        }
    }
    if (distribution == 2) std::sort(x.begin(), x.end());
    if (distribution == 3) std::sort(x.begin(), x.end(), std::greater<T>());
    return x;
}

// Work rows of n pairs.
template <class T>
std::vector<std::uint64_t> pair_row(index_t n) {
    return std::vector<std::uint64_t>(n * sizeof(Pair<T>) / sizeof(std::uint64_t));
}

// The order that sort-inl.hpp promises: numbers as usual, and -0 before +0.
template <class T>
bool before(T a, T b) {
    return a < b || (a == b && std::signbit(a) && !std::signbit(b));
}

template <class T>
bool same(const T* a, const T* b, index_t n) {
    return n == 0 || std::memcmp(a, b, n * sizeof(T)) == 0;
}

template <class T>
void sorts(int distribution, index_t n) {
    const char* const which = distributions[distribution];
    const Countdown never;
    const std::vector<T> x = sample<T>(distribution, n);
    std::vector<T> want = x, row = x, scratch(n);
    std::sort(want.begin(), want.end(), before<T>);
    const T* const values = sort_values(row.data(), scratch.data(), n, never, 0);
    CHECK(n == 0 || values == row.data() || values == scratch.data());
    CHECK(same(values, want.data(), n), which, n);

    std::vector<std::uint64_t> a = pair_row<T>(n), b = pair_row<T>(n);
    const Ranked<T> ranked = sort_pairs(x.data(), a.data(), b.data(), n, never, 0);
    CHECK(same(ranked.value, want.data(), n), which, n);
    std::vector<bool> seen(n);
    bool permutation = true, reproduces = true, stable = true;
    for (index_t i = 0; i < n; ++i) {
        const std::uint32_t k = ranked.index[i];
        permutation &= k < n && !seen[k];
        if (k >= n) break;
        seen[k] = true;
        reproduces &= same(&x[k], &ranked.value[i], 1);
        if (i > 0 && same(&ranked.value[i - 1], &ranked.value[i], 1)) stable &= ranked.index[i - 1] < k;
    }
    CHECK(permutation, which, n);
    CHECK(reproduces, which, n);
    CHECK(stable, which, n);
}

// A stop before any of the scatter passes returns null; sorted or short rows need none.
template <class T>
void stops() {
    constexpr index_t n = 5000;
    const std::vector<T> x = sample<T>(0, n);
    Countdown count;
    std::vector<T> row = x, scratch(n);
    std::vector<std::uint64_t> a = pair_row<T>(n), b = pair_row<T>(n);
    CHECK(sort_values(row.data(), scratch.data(), n, count, 0) != nullptr);
    const long passes = count.calls;
    CHECK(passes >= (sizeof(T) == 4 ? 3 : 5), passes);
    for (long k = 1; k <= passes; ++k) {
        row = x;
        Countdown values, pairs;
        values.yes_from = pairs.yes_from = k;
        CHECK(sort_values(row.data(), scratch.data(), n, values, 0) == nullptr, k);
        CHECK(values.calls == k, values.calls, k);
        const Ranked<T> ranked = sort_pairs(x.data(), a.data(), b.data(), n, pairs, 0);
        CHECK(ranked.value == nullptr && ranked.index == nullptr, k);
    }
}

template <class T>
void keys() {
    using Limits = std::numeric_limits<T>;
    const std::vector<T> rising = {-Limits::infinity(),   -Limits::max(), T(-1),         -Limits::min(),
                                   -Limits::denorm_min(), T(-0.0),        T(0.0),        Limits::denorm_min(),
                                   Limits::min(),         T(1),           Limits::max(), Limits::infinity()};
    using Word = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;
    for (std::size_t i = 0; i < rising.size(); ++i) {
        const Word bits = std::bit_cast<Word>(rising[i]);
        CHECK(from_key<T>(to_key<T>(bits)) == bits, rising[i]);
        if (i > 0) CHECK(to_key<T>(std::bit_cast<Word>(rising[i - 1])) < to_key<T>(bits), rising[i - 1], rising[i]);
    }
}

}  // namespace

int main() {
    keys<float>();
    keys<double>();
    for (int distribution = 0; distribution < 8; ++distribution)
        for (const index_t n : {0, 1, 2, 3, 47, 48, 49, 50, 1499, 1500, 1501, 100000}) {
            sorts<float>(distribution, n);
            sorts<double>(distribution, n);
        }
    stops<float>();
    stops<double>();
    return test::report();
}
