#define DEBLAI_LEVEL avx512
#include "../laguerre/laguerre-inl.hpp"
