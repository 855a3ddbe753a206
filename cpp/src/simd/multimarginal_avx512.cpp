#define DEBLAI_LEVEL avx512
#include "../multimarginal/complete/multimarginal-inl.hpp"
