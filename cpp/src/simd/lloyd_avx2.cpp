#define DEBLAI_LEVEL avx2
#include "../lloyd-inl.hpp"
