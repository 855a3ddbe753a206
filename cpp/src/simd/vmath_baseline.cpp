#define DEBLAI_LEVEL baseline
#include "../vmath/vmath-inl.hpp"
