#define DEBLAI_LEVEL baseline
#include "../multimarginal/graph/graph-inl.hpp"
