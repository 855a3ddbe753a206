#define DEBLAI_LEVEL baseline
#include "../laguerre-inl.hpp"
