#define DEBLAI_LEVEL avx512
#include "../multimarginal-inl.hpp"
