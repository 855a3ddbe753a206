#define DEBLAI_LEVEL avx512
#include "../laguerre/solid/laguerre3-inl.hpp"
