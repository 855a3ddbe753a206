// Table look-ups a vector at a time. Intrinsics where the instruction set has them: no compiler makes gathers of loops
// over lanes, and the look-ups are half the time of a grid. (Masked ones: GCC 12 warns of the others' undefined
// vector.)
#pragma once

#if defined(__AVX2__)
#include <immintrin.h>
#endif

#include "vec-inl.hpp"

namespace deblai::DEBLAI_LEVEL {
namespace {

DEBLAI_HD Vec<float> gather(const float* table, Bits<float> at) {
#if defined(__AVX512F__)
    return (Vec<float>)_mm512_mask_i32gather_ps(__m512{}, 0xFFFF, (__m512i)at, table, 4);
#elif defined(__AVX2__)
    return (Vec<float>)_mm256_i32gather_ps(table, (__m256i)at, 4);
#else
    return Vec<float>{table[at[0]], table[at[1]], table[at[2]], table[at[3]]};
#endif
}

DEBLAI_HD Vec<double> gather(const double* table, Bits<double> at) {
#if defined(__AVX512F__)
    return (Vec<double>)_mm512_mask_i64gather_pd(__m512d{}, 0xFF, (__m512i)at, table, 8);
#elif defined(__AVX2__)
    return (Vec<double>)_mm256_i64gather_pd(table, (__m256i)at, 8);
#else
    return Vec<double>{table[at[0]], table[at[1]]};
#endif
}

// The same for integers of the width of T.
template <class T, class Word>
DEBLAI_HD Bits<T> gather_words(const Word* table, Bits<T> at) {
    static_assert(sizeof(Word) == sizeof(T));
    return as_bits<T>(gather(reinterpret_cast<const T*>(table), at));
}

// Whether any lane of a comparison is true.
template <class T>
DEBLAI_HD bool any(Bits<T> mask) {
#if defined(__AVX512F__)
    return _mm512_test_epi32_mask((__m512i)mask, (__m512i)mask) != 0;
#elif defined(__AVX2__)
    return !_mm256_testz_si256((__m256i)mask, (__m256i)mask);
#else
    const auto halves = (Bits<double>)mask;
    return (halves[0] | halves[1]) != 0;
#endif
}

}  // namespace
}  // namespace deblai::DEBLAI_LEVEL
