// Between flush_denormals() and restore(), results too small for a normal number are zero: products of small
// exponentials would otherwise take a hundred cycles each. (No destructor does it: it would want the runtime's
// unwinding, which is a symbol that the levels share.)
#pragma once

#if defined(__SSE2__)
#include <xmmintrin.h>
#endif

#include "deblai/hd.hpp"

namespace deblai::DEBLAI_LEVEL {
namespace {

#if defined(__SSE2__)
DEBLAI_HD unsigned flush_denormals() {
    const unsigned before = _mm_getcsr();
    _mm_setcsr(before | 0x8040);
    return before;
}
DEBLAI_HD void restore(unsigned before) { _mm_setcsr(before); }
#else
DEBLAI_HD unsigned flush_denormals() { return 0; }
DEBLAI_HD void restore(unsigned) {}
#endif

}  // namespace
}  // namespace deblai::DEBLAI_LEVEL
