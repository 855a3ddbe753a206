#define DEBLAI_LEVEL avx2
#include "../multimarginal-inl.hpp"
