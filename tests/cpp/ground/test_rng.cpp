// Philox 4x32-10 against Random123's published vectors, and the moments of uniform_open.
#include "deblai/rng.hpp"

#include <cmath>

#include "check.hpp"

namespace {

using deblai::Philox;

// The kat_vectors file of Random123 (Salmon, Moraes, Dror and Shaw, SC 2011), lines "philox4x32 10".
struct Known {
    std::uint32_t counter[4], key[2], want[4];
};
constexpr Known known[] = {
    {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
    {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
     {0xffffffff, 0xffffffff},
     {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
    {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
     {0xa4093822, 0x299f31d0},
     {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
};

std::uint64_t join(std::uint32_t low, std::uint32_t high) { return (std::uint64_t{high} << 32) | low; }

void known_answers() {
    for (const Known& k : known) {
        const auto got =
            Philox(join(k.key[0], k.key[1]))(join(k.counter[0], k.counter[1]), join(k.counter[2], k.counter[3]));
        for (int i = 0; i < 4; ++i) CHECK(got.word[i] == k.want[i], i, got.word[i], k.want[i]);
    }
}

// The extreme words stay inside (0, 1): (k + 1/2) / 2^52 for k = 0 and 2^52 - 1, both exact.
void open_interval() {
    CHECK(deblai::uniform_open(0, 0) == std::ldexp(1.0, -53));
    CHECK(deblai::uniform_open(0xffffffff, 0xffffffff) == 1 - std::ldexp(1.0, -53));
    CHECK(deblai::uniform_open(0x80000000, 0) == 0.5 + std::ldexp(1.0, -53));
}

// Mean 1/2 with deviation 1/sqrt(12 n); variance 1/12 with deviation sqrt(1/180 / n), as the fourth
// central moment is 1/80 and 1/80 - 1/144 = 1/180. Both halves of a block, and two streams.
void moments() {
    const Philox philox(42);
    constexpr int n = 1 << 20;
    for (const std::uint64_t stream : {std::uint64_t{0}, std::uint64_t{7}}) {
        double sum[2] = {}, square[2] = {}, product = 0;
        for (int i = 0; i < n; ++i) {
            const auto b = philox(i, stream);
            double u[2];
            for (int h = 0; h < 2; ++h) {
                u[h] = deblai::uniform_open(b.word[2 * h], b.word[2 * h + 1]) - 0.5;
                sum[h] += u[h];
                square[h] += u[h] * u[h];
            }
            product += u[0] * u[1];
        }
        for (int h = 0; h < 2; ++h) {
            const double mean = sum[h] / n, variance = square[h] / n - mean * mean;
            CHECK(std::abs(mean) < 5 / std::sqrt(12.0 * n), mean);
            CHECK(std::abs(variance - 1.0 / 12) < 5 / std::sqrt(180.0 * n), variance);
        }
        CHECK(std::abs(product / n) < 5.0 / 12 / std::sqrt(n), product / n);  // independent: deviation 1/(12 sqrt n)
    }
}

}  // namespace

int main() {
    known_answers();
    open_interval();
    moments();
    return deblai::test::report();
}
