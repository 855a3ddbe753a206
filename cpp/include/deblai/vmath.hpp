// Vector exp and log. Largest error seen against the correctly rounded value, over the whole range:
//   exp  float32 1.0 ulp, float64 1.0 ulp      log  float32 1.0 ulp, float64 1.0 ulp   (tests/cpp/test_vmath.cpp)
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
