// The choice of an instruction set: names, the environment, and errors instead of fallbacks.
#include "deblai/simd.hpp"

#include <cstdlib>

#include "check.hpp"
#include "deblai/error.hpp"

using deblai::best_simd;
using deblai::choose_simd;
using deblai::Simd;

int main() {
    constexpr const char* names[] = {"baseline", "avx2", "avx512"};
    unsetenv("DEBLAI_SIMD");
    CHECK(choose_simd(nullptr) == best_simd());
    CHECK(choose_simd("") == best_simd());
    CHECK(choose_simd("baseline") == Simd::baseline);  // every build has it

    for (int level = 0; level < 3; ++level) {
        CHECK(deblai::name(static_cast<Simd>(level)) == std::string(names[level]));
        setenv("DEBLAI_SIMD", names[level], 1);
        if (level <= static_cast<int>(best_simd())) {
            CHECK(choose_simd(names[level]) == static_cast<Simd>(level), level);
            CHECK(choose_simd(nullptr) == static_cast<Simd>(level), level);
            CHECK(choose_simd("") == static_cast<Simd>(level), level);
        } else {
            CHECK_THROWS(choose_simd(names[level]), deblai::BackendError, "[simd] simd=");
            CHECK_THROWS(choose_simd(nullptr), deblai::BackendError, "[simd] DEBLAI_SIMD=");
        }
    }

    // An argument goes before the environment.
    setenv("DEBLAI_SIMD", deblai::name(best_simd()), 1);
    CHECK(choose_simd("baseline") == Simd::baseline);

    for (const char* unknown : {"sse2", "AVX2", "avx", "avx5", "avx512 ", "0"}) {
        CHECK_THROWS(choose_simd(unknown), deblai::InvalidValue, "[simd] simd: expected baseline, avx2 or avx512, got");
        setenv("DEBLAI_SIMD", unknown, 1);
        CHECK_THROWS(choose_simd(nullptr), deblai::InvalidValue, unknown);
    }
    setenv("DEBLAI_SIMD", "", 1);
    CHECK(choose_simd(nullptr) == best_simd());

    // A table is read in the order of Simd.
    static constexpr int a = 10, b = 20, c = 30;
    const int* const table[3] = {&a, &b, &c};
    CHECK(deblai::pick(table, "baseline") == 10);
    CHECK(deblai::pick(table, nullptr) == 10 * (1 + static_cast<int>(best_simd())));
    return deblai::test::report();
}
