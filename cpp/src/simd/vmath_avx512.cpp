#define DEBLAI_LEVEL avx512
#include "../vmath/vmath-inl.hpp"
