#define DEBLAI_LEVEL baseline
#include "../laguerre/powers/powers-inl.hpp"
