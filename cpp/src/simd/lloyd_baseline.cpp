#define DEBLAI_LEVEL baseline
#include "../lloyd/lloyd-inl.hpp"
