// Anderson acceleration of a fixed-point iteration x <- G(x) (Anderson 1965; Walker and Ni, SINUM 2011): the next point
// is the affine combination of the last images whose combined residual sum_k gamma_k (G(x_k) - x_k) is smallest.
#pragma once

#include <algorithm>
#include <cmath>
#include <deque>
#include <utility>
#include <vector>

#include "deblai/hd.hpp"

namespace deblai {

class Anderson {
public:
    using Point = std::vector<double>;

    Anderson(int memory, Point weights) : memory_(memory), weights_(std::move(weights)) {}

    void forget() { past_.clear(); }

    // The point that follows x, whose image is `image`; equals `image` while there is no past.
    Point next(const Point& x, const Point& image) {
        if (memory_ <= 0) return image;
        Entry now{image, image};
        for (std::size_t i = 0; i < x.size(); ++i) now.residual[i] -= x[i];
        past_.push_front(std::move(now));
        if (static_cast<int>(past_.size()) > memory_ + 1) past_.pop_back();
        const int m = static_cast<int>(past_.size()) - 1;
        if (m == 0) return image;

        // Least squares in the differences to the newest residual.
        std::vector<double> gram(m * m), gamma(m);
        double scale = 0;
        for (int a = 0; a < m; ++a) {
            for (int b = 0; b <= a; ++b) gram[a * m + b] = inner(a + 1, b + 1);
            gamma[a] = -newest(a + 1);
            scale = std::max(scale, gram[a * m + a]);
        }
        for (int a = 0; a < m; ++a) gram[a * m + a] += 1e-12 * scale;
        if (!solve(gram, gamma)) {
            forget();
            return image;
        }
        Point result = image;
        for (int a = 0; a < m; ++a)
            for (std::size_t i = 0; i < result.size(); ++i)
                result[i] += gamma[a] * (past_[a + 1].image[i] - past_[0].image[i]);
        return result;
    }

private:
    struct Entry {
        Point image, residual;
    };

    double inner(int a, int b) const {
        const Point &r = past_[0].residual, &u = past_[a].residual, &v = past_[b].residual;
        double total = 0;
        for (std::size_t i = 0; i < r.size(); ++i) total += weights_[i] * (u[i] - r[i]) * (v[i] - r[i]);
        return total;
    }
    double newest(int a) const {
        const Point &r = past_[0].residual, &u = past_[a].residual;
        double total = 0;
        for (std::size_t i = 0; i < r.size(); ++i) total += weights_[i] * (u[i] - r[i]) * r[i];
        return total;
    }

    // Cholesky, in place; false where the matrix is not positive or the solution not finite.
    static bool solve(std::vector<double>& A, std::vector<double>& b) {
        const int m = static_cast<int>(b.size());
        for (int i = 0; i < m; ++i)
            for (int j = 0; j <= i; ++j) {
                double sum = A[i * m + j];
                for (int k = 0; k < j; ++k) sum -= A[i * m + k] * A[j * m + k];
                if (i == j && !(sum > 0)) return false;
                A[i * m + j] = i == j ? std::sqrt(sum) : sum / A[j * m + j];
            }
        for (int i = 0; i < m; ++i) {
            for (int k = 0; k < i; ++k) b[i] -= A[i * m + k] * b[k];
            b[i] /= A[i * m + i];
        }
        for (int i = m - 1; i >= 0; --i) {
            for (int k = i + 1; k < m; ++k) b[i] -= A[k * m + i] * b[k];
            b[i] /= A[i * m + i];
            if (!std::isfinite(b[i])) return false;
        }
        return true;
    }

    int memory_;
    Point weights_;
    std::deque<Entry> past_;
};

}  // namespace deblai
