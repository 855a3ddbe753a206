#define DEBLAI_LEVEL avx512
#include "../multimarginal/graph-inl.hpp"
