#define DEBLAI_LEVEL avx512
#include "../lloyd-inl.hpp"
