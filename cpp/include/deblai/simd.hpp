// Instruction sets. Every kernel is compiled once per level and chosen at run time by cpuid.
// DEBLAI_SIMD=baseline|avx2|avx512 forces a level; an unknown or missing one is an error, never a fallback.
#pragma once

namespace deblai {

enum class Simd : int { baseline = 0, avx2 = 1, avx512 = 2 };

const char* name(Simd level);

// The highest level that this CPU and this build both have.
Simd best_simd();

// The level named (nullptr or "": DEBLAI_SIMD if set, else the best). Throws InvalidValue for an
// unknown name, BackendError for a level that this CPU or build does not have.
Simd choose_simd(const char* requested);

// One entry per level, in the order of Simd; those not built are null.
template <class Kernels>
const Kernels& pick(const Kernels* const (&table)[3], const char* requested) {
    return *table[static_cast<int>(choose_simd(requested))];
}

}  // namespace deblai
