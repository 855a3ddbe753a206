// Philox 4x32-10: random numbers as a function of (key, counter), the same on every thread and device.
// Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
#pragma once

#include <cstdint>

#include "deblai/hd.hpp"

namespace deblai {

struct Philox {
    std::uint32_t key[2];

    struct Block {
        std::uint32_t word[4];
    };

    explicit DEBLAI_HD Philox(std::uint64_t seed)
        : key{static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)} {}

    // Four independent 32-bit words for the 128-bit counter (stream, position).
    DEBLAI_HD Block operator()(std::uint64_t position, std::uint64_t stream = 0) const {
        std::uint32_t c0 = static_cast<std::uint32_t>(position);
        std::uint32_t c1 = static_cast<std::uint32_t>(position >> 32);
        std::uint32_t c2 = static_cast<std::uint32_t>(stream);
        std::uint32_t c3 = static_cast<std::uint32_t>(stream >> 32);
        std::uint32_t k0 = key[0], k1 = key[1];
        for (int round = 0; round < 10; ++round) {
            const std::uint64_t p0 = std::uint64_t{0xD2511F53u} * c0;
            const std::uint64_t p1 = std::uint64_t{0xCD9E8D57u} * c2;
            const std::uint32_t n0 = static_cast<std::uint32_t>(p1 >> 32) ^ c1 ^ k0;
            const std::uint32_t n2 = static_cast<std::uint32_t>(p0 >> 32) ^ c3 ^ k1;
            c1 = static_cast<std::uint32_t>(p1);
            c3 = static_cast<std::uint32_t>(p0);
            c0 = n0;
            c2 = n2;
            k0 += 0x9E3779B9u;
            k1 += 0xBB67AE85u;
        }
        return {{c0, c1, c2, c3}};
    }
};

// Uniform on the open interval (0, 1), 52 bits: (k + 1/2) / 2^52.
DEBLAI_HD double uniform_open(std::uint32_t high, std::uint32_t low) {
    const std::uint64_t bits = ((static_cast<std::uint64_t>(high) << 32) | low) >> 12;
    return (static_cast<double>(bits) + 0.5) * (1.0 / 4503599627370496.0);
}

}  // namespace deblai
