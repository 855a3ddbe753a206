#define DEBLAI_LEVEL avx2
#include "../laguerre/powers/powers-inl.hpp"
