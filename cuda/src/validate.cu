#include "validate.cuh"

#include <algorithm>
#include <cmath>
#include <string>

#include "deblai/check.hpp"
#include "tile.cuh"

namespace deblai::cuda {
namespace {

using deblai::sliced::Problem;

template <class T>
__global__ void __launch_bounds__(block_threads) look(Matrix<const T> points, flat_index* first) {
    const index_t count = points.rows * points.cols, step = gridDim.x * index_t{block_threads};
    const bool dense = points.col_stride == 1 && points.row_stride == points.cols;
    for (index_t k = blockIdx.x * index_t{block_threads} + threadIdx.x; k < count; k += step) {
        const T v = dense ? points.data[k] : points(k / points.cols, k % points.cols);
        if (!(v - v == T(0))) atomicMin(first, static_cast<flat_index>(k));
    }
}

template <class T>
__global__ void __launch_bounds__(block_threads) add_up(Vector<const T> weights, flat_index* first, double* parts) {
    const index_t end = min(weights.size, (blockIdx.x + 1) * tile_size);
    double sum = 0;
    for (index_t i = blockIdx.x * tile_size + threadIdx.x; i < end; i += block_threads) {
        const double w = weights(i);
        if (!(w >= 0 && w - w == 0)) atomicMin(first, static_cast<flat_index>(i));
        sum += w;
    }
    sum = block_sum(sum);
    if (threadIdx.x == 0) parts[blockIdx.x] = sum;
}

std::string named(const Call& call, const char* argument) {
    return std::string("[") + call.operation() + "] " + argument;
}

template <class T>
double fetch(const Call& call, const T* entry) {
    T value;
    call.check(cudaMemcpyAsync(&value, entry, sizeof(T), cudaMemcpyDeviceToHost, call.stream()), "cudaMemcpyAsync");
    call.wait();
    return value;
}

}  // namespace

template <class T>
void find_nonfinite(const Call& call, Matrix<const T> points, flat_index* first) {
    const index_t blocks = std::min<index_t>(tiles(points.rows * points.cols), 8 * call.multiprocessors());
    call.launch("look", look<T>, dim3(static_cast<unsigned>(blocks)), block_threads, points, first);
}

template <class T>
void weigh(const Call& call, Vector<const T> weights, flat_index* first, double* parts, double* total) {
    call.launch("add_up", add_up<T>, tile_grid(weights.size, 1), block_threads, weights, first, parts);
    call.launch("sum_rows", sum_rows<double>, dim3(1), block_threads, parts, tiles(weights.size), 1.0, total);
}

template <class T>
void refuse_points(const Call& call, const char* argument, Matrix<const T> points, flat_index first) {
    if (first == ~flat_index{0}) return;
    const index_t i = static_cast<index_t>(first) / points.cols, k = static_cast<index_t>(first) % points.cols;
    throw not_finite(named(call, argument).c_str(), fetch(call, &points(i, k)), i, k);
}

template <class T>
void refuse_weights(const Call& call, const char* argument, Vector<const T> weights, flat_index first, double total) {
    if (!weights) return;
    const std::string where = named(call, argument);
    const index_t i = static_cast<index_t>(first);
    if (first != ~flat_index{0}) throw not_a_weight(where.c_str(), fetch(call, &weights(i)), i);
    if (!(total > 0) || std::isinf(total)) throw not_a_mass(where.c_str(), total);
}

template <class T>
Totals require_entries(const Call& call, const Problem<T>& q, Findings* findings, double* parts) {
    call.check(cudaMemsetAsync(findings, 0xFF, sizeof(Findings), call.stream()), "cudaMemsetAsync");
    find_nonfinite(call, q.x, &findings->first[Findings::x]);
    find_nonfinite(call, q.y, &findings->first[Findings::y]);
    find_nonfinite(call, q.directions, &findings->first[Findings::directions]);
    if (q.a) weigh(call, q.a, &findings->first[Findings::a], parts, &findings->total[0]);
    if (q.b) weigh(call, q.b, &findings->first[Findings::b], parts, &findings->total[1]);
    Findings found;
    call.check(cudaMemcpyAsync(&found, findings, sizeof(Findings), cudaMemcpyDeviceToHost, call.stream()),
               "cudaMemcpyAsync");
    call.wait();
    refuse_points(call, "x", q.x, found.first[Findings::x]);
    refuse_points(call, "y", q.y, found.first[Findings::y]);
    refuse_points(call, "directions", q.directions, found.first[Findings::directions]);
    refuse_weights(call, "a", q.a, found.first[Findings::a], found.total[0]);
    refuse_weights(call, "b", q.b, found.first[Findings::b], found.total[1]);
    return {q.a ? found.total[0] : 1.0, q.b ? found.total[1] : 1.0};
}

template void find_nonfinite(const Call&, Matrix<const float>, flat_index*);
template void weigh(const Call&, Vector<const float>, flat_index*, double*, double*);
template void refuse_points(const Call&, const char*, Matrix<const float>, flat_index);
template void refuse_weights(const Call&, const char*, Vector<const float>, flat_index, double);
template void find_nonfinite(const Call&, Matrix<const double>, flat_index*);
template void weigh(const Call&, Vector<const double>, flat_index*, double*, double*);
template void refuse_points(const Call&, const char*, Matrix<const double>, flat_index);
template void refuse_weights(const Call&, const char*, Vector<const double>, flat_index, double);
template Totals require_entries(const Call&, const Problem<float>&, Findings*, double*);
template Totals require_entries(const Call&, const Problem<double>&, Findings*, double*);

}  // namespace deblai::cuda
