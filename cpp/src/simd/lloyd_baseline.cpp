#define DEBLAI_LEVEL baseline
#include "../lloyd-inl.hpp"
