// What each instruction set provides for vmath.
#pragma once

#include "deblai/hd.hpp"

namespace deblai::vmath {

struct Kernels {
    void (*exp_f32)(const float*, float*, index_t);
    void (*exp_f64)(const double*, double*, index_t);
    void (*log_f32)(const float*, float*, index_t);
    void (*log_f64)(const double*, double*, index_t);
};

}  // namespace deblai::vmath
