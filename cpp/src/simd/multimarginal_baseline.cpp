#define DEBLAI_LEVEL baseline
#include "../multimarginal-inl.hpp"
