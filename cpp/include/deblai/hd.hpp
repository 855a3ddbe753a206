// Qualifiers for small functors that the host, each instruction set and the GPU compile from one source.
// They are always inlined, so that no copy compiled for AVX-512 can stand in for a baseline one.
#pragma once

#include <cstdint>

#if defined(__CUDACC__)
#define DEBLAI_HD __host__ __device__ __forceinline__
#else
#define DEBLAI_HD inline __attribute__((always_inline))
#endif

namespace deblai {

using index_t = std::int64_t;

}  // namespace deblai
