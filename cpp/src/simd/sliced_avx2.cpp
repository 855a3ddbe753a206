#define DEBLAI_LEVEL avx2
#include "../sliced/sliced-inl.hpp"
