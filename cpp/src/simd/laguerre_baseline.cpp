#define DEBLAI_LEVEL baseline
#include "../laguerre/laguerre-inl.hpp"
