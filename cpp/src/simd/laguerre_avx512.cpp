#define DEBLAI_LEVEL avx512
#include "../laguerre-inl.hpp"
