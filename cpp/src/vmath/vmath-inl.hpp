// exp and log over arrays: whole vectors, then the rest through a padded one.
#include "vec-inl.hpp"
#include "vmath-kernels.hpp"

namespace deblai::DEBLAI_LEVEL {
namespace {

template <class T, Vec<T> (*F)(Vec<T>)>
void map(const T* in, T* out, index_t n) {
    constexpr index_t w = lanes<T>;
    index_t i = 0;
    for (; i + w <= n; i += w) store(out + i, F(load(in + i)));
    if (i < n) {
        T tail[w] = {};
        std::memcpy(tail, in + i, (n - i) * sizeof(T));
        store(tail, F(load(tail)));
        std::memcpy(out + i, tail, (n - i) * sizeof(T));
    }
}

}  // namespace

extern const vmath::Kernels vmath_kernels = {map<float, vexp<float>>, map<double, vexp<double>>,
                                             map<float, vlog<float>>, map<double, vlog<double>>};

}  // namespace deblai::DEBLAI_LEVEL
