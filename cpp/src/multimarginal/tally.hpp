// What the rows of the plans of pairs add up to: marginals, <c, plan>, gradients of the cost in the points.
#pragma once

#include <vector>

#include "deblai/multimarginal-host.hpp"

namespace deblai::multimarginal {

// Mass, <c, plan> and the gradient of the cost in the row's point, of one row of a pair's plan.
template <class T>
struct RowSummary {
    double mass = 0, linear = 0;

    RowSummary(const Problem<T>& q, int p, int r, index_t i, const T* plan, const T* M, index_t n, double* grad) {
        for (index_t j = 0; j < n; ++j) {
            if (!(plan[j] > 0)) continue;
            mass += plan[j];
            linear -= q.epsilon * static_cast<double>(plan[j]) * static_cast<double>(M[j]);
        }
        if (!grad) return;
        const auto &x = q.marginals[q.symmetric ? 0 : p].points, &y = q.marginals[q.symmetric ? 0 : r].points;
        for (index_t j = 0; j < n; ++j) {
            if (!(plan[j] > 0)) continue;
            double r2 = 0;
            for (index_t k = 0; k < x.cols; ++k) {
                const double d = static_cast<double>(x(i, k)) - static_cast<double>(y(j, k));
                r2 += d * d;
            }
            const double slope = plan[j] * q.cost.slope(r2);
            for (index_t k = 0; k < x.cols; ++k)
                grad[k] += slope * (static_cast<double>(x(i, k)) - static_cast<double>(y(j, k)));
        }
    }
};

// Adds up what the rows of the plan of (p, r) say about marginal p.
template <class T>
class Tally {
public:
    Tally(const Problem<T>& q, const Output<T>& out, const std::vector<index_t>& at)
        : q_(q), at_(at), marginals_(at.back()), linear_(at.back()) {
        if (!out.grad_points) return;
        gradients_.resize(q.distinct());
        for (int p = 0; p < q.distinct(); ++p)
            if (out.grad_points[p]) gradients_[p].resize(q.marginals[p].size * q.marginals[p].points.cols);
    }

    bool wants(int p) const { return !gradients_.empty() && !gradients_[p].empty(); }

    void row(int p, int r, index_t i, const T* plan, const T* M, index_t n, bool counts, bool first) {
        double* const grad = wants(p) ? &gradients_[p][i * q_.marginals[p].points.cols] : nullptr;
        if (!grad && !counts && !first) return;
        const RowSummary<T> s(q_, p, r, i, plan, M, n, grad);
        if (counts) linear_[at_[p] + i] += s.mass > 0 ? s.linear : 0.0;
        if (first) marginals_[at_[p] + i] = s.mass;
    }

    void write(const Output<T>& out) const {
        const double factor = q_.symmetric ? 2 * pairs_of_one(q_) : 1.0;
        for (int p = 0; p < q_.distinct(); ++p) {
            if (!wants(p)) continue;
            const Matrix<T>& to = out.grad_points[p];
            for (index_t i = 0; i < to.rows; ++i)
                for (index_t k = 0; k < to.cols; ++k)
                    to(i, k) = static_cast<T>(gradients_[p][i * to.cols + k] * factor);
        }
    }

    const Problem<T>& q_;
    const std::vector<index_t>& at_;
    std::vector<double> marginals_, linear_;
    std::vector<std::vector<double>> gradients_;
};

}  // namespace deblai::multimarginal
