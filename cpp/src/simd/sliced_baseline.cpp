#define DEBLAI_LEVEL baseline
#include "../sliced-inl.hpp"
