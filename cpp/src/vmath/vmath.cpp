#include "deblai/vmath.hpp"

#include "levels.hpp"
#include "vmath-kernels.hpp"

DEBLAI_DECLARE_LEVELS(vmath::Kernels, vmath_kernels)

namespace deblai::vmath {
namespace {

constexpr const Kernels* levels[] = DEBLAI_LEVELS(vmath_kernels);

}  // namespace

void exp(const float* in, float* out, index_t n, const char* simd) { pick(levels, simd).exp_f32(in, out, n); }
void exp(const double* in, double* out, index_t n, const char* simd) { pick(levels, simd).exp_f64(in, out, n); }
void log(const float* in, float* out, index_t n, const char* simd) { pick(levels, simd).log_f32(in, out, n); }
void log(const double* in, double* out, index_t n, const char* simd) { pick(levels, simd).log_f64(in, out, n); }

}  // namespace deblai::vmath
