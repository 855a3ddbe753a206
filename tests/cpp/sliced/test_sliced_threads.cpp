// Same bits whatever the number of threads and the strides of the arrays; a stop ends a call early.
#include <chrono>
#include <cstring>
#include <thread>

#include "check.hpp"
#include "sliced_support.hpp"

namespace {

using namespace deblai;
using namespace deblai::test;

template <class V>
bool same_bits(const V& a, const V& b) {
    return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(a[0])) == 0);
}

template <class T>
bool same_bits(const Result<T>& a, const Result<T>& b) {
    return same_bits(a.cost, b.cost) && same_bits(a.grad_x, b.grad_x) && same_bits(a.grad_y, b.grad_y) &&
           same_bits(a.grad_a, b.grad_a) && same_bits(a.grad_b, b.grad_b);
}

// Several tasks of 1024 points and several chunks of 32 directions; far above the serial threshold.
template <class T>
void any_number_of_threads() {
    const index_t n = sized(6000, 2100), m = sized(5000, 1500);
    for (const char* level : sanitized ? std::vector<const char*>{nullptr} : levels())
        for (const index_t second : {n, m})
            for (const bool weighted : {false, true})
                for (const Wanted wanted : {only_cost, points, everything}) {
                    const Case<T> c = random_case<T>(n, second, 3, 70, weighted, 2, 40);
                    const Result<T> one = solve(c, wanted, {.threads = 1, .simd = level});
                    CHECK(one.estimate.done == 70);
                    for (const int threads : {2, 3, 8})
                        CHECK(same_bits(one, solve(c, wanted, {.threads = threads, .simd = level})),
                              level ? level : "best", threads, second, weighted, wanted);
                }
}

// A copy of `v` (rows, cols) laid out with other strides; the gaps hold NaN, which nobody may read.
template <class T>
struct Layout {
    std::vector<T> store;
    Matrix<T> view;

    Layout(const std::vector<T>& v, index_t cols, int kind) {
        const index_t rows = static_cast<index_t>(v.size()) / cols;
        store.assign(6 * v.size() + 8, std::numeric_limits<T>::quiet_NaN());
        T* const s = store.data() + 4;
        switch (kind) {
            case 0: view = {s, rows, cols, 1, rows}; break;                              // column-major
            case 1: view = {s + (rows - 1) * cols, rows, cols, -cols, 1}; break;         // rows reversed
            case 2: view = {s, rows, cols, 2 * cols, 1}; break;                          // every second row
            case 3: view = {s + cols - 1, rows, cols, cols, -1}; break;                  // columns reversed
            case 4: view = {s + 3 * rows * cols - 3, rows, cols, -3, -3 * rows}; break;  // all at once
            default: view = {s, rows, cols, 2 * cols + 1, 2}; break;                     // every second column
        }
        if (kind == 4) view.data = s + 3 * rows * cols;
        for (index_t i = 0; i < rows; ++i)
            for (index_t k = 0; k < cols; ++k) view(i, k) = v[i * cols + k];
    }
    Matrix<const T> constant() const { return {view.data, view.rows, view.cols, view.row_stride, view.col_stride}; }
    std::vector<T> contiguous() const {
        std::vector<T> out;
        for (index_t i = 0; i < view.rows; ++i)
            for (index_t k = 0; k < view.cols; ++k) out.push_back(view(i, k));
        return out;
    }
};

template <class T>
void any_strides() {
    const Case<T> c = random_case<T>(300, 211, 5, 40, true, 1.5, 50);
    const Result<T> want = solve(c, everything);
    for (int kind = 0; kind < 6; ++kind) {
        const Layout<T> x(c.x, 5, kind), y(c.y, 5, (kind + 1) % 6), theta(c.theta, 5, (kind + 2) % 6);
        const Layout<T> a(c.a, 1, kind), b(c.b, 1, (kind + 1) % 6);
        const Layout<T> grad_x(std::vector<T>(c.x.size()), 5, (kind + 3) % 6),
            grad_y(std::vector<T>(c.y.size()), 5, kind);
        const Layout<T> grad_a(std::vector<T>(c.a.size()), 1, kind),
            grad_b(std::vector<T>(c.b.size()), 1, (kind + 2) % 6);
        const auto vector_of = [](const auto& view) { return Vector<T>{view.data, view.rows, view.row_stride}; };
        const auto constant = [](const auto& view) { return Vector<const T>{view.data, view.rows, view.row_stride}; };
        Result<T> got;
        got.cost.resize(c.L());
        sliced::wasserstein<T>(
            {x.constant(), y.constant(), constant(a.view), constant(b.view), theta.constant(), c.p},
            {got.cost.data(), grad_x.view, grad_y.view, vector_of(grad_a.view), vector_of(grad_b.view)});
        got.grad_x = grad_x.contiguous(), got.grad_y = grad_y.contiguous();
        got.grad_a = grad_a.contiguous(), got.grad_b = grad_b.contiguous();
        CHECK(same_bits(want, got), kind);
        // The gaps are as they were.
        index_t numbers = 0;
        for (const T v : grad_x.store) numbers += v == v;
        CHECK(numbers == grad_x.view.rows * grad_x.view.cols, numbers);
    }
}

// Gradients are added to what the caller's array holds.
void gradients_accumulate() {
    const Case<double> c = random_case<double>(50, 70, 2, 40, true, 2, 60);
    const Result<double> r = solve(c, everything);
    std::vector<double> cost(c.L()), gx(c.x.size(), 1.0), ga(c.n(), 1.0);
    sliced::wasserstein<double>(c.problem(), {cost.data(), matrix(gx, 2), {}, vector(ga), {}});
    for (std::size_t i = 0; i < gx.size(); ++i) CHECK(std::abs(gx[i] - 1 - r.grad_x[i]) < 1e-14, gx[i], r.grad_x[i]);
    for (std::size_t i = 0; i < ga.size(); ++i) CHECK(std::abs(ga[i] - 1 - r.grad_a[i]) < 1e-14, ga[i], r.grad_a[i]);
}

// poll returns true: fewer directions than L, and exactly the others' costs are untouched.
void stop_between_directions() {
    const Case<float> c = random_case<float>(20000, 20000, 2, 4000, false, 2, 70);
    for (const int threads : {1, 2}) {
        const auto start = std::chrono::steady_clock::now();
        const Result<float> r = solve(c, only_cost, {.threads = threads, .poll = [](void*) { return true; }});
        const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
        CHECK(r.estimate.done < c.L(), r.estimate.done);
        index_t touched = 0;
        for (const double v : r.cost) touched += v == v;
        CHECK(touched == r.estimate.done, touched, r.estimate.done);
        CHECK(seconds.count() < sized(1.0, 10.0), seconds.count());
    }
}

// A stop inside the sort of one long row.
void stop_inside_a_sort() {
    const index_t n = sized(4000000, 500000);
    const Case<double> c = random_case<double>(n, n, 1, 1, false, 2, 80);
    const Result<double> r = solve(c, points, {.threads = 1, .poll = [](void*) { return true; }});
    CHECK(r.estimate.done == 0 && std::isnan(r.cost[0]), r.estimate.done, r.cost[0]);
}

// A stop after the last cost, while gradients are still being added: they are void, so less than L is reported.
// All points are one point and all gradients one number (strides 0), which makes the last step long and small.
void stop_inside_the_gradient() {
    const float one = 1;
    float gradient = 0;
    double cost = std::numeric_limits<double>::quiet_NaN();
    const index_t n = sized(1000000, 300000), d = 100;
    const Matrix<const float> cloud{&one, n, d, 0, 0};
    const auto cost_is_there = [](void* at) { return *static_cast<double*>(at) == 0; };
    const sliced::Estimate e = sliced::wasserstein<float>({cloud, cloud, {}, {}, {&one, 1, d, 0, 0}, 2},
                                                          {&cost, {&gradient, n, d, 0, 0}, {}, {}, {}},
                                                          {.threads = 1, .poll = cost_is_there, .context = &cost});
    CHECK(cost == 0);
    CHECK(e.done == 0, e.done);
}

}  // namespace

int main() {
    any_number_of_threads<float>();
    any_number_of_threads<double>();
    any_strides<float>();
    any_strides<double>();
    gradients_accumulate();
    stop_between_directions();
    stop_inside_a_sort();
    stop_inside_the_gradient();
    return report();
}
