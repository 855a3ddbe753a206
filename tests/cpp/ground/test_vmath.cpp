// exp and log of every instruction set against long double. Prints the largest errors in ulp of the exact value and
// holds them to what deblai/vmath.hpp states. `test_vmath all` takes every float and a hundred times more doubles.
#include "deblai/vmath.hpp"

#include <algorithm>
#include <bit>
#include <cstdio>
#include <cstring>
#include <limits>

#include "check.hpp"
#include "support.hpp"

namespace {

using namespace deblai;

enum Function { Exp, Log };

// The table of deblai/vmath.hpp.
template <class T>
constexpr double stated(Function f) {
    if (f == Exp) return sizeof(T) == 4 ? 1.10 : 1.09;
    return sizeof(T) == 4 ? 0.85 : 0.90;
}

template <class T>
void run(Function f, const T* in, T* out, index_t n, const char* level) {
    f == Exp ? vmath::exp(in, out, n, level) : vmath::log(in, out, n, level);
}

// Double is exact enough for float: its own error is 2^-29 ulp.
double exact(Function f, float x) { return f == Exp ? std::exp(double(x)) : std::log(double(x)); }
long double exact(Function f, double x) { return f == Exp ? expl(x) : logl(x); }

// |got - exact| in units in the last place of the exact value (of the least normal number below it);
// what rounds to infinity or NaN must be just that.
template <class T, class E>
double ulps(T got, E want) {
    using Limits = std::numeric_limits<T>;
    const T rounded = static_cast<T>(want);
    if (!std::isfinite(rounded)) return got == rounded || (std::isnan(got) && std::isnan(rounded)) ? 0 : INFINITY;
    if (!std::isfinite(got)) return INFINITY;
    const int exponent = want == 0 ? Limits::min_exponent : std::max(std::ilogb(want) + 1, Limits::min_exponent);
    return static_cast<double>(std::abs(std::ldexp(got - want, Limits::digits - exponent)));
}

template <class T>
class Sweep {
public:
    explicit Sweep(Function f) : f_(f), levels_(test::levels()), worst_(levels_.size()), at_(levels_.size()) {}
    ~Sweep() {
        flush();
        for (std::size_t l = 0; l < levels_.size(); ++l) {
            std::printf("%s float%d %-8s %.4f ulp at %a\n", f_ == Exp ? "exp" : "log", int(8 * sizeof(T)), levels_[l],
                        worst_[l], double(at_[l]));
            CHECK(worst_[l] <= stated<T>(f_), levels_[l], worst_[l], at_[l]);
        }
    }
    void add(T x) {
        in_.push_back(x);
        if (in_.size() == 4096) flush();
    }

private:
    void flush() {
        std::vector<T> out(in_.size());
        std::vector<decltype(exact(f_, T{}))> want;
        for (const T x : in_) want.push_back(exact(f_, x));
        for (std::size_t l = 0; l < levels_.size(); ++l) {
            run(f_, in_.data(), out.data(), static_cast<index_t>(in_.size()), levels_[l]);
            for (std::size_t i = 0; i < in_.size(); ++i) {
                const double error = ulps(out[i], want[i]);
                if (error > worst_[l]) worst_[l] = error, at_[l] = in_[i];
            }
        }
        in_.clear();
    }

    Function f_;
    std::vector<const char*> levels_;
    std::vector<double> worst_;
    std::vector<T> at_, in_;
};

// Every `stride`-th of all floats, NaN and infinity included, and every float of the ranges where the
// error is largest: results that are subnormal or about to overflow, the ends of the reduced argument, near 1.
void floats(Function f, bool all) {
    Sweep<float> sweep(f);
    const auto range = [&](std::uint64_t first, std::uint64_t last, std::uint64_t stride) {
        for (std::uint64_t b = first; b <= last; b += stride)
            sweep.add(std::bit_cast<float>(static_cast<std::uint32_t>(b)));
    };
    range(0, 0xffffffff, all ? 1 : test::sized(1009, 10007));
    if (all) return;
    constexpr float exp_ranges[][2] = {
        {-104.1f, -87.2f}, {88.0f, 88.8f}, {0.343f, 0.349f}, {-0.349f, -0.343f}, {5.19f, 5.21f}};
    constexpr float log_ranges[][2] = {
        {0.0f, 0x1p-149f}, {0x1.fp-127f, 0x1.1p-126f}, {0.70f, 0.72f}, {0.98f, 1.02f}, {1.40f, 1.42f}};
    for (const auto& r : f == Exp ? exp_ranges : log_ranges) {
        const std::uint32_t a = std::bit_cast<std::uint32_t>(r[0]), b = std::bit_cast<std::uint32_t>(r[1]);
        range(std::min(a, b), std::max(a, b), test::sized(1, 101));
    }
}

void doubles(Function f, bool all) {
    Sweep<double> sweep(f);
    const index_t n = all ? 30000000 : test::sized(300000, 50000);
    const Philox philox(f);
    std::uint64_t stream = 0;
    const auto range = [&](auto&& make) {
        ++stream;
        for (index_t i = 0; i < n; ++i) {
            const auto b = philox(i, stream);
            sweep.add(make(uniform_open(b.word[0], b.word[1]), (std::uint64_t{b.word[2]} << 32) | b.word[3]));
        }
    };
    const auto between = [&](double a, double b) { range([=](double u, std::uint64_t) { return a + (b - a) * u; }); };
    range([](double, std::uint64_t bits) { return std::bit_cast<double>(bits); });  // any double at all
    if (f == Exp) {
        between(-746, 710);
        between(-745.3, -707);  // subnormal results
        between(709, 709.8);
        between(-1, 1);
        // x = (k + 1/2) ln 2, the end of the reduced argument, for any k.
        for (int repeat = 0; repeat < 4; ++repeat)
            range([](double u, std::uint64_t bits) {
                return (static_cast<int>(bits % 2040) - 1018 + 0.45 + 0.1 * u) * std::numbers::ln2;
            });
        between(0.45 * std::numbers::ln2, 0.55 * std::numbers::ln2);
    } else {
        between(0.25, 4);
        between(0.98, 1.02);
        between(0.69, 0.72);
        between(1.38, 1.43);
        range([](double u, std::uint64_t bits) { return 1 + std::ldexp(u - 0.5, -static_cast<int>(bits % 53)); });
        range([](double u, std::uint64_t bits) { return std::ldexp(1 + u, -1023 - static_cast<int>(bits % 52)); });
    }
}

template <class T>
void special() {
    using Limits = std::numeric_limits<T>;
    const T inf = Limits::infinity(), nan = Limits::quiet_NaN();
    const auto one = [](Function f, T x, const char* level) {
        T y;
        run(f, &x, &y, 1, level);
        return y;
    };
    // The largest x with a finite exp, the next one, and where exp rounds to the least subnormal and to zero:
    // log(max), log(denorm_min / 2).
    const T top = std::log(Limits::max());
    const T most = std::isinf(static_cast<T>(expl(top))) ? std::nextafter(top, T(0)) : top;
    const T bottom = static_cast<T>(std::log(0.5L) + logl(Limits::denorm_min()));
    for (const char* level : test::levels()) {
        for (const T zero : {T(0), T(-0.0)}) {
            CHECK(one(Exp, zero, level) == 1, level);
            CHECK(one(Log, zero, level) == -inf, level);
        }
        CHECK(one(Exp, inf, level) == inf && one(Log, inf, level) == inf, level);
        CHECK(one(Exp, -inf, level) == 0 && !std::signbit(one(Exp, -inf, level)), level);
        CHECK(std::isnan(one(Exp, nan, level)) && std::isnan(one(Exp, -nan, level)), level);
        for (const T x : {-inf, nan, -nan, T(-1), -Limits::min(), -Limits::denorm_min(), -Limits::max()})
            CHECK(std::isnan(one(Log, x, level)), level, x);
        CHECK(one(Log, T(1), level) == 0 && !std::signbit(one(Log, T(1), level)), level);
        CHECK(std::isfinite(one(Exp, most, level)), level, most);
        for (const T x : {std::nextafter(most, inf), 2 * most, Limits::max()})
            CHECK(one(Exp, x, level) == inf, level, x);
        for (const T x : {bottom * T(1.001), 2 * bottom, -Limits::max()}) CHECK(one(Exp, x, level) == 0, level, x);
        CHECK(one(Exp, bottom * T(0.9999), level) == Limits::denorm_min(), level);
        CHECK(one(Exp, Limits::denorm_min(), level) == 1 && one(Exp, -Limits::min(), level) == 1, level);
    }
}

// Every length 0..33 and 1000, apart and in place, gives each entry the same bits and touches nothing else.
template <class T>
void tails(Function f) {
    std::vector<T> x = test::gaussian<T>(1000, 5);
    if (f == Log)
        for (T& v : x) v = std::abs(v);
    for (const char* level : test::levels()) {
        std::vector<T> want(x.size());
        for (std::size_t i = 0; i < x.size(); ++i) run(f, &x[i], &want[i], 1, level);
        for (index_t n = 0; n <= 34; ++n) {
            const index_t length = n == 34 ? 1000 : n;
            std::vector<T> in(x.begin(), x.begin() + length), out(length + 1, T(-7));
            run(f, in.data(), out.data(), length, level);
            CHECK(std::equal(want.begin(), want.begin() + length, out.begin()), level, length);
            CHECK(out[length] == -7, level, length);
            CHECK(std::equal(in.begin(), in.end(), x.begin()), level, length);
            run(f, in.data(), in.data(), length, level);
            CHECK(std::equal(in.begin(), in.end(), want.begin()), level, length);
        }
    }
}

}  // namespace

int main(int argc, char**) {
    for (const Function f : {Exp, Log}) {
        floats(f, argc > 1);
        doubles(f, argc > 1);
        tails<float>(f);
        tails<double>(f);
    }
    special<float>();
    special<double>();
    return test::report();
}
