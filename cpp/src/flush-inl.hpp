// While one of these lives, results too small for a normal number are zero: products of small exponentials would
// otherwise take a hundred cycles each.
#pragma once

#if defined(__SSE2__)
#include <xmmintrin.h>
#endif

#include "deblai/hd.hpp"

namespace deblai::DEBLAI_LEVEL {
namespace {

class FlushDenormals {
public:
#if defined(__SSE2__)
    DEBLAI_HD FlushDenormals() : before_(_mm_getcsr()) { _mm_setcsr(before_ | 0x8040); }
    DEBLAI_HD ~FlushDenormals() { _mm_setcsr(before_); }

private:
    unsigned before_;
#else
    DEBLAI_HD FlushDenormals() {}
    DEBLAI_HD ~FlushDenormals() {}
#endif
};

}  // namespace
}  // namespace deblai::DEBLAI_LEVEL
