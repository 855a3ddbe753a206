#define DEBLAI_LEVEL avx2
#include "../multimarginal/graph-inl.hpp"
