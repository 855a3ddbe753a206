#define DEBLAI_LEVEL avx2
#include "../vmath/vmath-inl.hpp"
