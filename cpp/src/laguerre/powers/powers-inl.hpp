// Gauss rules along segments, a lane each.
#include "powers-kernels.hpp"
#include "vec-inl.hpp"

namespace deblai::DEBLAI_LEVEL {
namespace {

using powers::Power;
using powers::Segments;
using Doubles = Vec<double>;

DEBLAI_HD Doubles root(Doubles v) {
    for (index_t k = 0; k < lanes<double>; ++k) v[k] = __builtin_sqrt(v[k]);
    return v;
}

// v^((p - 2) / 2); P is p, 0 for any.
template <int P>
DEBLAI_HD Doubles half_power(Doubles v, double p) {
    if constexpr (P == 1) return 1.0 / root(v);
    if constexpr (P == 2) return splat(1.0);
    if constexpr (P == 3) return root(v);
    if constexpr (P == 4) return v;
    return vexp<double>((0.5 * (p - 2)) * vlog<double>(v));
}

template <bool Space, int P>
void sums(const Power& power, const Segments& s) {
    for (index_t b = 0; b < s.size; b += lanes<double>) {
        std::int32_t most = 0;
        for (index_t k = b; k < b + lanes<double> && k < s.size; ++k) most = s.rule[k] > most ? s.rule[k] : most;
        const GaussRule& rule = power.rule[most];
        const Doubles line2 = load(s.line2 + b), begin = load(s.begin + b), length = load(s.end + b) - begin;
        Doubles foot2 = {}, height_p = {}, sum[4] = {};
        if constexpr (Space) foot2 = load(s.foot2 + b), height_p = load(s.height_p + b);
        for (int j = 0; j < rule.size; ++j) {
            const Doubles t = begin + rule.node[j] * length, tt = t * t;
            Doubles r2 = line2 + tt;
            r2 = r2 > 1e-280 ? r2 : splat(1e-280);
            const Doubles f = half_power<P>(r2, power.p), wf = rule.weight[j] * f;
            if constexpr (Space) {
                const Doubles rho2 = foot2 + tt, whole = wf * r2, u = rho2 / r2;
                Doubles tail = splat(power.series[power.series_size - 1]);
                for (int m = power.series_size - 2; m >= 0; --m) tail = tail * u + power.series[m];
                const Doubles direct = (whole - rule.weight[j] * height_p) / rho2;
                sum[0] = sum[0] + (u < power.series_up_to ? wf * tail : direct);
                sum[1] = sum[1] + whole;
                sum[2] = sum[2] + whole * t;
            } else {
                const Doubles first = wf * t;
                sum[0] = sum[0] + wf;
                sum[1] = sum[1] + first;
                sum[2] = sum[2] + wf * tt;
                sum[3] = sum[3] + first * tt;
            }
        }
        for (int k = 0; k < (Space ? 3 : 4); ++k) store(s.sum[k] + b, sum[k] * length);
    }
}

template <bool Space>
void by_power(const Power& power, const Segments& s) {
    if (power.p == 1) return sums<Space, 1>(power, s);
    if (power.p == 2) return sums<Space, 2>(power, s);
    if (power.p == 3) return sums<Space, 3>(power, s);
    if (power.p == 4) return sums<Space, 4>(power, s);
    sums<Space, 0>(power, s);
}

}  // namespace

extern const powers::Kernels powers_kernels = {by_power<false>, by_power<true>};

}  // namespace deblai::DEBLAI_LEVEL
