#define DEBLAI_LEVEL baseline
#include "../multimarginal/multimarginal-inl.hpp"
