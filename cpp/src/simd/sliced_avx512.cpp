#define DEBLAI_LEVEL avx512
#include "../sliced-inl.hpp"
