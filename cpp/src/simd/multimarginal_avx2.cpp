#define DEBLAI_LEVEL avx2
#include "../multimarginal/complete/multimarginal-inl.hpp"
