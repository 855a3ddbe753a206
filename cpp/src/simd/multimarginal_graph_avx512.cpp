#define DEBLAI_LEVEL avx512
#include "../multimarginal/graph/graph-inl.hpp"
