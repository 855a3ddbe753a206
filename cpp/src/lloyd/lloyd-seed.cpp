// k-means++ seeds: one pass over the samples for each, which also sums the blocks that the next draw goes through.
#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "buffer.hpp"
#include "deblai/check.hpp"
#include "deblai/error.hpp"
#include "deblai/lloyd.hpp"
#include "levels.hpp"
#include "lloyd-kernels.hpp"

DEBLAI_DECLARE_LEVELS(lloyd::Kernels<float>, lloyd_f32)
DEBLAI_DECLARE_LEVELS(lloyd::Kernels<double>, lloyd_f64)

namespace deblai::lloyd {
namespace {

constexpr const Kernels<float>* levels_f32[] = DEBLAI_LEVELS(lloyd_f32);
constexpr const Kernels<double>* levels_f64[] = DEBLAI_LEVELS(lloyd_f64);

const Kernels<float>& kernels(const char* simd, float) { return pick(levels_f32, simd); }
const Kernels<double>& kernels(const char* simd, double) { return pick(levels_f64, simd); }

constexpr index_t block = 1024, task_blocks = 16;

// The first place where the running sum of value(begin), ... exceeds `target`; else the last place of positive value.
template <class F>
index_t invert(index_t begin, index_t end, double target, const F& value) {
    double below = 0;
    index_t last = begin;
    for (index_t i = begin; i < end; ++i) {
        const double v = value(i);
        if (!(v > 0)) continue;
        last = i;
        below += v;
        if (below > target) break;
    }
    return last;
}

}  // namespace

template <class T>
index_t seed(Matrix<const T> x, Vector<const T> weights, Vector<const double> uniforms, Vector<std::int32_t> chosen,
             const Control& control) {
    require_shapes<T>({x, weights, {x.data, 1, x.cols, x.row_stride, x.col_stride}});
    if (uniforms.size != chosen.size) throw InvalidValue("[quantization.lloyd] uniforms: expected one for each seed");
    const index_t n = x.rows, d = x.cols, blocks = (n + block - 1) / block, k = uniforms.size;
    const Kernels<T>& kernel = kernels(control.simd, T{});
    Team team(control, static_cast<double>(n) * static_cast<double>(k) * (1 + 0.1 * static_cast<double>(d)));
    require_finite("[quantization.lloyd] x", x, team);
    if (weights) require_mass("[quantization.lloyd] weights", weights);

    const Buffer buffer = allocate(sizeof(T) * (n + d));
    T* const least = reinterpret_cast<T*>(buffer.get());
    T* const centre = least + n;
    std::vector<double> sums(blocks), odds_by_weight(blocks);
    const auto weight = [&](index_t i) { return weights ? static_cast<double>(weights(i)) : 1.0; };
    for (index_t b = 0; b < blocks; ++b)
        for (index_t i = b * block; i < std::min(n, (b + 1) * block); ++i) odds_by_weight[b] += weight(i);
    std::fill(least, least + n, std::numeric_limits<T>::infinity());

    for (index_t j = 0; j < k; ++j) {
        double total = 0;
        for (const double s : sums) total += s;
        if (!std::isfinite(total))
            throw InvalidValue("[quantization.lloyd] x: squared distances overflow; rescale the samples");
        const bool by_weight = !(total > 0);
        const std::vector<double>& odds = by_weight ? odds_by_weight : sums;
        if (by_weight) {
            total = 0;
            for (const double s : odds) total += s;
        }
        const double target = uniforms(j) * total;
        const index_t at = invert(0, blocks, target, [&](index_t b) { return odds[b]; });
        double below = 0;
        for (index_t b = 0; b < at; ++b) below += odds[b];
        const index_t i = invert(at * block, std::min(n, (at + 1) * block), target - below, [&](index_t s) {
            return by_weight ? weight(s) : weight(s) * static_cast<double>(least[s]);
        });
        for (index_t a = 0; a < d; ++a) centre[a] = x(i, a);
        team.run((blocks + task_blocks - 1) / task_blocks, [&](index_t task, int) {
            for (index_t b = task * task_blocks; b < std::min(blocks, (task + 1) * task_blocks); ++b)
                sums[b] = kernel.closer(x, weights, centre, b * block, std::min(n, (b + 1) * block), least);
        });
        if (team.stopped()) return j;
        chosen(j) = static_cast<std::int32_t>(i);
    }
    return k;
}

template index_t seed(Matrix<const float>, Vector<const float>, Vector<const double>, Vector<std::int32_t>,
                      const Control&);
template index_t seed(Matrix<const double>, Vector<const double>, Vector<const double>, Vector<std::int32_t>,
                      const Control&);

}  // namespace deblai::lloyd
