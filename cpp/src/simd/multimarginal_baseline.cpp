#define DEBLAI_LEVEL baseline
#include "../multimarginal/complete/multimarginal-inl.hpp"
