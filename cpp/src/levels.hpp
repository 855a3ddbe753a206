// The tables that every kernel provides once per instruction set, and the list to pick from.
#pragma once

#include "deblai/simd.hpp"

// clang-format off
#if defined(DEBLAI_HAVE_X86_LEVELS)
#define DEBLAI_DECLARE_LEVELS(type, name)                                   \
    namespace deblai::baseline { extern const type name; }                  \
    namespace deblai::avx2 { extern const type name; }                      \
    namespace deblai::avx512 { extern const type name; }
#define DEBLAI_LEVELS(name) {&baseline::name, &avx2::name, &avx512::name}
#else
#define DEBLAI_DECLARE_LEVELS(type, name) \
    namespace deblai::baseline { extern const type name; }
#define DEBLAI_LEVELS(name) {&baseline::name, nullptr, nullptr}
#endif
// clang-format on
