#define DEBLAI_LEVEL avx2
#include "../vmath-inl.hpp"
