#define DEBLAI_LEVEL avx2
#include "../multimarginal/graph/graph-inl.hpp"
