#define DEBLAI_LEVEL avx512
#include "../laguerre/powers/powers-inl.hpp"
