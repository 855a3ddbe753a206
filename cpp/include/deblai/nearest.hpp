// Whether the lowest of squared distances is the lowest, or rounding chose it. By direct differences in T a sum of d
// squares is off by at most (d + 2) / 2 epsilons of itself, and by less than d of the least normal number.
#pragma once

#include "deblai/hd.hpp"

namespace deblai::lloyd {

template <class T>
inline constexpr T least_normal = T(sizeof(T) == 4 ? 0x1p-126 : 0x1p-1022);

// A site at squared distance s may be nearer than one at `least` if s * sure_share - d * least_normal <= least.
template <class T>
DEBLAI_HD T sure_share(index_t d) {
    return T(1) - T(sizeof(T) == 4 ? 0x1p-23 : 0x1p-52) * static_cast<T>(d + 4);
}

}  // namespace deblai::lloyd
