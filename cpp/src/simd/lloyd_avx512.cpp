#define DEBLAI_LEVEL avx512
#include "../lloyd/lloyd-inl.hpp"
