#define DEBLAI_LEVEL avx2
#include "../sliced-inl.hpp"
