// Compiled without fused multiply-adds, which would round otherwise than brute force does.
#include <limits>

#include "lloyd-kernels.hpp"

namespace deblai::lloyd {

template <class T>
index_t nearest_exactly(const T* x, const T* sites, index_t d, const Word<T>* ids, index_t count) {
    constexpr index_t block = 16;
    double least = std::numeric_limits<double>::infinity();
    index_t best = ids ? ids[0] : 0;
    for (index_t c = 0; c < count; ++c) {
        const index_t j = ids ? ids[c] : c;
        const T* const y = sites + j * d;
        double s = 0;
        for (index_t k0 = 0; k0 < d && !(s > least); k0 += block)
            for (index_t k = k0; k < (d - k0 < block ? d : k0 + block); ++k) {
                const double r = static_cast<double>(x[k]) - static_cast<double>(y[k]);
                s += r * r;
            }
        if (s < least) least = s, best = j;
    }
    return best;
}

template index_t nearest_exactly(const float*, const float*, index_t, const Word<float>*, index_t);
template index_t nearest_exactly(const double*, const double*, index_t, const Word<double>*, index_t);

}  // namespace deblai::lloyd
