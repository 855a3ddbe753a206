#define DEBLAI_LEVEL avx2
#include "../laguerre/laguerre-inl.hpp"
