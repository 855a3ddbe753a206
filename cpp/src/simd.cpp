#include "deblai/simd.hpp"

#include <cstdlib>
#include <string>

#include "deblai/error.hpp"

namespace deblai {
namespace {

constexpr const char* names[] = {"baseline", "avx2", "avx512"};

Simd detect() {
#if defined(DEBLAI_HAVE_X86_LEVELS)
    __builtin_cpu_init();
    const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                      __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
    const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                        __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
                        __builtin_cpu_supports("avx512vl");
    if (avx512) return Simd::avx512;
    if (avx2) return Simd::avx2;
#endif
    return Simd::baseline;
}

}  // namespace

const char* name(Simd level) { return names[static_cast<int>(level)]; }

Simd best_simd() {
    static const Simd best = detect();
    return best;
}

Simd choose_simd(const char* requested) {
    const char* source = "simd";
    if (!requested || !*requested) {
        requested = std::getenv("DEBLAI_SIMD");
        source = "DEBLAI_SIMD";
    }
    if (!requested || !*requested) return best_simd();
    for (int level = 0; level < 3; ++level) {
        if (std::string(names[level]) != requested) continue;
        if (level > static_cast<int>(best_simd()))
            throw BackendError(std::string("[simd] ") + source + "=" + requested + ": this CPU or build has at most " +
                               name(best_simd()));
        return static_cast<Simd>(level);
    }
    throw InvalidValue(std::string("[simd] ") + source + ": expected baseline, avx2 or avx512, got '" + requested +
                       "'");
}

}  // namespace deblai
