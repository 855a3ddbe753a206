#define DEBLAI_LEVEL avx512
#include "../vmath-inl.hpp"
