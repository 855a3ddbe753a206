#define DEBLAI_LEVEL avx512
#include "../sliced/sliced-inl.hpp"
