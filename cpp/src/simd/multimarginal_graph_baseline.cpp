#define DEBLAI_LEVEL baseline
#include "../multimarginal/graph-inl.hpp"
