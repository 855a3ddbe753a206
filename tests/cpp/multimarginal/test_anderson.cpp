// Anderson acceleration (Walker and Ni 2011): on a linear fixed point it is GMRES in disguise, done after as many steps
// as there are unknowns; without memory it is the plain iteration.
#include "multimarginal/anderson.hpp"

#include "check.hpp"
#include "support.hpp"

namespace {

using namespace deblai;
using namespace deblai::test;
using Point = Anderson::Point;

// x <- A x + b with a symmetric A of spectrum in (0, 0.999]: slow without help.
struct Linear {
    int n;
    std::vector<double> direction, rate;
    Point fixed;

    explicit Linear(int n) : n(n), direction(gaussian<double>(n, 1)), fixed(gaussian<double>(n, 2)) {
        double norm = 0;
        for (const double v : direction) norm += v * v;
        for (double& v : direction) v /= std::sqrt(norm);
        for (int k = 0; k < n; ++k) rate.push_back(0.999 * (k + 1.0) / n);
    }
    // A reflected diagonal: (I - 2 v v') D (I - 2 v v').
    Point reflect(Point x) const {
        const double along = std::inner_product(x.begin(), x.end(), direction.begin(), 0.0);
        for (int k = 0; k < n; ++k) x[k] -= 2 * along * direction[k];
        return x;
    }
    Point operator()(const Point& x) const {
        Point gap(n);
        for (int k = 0; k < n; ++k) gap[k] = x[k] - fixed[k];
        gap = reflect(gap);
        for (int k = 0; k < n; ++k) gap[k] *= rate[k];
        gap = reflect(gap);
        for (int k = 0; k < n; ++k) gap[k] += fixed[k];
        return gap;
    }
    double error(const Point& x) const {
        double far = 0;
        for (int k = 0; k < n; ++k) far = std::max(far, std::abs(x[k] - fixed[k]));
        return far;
    }
};

double error_after(const Linear& map, int memory, int steps) {
    Anderson anderson(memory, Point(map.n, 1.0));
    Point x(map.n, 0.0);
    for (int k = 0; k < steps; ++k) x = anderson.next(x, map(x));
    return map.error(x);
}

void few_steps() {
    for (const int n : {1, 2, 4, 6}) {
        const Linear map(n);
        // Normal equations see half the digits: the last of many unknowns takes some steps more.
        const int steps = n + (n > 4 ? 10 : 2);
        const double plain = error_after(map, 0, steps), fast = error_after(map, n, steps);
        CHECK(plain > 0.1, n, plain);
        CHECK(fast < 1e-6, n, fast);
    }
    // Less memory than unknowns is still far ahead.
    const Linear map(12);
    CHECK(error_after(map, 4, 60) < 1e-2 * error_after(map, 0, 60), error_after(map, 4, 60), error_after(map, 0, 60));
}

void without_memory() {
    const Linear map(5);
    Anderson anderson(0, Point(5, 1.0));
    Point x(5, 0.0);
    for (int k = 0; k < 20; ++k) {
        const Point image = map(x);
        CHECK(anderson.next(x, image) == image);
        x = image;
    }
}

// The first step, and the first after `forget`, is plain.
void begins_plainly() {
    const Linear map(5);
    Anderson anderson(3, Point(5, 1.0));
    Point x(5, 0.0), image = map(x);
    CHECK(anderson.next(x, image) == image);
    x = image;
    image = map(x);
    CHECK(anderson.next(x, image) != image);
    anderson.forget();
    x = image;
    image = map(x);
    CHECK(anderson.next(x, image) == image);
}

// Residuals that are equal, or zero, leave the least squares singular: the answer stays finite.
void degenerate() {
    Anderson anderson(3, Point(2, 1.0));
    Point x{1, 2};
    for (int k = 0; k < 10; ++k) {
        const Point image{x[0] + 1, x[1] - 1};  // no fixed point
        const Point next = anderson.next(x, image);
        CHECK(std::isfinite(next[0]) && std::isfinite(next[1]), next[0], next[1], k);
        x = image;
    }
    Anderson still(3, Point(2, 1.0));
    for (int k = 0; k < 5; ++k) CHECK(still.next(x, x) == x);
    // Points of no weight do not count, and no point at all is no harm.
    Anderson weightless(3, Point(2, 0.0));
    for (int k = 0; k < 5; ++k) {
        const Point next = weightless.next(x, {x[0] / 2, x[1] / 3});
        CHECK(std::isfinite(next[0]) && std::isfinite(next[1]), next[0], next[1], k);
        x = next;
    }
    Anderson empty(3, {});
    for (int k = 0; k < 3; ++k) CHECK(empty.next({}, {}).empty());
}

// Affine maps commute with the acceleration: shifted iterates are the iterates shifted.
void moves_with_the_origin() {
    const Linear map(5);
    Anderson here(3, Point(5, 1.0)), there(3, Point(5, 1.0));
    Point x(5, 0.0), y(5, 10.0);
    for (int k = 0; k < 6; ++k) {
        Point image = map(x), shifted = image;
        for (double& v : shifted) v += 10;
        x = here.next(x, image);
        y = there.next(y, shifted);
        for (int i = 0; i < 5; ++i) CHECK(std::abs(y[i] - 10 - x[i]) < 1e-6 * (1 + std::abs(x[i])), k, x[i], y[i]);
        for (int i = 0; i < 5; ++i) y[i] = x[i] + 10;
    }
}

}  // namespace

int main() {
    few_steps();
    without_memory();
    begins_plainly();
    degenerate();
    moves_with_the_origin();
    return report();
}
