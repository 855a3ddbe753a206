#include "deblai/check.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdio>
#include <string>

namespace deblai {
namespace {

std::string show(double v) {
    char text[32];
    std::snprintf(text, sizeof text, "%g", v);
    return std::isnan(v) ? "nan" : text;
}

template <class T>
bool row_is_finite(const Matrix<const T>& points, index_t i) {
    const T* const p = &points(i, 0);
    int bad = 0;
    if (points.col_stride == 1) {
        for (index_t k = 0; k < points.cols; ++k) bad |= !(p[k] - p[k] == T(0));
    } else {
        for (index_t k = 0; k < points.cols; ++k) bad |= !(p[k * points.col_stride] - p[k * points.col_stride] == T(0));
    }
    return !bad;
}

// Rows that follow one another in memory are checked as one long row.
template <class T>
Matrix<const T> flattened(Matrix<const T> m, index_t width) {
    if (m.col_stride != 1 || m.row_stride != m.cols || m.rows * m.cols % width) return m;
    return {m.data, m.rows * m.cols / width, width, width, 1};
}

}  // namespace

InvalidValue not_finite(const char* where, double value, index_t row, index_t col) {
    return InvalidValue(std::string(where) + ": expected finite values, got " + show(value) + " at [" +
                        std::to_string(row) + ", " + std::to_string(col) + "]");
}

InvalidValue not_a_weight(const char* where, double value, index_t i) {
    return InvalidValue(std::string(where) + ": expected finite nonnegative weights, got " + show(value) + " at [" +
                        std::to_string(i) + "]");
}

InvalidValue not_a_mass(const char* where, double total) {
    return InvalidValue(std::string(where) + ": expected a positive finite total mass, got " + show(total));
}

template <class T>
void require_finite(const char* where, Matrix<const T> points, Team& team) {
    constexpr index_t chunk = 4096;
    std::atomic<bool> bad{false};
    const Matrix<const T> flat = flattened(points, points.cols * (points.rows % 64 == 0 ? 64 : 1));
    team.run((flat.rows + chunk - 1) / chunk, [&](index_t task, int) {
        const index_t end = std::min(flat.rows, (task + 1) * chunk);
        for (index_t i = task * chunk; i < end; ++i)
            if (!row_is_finite(flat, i)) return bad.store(true, std::memory_order_relaxed);
    });
    if (!bad.load()) return;
    for (index_t i = 0; i < points.rows; ++i)
        for (index_t k = 0; k < points.cols; ++k)
            if (!std::isfinite(points(i, k))) throw not_finite(where, points(i, k), i, k);
}

template <class T>
double require_mass(const char* where, Vector<const T> weights) {
    double total = 0;
    for (index_t i = 0; i < weights.size; ++i) {
        const double w = weights(i);
        if (!(w >= 0) || std::isinf(w)) throw not_a_weight(where, w, i);
        total += w;
    }
    if (!(total > 0) || std::isinf(total)) throw not_a_mass(where, total);
    return total;
}

template void require_finite(const char*, Matrix<const float>, Team&);
template void require_finite(const char*, Matrix<const double>, Team&);
template double require_mass(const char*, Vector<const float>);
template double require_mass(const char*, Vector<const double>);

}  // namespace deblai
