#define DEBLAI_LEVEL avx2
#include "../multimarginal/multimarginal-inl.hpp"
