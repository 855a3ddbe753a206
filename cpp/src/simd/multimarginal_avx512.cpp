#define DEBLAI_LEVEL avx512
#include "../multimarginal/multimarginal-inl.hpp"
