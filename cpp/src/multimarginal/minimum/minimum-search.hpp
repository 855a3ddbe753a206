// Branch and bound over tuples of three marginals or more: see multimarginal-minimum.hpp.
#pragma once

#include "minimum-walk.hpp"

namespace deblai::multimarginal {

// `at` and `tuples` are by position.
Minimum search(const Tables& tables, const Wanted& wanted, const Control& control);

}  // namespace deblai::multimarginal
