#define DEBLAI_LEVEL baseline
#include "../laguerre/solid/laguerre3-inl.hpp"
