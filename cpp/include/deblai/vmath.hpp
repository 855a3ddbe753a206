// Vector exp and log. Largest error seen at any instruction set, in units in the last place of the exact value,
// over the whole range and subnormal results (tests/cpp/ground/test_vmath.cpp; float32: every number):
//   exp  float32 1.10 ulp, float64 1.09 ulp      log  float32 0.85 ulp, float64 0.90 ulp
// Full IEEE range: exp overflows to inf and underflows gradually; log(0) = -inf, log(x < 0) = NaN.
#pragma once

#include "deblai/hd.hpp"

namespace deblai::vmath {

// out[i] = exp(in[i]); in == out is allowed. `simd` as in deblai/simd.hpp.
void exp(const float* in, float* out, index_t n, const char* simd = nullptr);
void exp(const double* in, double* out, index_t n, const char* simd = nullptr);
void log(const float* in, float* out, index_t n, const char* simd = nullptr);
void log(const double* in, double* out, index_t n, const char* simd = nullptr);

}  // namespace deblai::vmath
