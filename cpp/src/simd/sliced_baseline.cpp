#define DEBLAI_LEVEL baseline
#include "../sliced/sliced-inl.hpp"
