#define DEBLAI_LEVEL avx2
#include "../laguerre/solid/laguerre3-inl.hpp"
