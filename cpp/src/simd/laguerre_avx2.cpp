#define DEBLAI_LEVEL avx2
#include "../laguerre-inl.hpp"
