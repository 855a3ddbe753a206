#define DEBLAI_LEVEL baseline
#include "../vmath-inl.hpp"
