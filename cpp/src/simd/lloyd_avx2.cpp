#define DEBLAI_LEVEL avx2
#include "../lloyd/lloyd-inl.hpp"
