// Same bits for any number of threads; a stop, a report that ends the call, and an error each leave the potentials of
// the last full sweep.
#include <chrono>
#include <cstring>

#include "deblai/error.hpp"
#include "multimarginal_support.hpp"

namespace {

using namespace deblai;
using namespace deblai::test;

template <class V>
bool same_bits(const std::vector<V>& a, const std::vector<V>& b) {
    return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(V)) == 0);
}

template <class T>
bool same_bits(const Run<T>& a, const Run<T>& b) {
    return same_bits(a.potentials, b.potentials) && same_bits(a.errors, b.errors) && same_bits(a.values, b.values) &&
           a.done.sweeps == b.done.sweeps && a.done.converged == b.done.converged;
}

template <class T>
bool same_bits(const Evaluated<T>& a, const Evaluated<T>& b) {
    bool same = a.plans.size() == b.plans.size() && a.gradients.size() == b.gradients.size();
    for (std::size_t k = 0; same && k < a.plans.size(); ++k) same = same_bits(a.plans[k], b.plans[k]);
    for (std::size_t k = 0; same && k < a.gradients.size(); ++k) same = same_bits(a.gradients[k], b.gradients[k]);
    return same && a.summary.value == b.summary.value && a.summary.value_linear == b.summary.value_linear &&
           a.summary.mass == b.summary.mass && a.summary.marginal_error == b.summary.marginal_error;
}

// Enough work a step for threads to start, several blocks of rows, chunks of fixed points, rows summed exactly.
template <class T>
void any_number_of_threads() {
    const index_t large = sized(500, 220), middle = sized(70, 40), small = sized(18, 12);
    const std::vector<Case<T>> cases = {
        random_case<T>({large, large + 37}, 2, 0.1, 0, {}, {.zeros = true, .infinite = true}, 1),
        random_case<T>({large}, 2, 0.1, 3, coulomb, {}, 2),
        random_case<T>({middle, middle + 30, middle + 7}, 3, 0.1, 2, harmonic, {}, 3),
        random_case<T>({middle}, 3, 0.004, 3, coulomb, {.zeros = true}, 4),
        random_case<T>({small, small + 9, small - 3, small + 4}, 4, 0.1, 0, {}, {.zeros = true, .infinite = true}, 5),
        random_case<T>({small}, 4, 0.003, 3, coulomb, {}, 6),
        random_case<T>({sized(11, 7)}, 5, 0.1, 0, {}, {.weighted = false, .infinite = true}, 7),
    };
    for (const Case<T>& c : cases)
        for (const char* level : sanitized ? std::vector<const char*>{nullptr} : levels()) {
            const Run<T> one = sweep(c, {-1, 5, 3}, {.threads = 1, .simd = level});
            const Evaluated<T> plans = evaluate(c, one.potentials, {.threads = 1, .simd = level});
            CHECK(one.done.sweeps == 5 && plans.summary.finished);
            for (const int threads : {2, 3, 8}) {
                const char* const name = level ? level : "best";
                CHECK(same_bits(one, sweep(c, {-1, 5, 3}, {.threads = threads, .simd = level})), name, threads,
                      c.n_marginals, c.sizes[0]);
                CHECK(same_bits(plans, evaluate(c, one.potentials, {.threads = threads, .simd = level})), name, threads,
                      c.n_marginals, c.sizes[0]);
            }
        }
}

// What a run of some sweeps leaves is what a run of exactly so many leaves.
template <class T>
void is_the_last_full_sweep(const Case<T>& c, const Run<T>& stopped, const mm::Schedule& schedule) {
    std::vector<double> start(c.length(), 0.0);
    if (stopped.done.sweeps == 0) {
        CHECK(same_bits(stopped.potentials, start));
        return;
    }
    mm::Schedule short_one = schedule;
    short_one.max_iter = stopped.done.sweeps;
    short_one.report = nullptr;
    const Run<T> whole = sweep(c, short_one);
    CHECK(same_bits(stopped.potentials, whole.potentials), stopped.done.sweeps);
    bool as_said = true;
    for (index_t k = 0; k < schedule.max_iter; ++k)
        as_said &= k < stopped.done.sweeps ? stopped.errors[k] == whole.errors[k] : std::isnan(stopped.errors[k]);
    CHECK(as_said, stopped.done.sweeps);
}

struct Countdown {
    int calls;
    static bool poll(void* context) { return --static_cast<Countdown*>(context)->calls <= 0; }
};

template <class T>
void stop_between_sweeps() {
    const std::vector<Case<T>> cases = {
        random_case<T>({sized(120, 60), 130, 110}, 3, 0.05, 0, {}, {}, 1),
        random_case<T>({sized(160, 70)}, 3, 0.05, 3, coulomb, {}, 2),
        random_case<T>({sized(900, 300), 800}, 2, 0.05, 3, harmonic, {}, 3),
    };
    for (const Case<T>& c : cases)
        for (const auto& [memory, threads] : {std::pair{0, 2}, {5, 1}}) {
            const mm::Schedule schedule{-1, 100000, memory};
            Countdown countdown{1};
            const auto start = std::chrono::steady_clock::now();
            const Run<T> r = sweep(c, schedule, {.threads = threads, .poll = Countdown::poll, .context = &countdown});
            const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
            CHECK(r.done.sweeps < schedule.max_iter && !r.done.converged, r.done.sweeps);
            CHECK(seconds.count() < sized(3.0, 30.0), seconds.count());
            is_the_last_full_sweep(c, r, schedule);
        }
}

// One sweep that takes far longer than the interval of polls.
void stop_inside_a_sweep() {
    const Case<float> c = random_case<float>({sized(110, 60)}, 5, 0.01, 3, coulomb, {}, 1);
    Countdown countdown{1};
    const auto start = std::chrono::steady_clock::now();
    const Run<float> r = sweep(c, {-1, 1, 0}, {.threads = 1, .poll = Countdown::poll, .context = &countdown});
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    CHECK(r.done.sweeps == 0 && same_bits(r.potentials, std::vector<double>(c.length(), 0.0)), r.done.sweeps);
    CHECK(seconds.count() < sized(1.5, 30.0), seconds.count());
    countdown = {1};
    const Evaluated<float> e =
        evaluate(c, r.potentials, {.threads = 2, .poll = Countdown::poll, .context = &countdown});
    CHECK(!e.summary.finished);
}

struct Seen {
    index_t calls, last;
    bool end;
    static bool report(void* context, index_t sweeps) {
        auto& seen = *static_cast<Seen*>(context);
        ++seen.calls;
        CHECK(sweeps > seen.last, sweeps, seen.last);
        seen.last = sweeps;
        return seen.end;
    }
};

// Reports come about ten times a second, with sweeps that are written; true ends the call after that sweep.
void reports() {
    const Case<double> c = random_case<double>({sized(100, 50), 90, 95}, 3, 0.05, 0, {}, {}, 1);
    Seen seen{0, 0, true};
    mm::Schedule schedule{-1, 100000, 4, &Seen::report, &seen};
    const Run<double> r = sweep(c, schedule);
    CHECK(seen.calls == 1 && seen.last == r.done.sweeps, seen.calls, seen.last, r.done.sweeps);
    is_the_last_full_sweep(c, r, schedule);
    // Watching changes nothing.
    const index_t count = 3 * r.done.sweeps;
    Seen watching{0, 0, false};
    schedule = {-1, count, 4, &Seen::report, &watching};
    CHECK(same_bits(sweep(c, schedule), sweep(c, {-1, count, 4})));
}

// The acceleration never leaves the potentials of a leap that lowered the dual value, and ends where plain sweeps do.
template <class T>
void acceleration_is_safe() {
    for (const double epsilon : {0.5, 0.05}) {
        const double tol = sizeof(T) == 4 ? 2e-4 : 1e-8;
        const Case<T> c = random_case<T>({sized(30, 12)}, 3, epsilon, 3, coulomb, {}, 11);
        const Run<T> plain = sweep(c, {tol, 40000, 0}), fast = sweep(c, {tol, 40000, 8});
        CHECK(plain.done.converged && fast.done.converged, plain.done.sweeps, fast.done.sweeps, epsilon);
        CHECK(fast.done.sweeps <= plain.done.sweeps, plain.done.sweeps, fast.done.sweeps, epsilon);
        const double a = plain.values[plain.done.sweeps - 1], b = fast.values[fast.done.sweeps - 1];
        CHECK(std::abs(a - b) <= 20 * tol * (epsilon + std::abs(a)), a, b, epsilon);
        for (const index_t cut : {3, 7, 20, 50}) {
            if (cut >= fast.done.sweeps) continue;
            const Run<T> early = sweep(c, {-1, cut, 8});
            const double best = *std::max_element(early.values.begin(), early.values.end());
            const double left = evaluate(c, early.potentials).summary.value;
            CHECK(left >= best - epsilon - 1e-3 * std::abs(best), left, best, cut, epsilon);
        }
    }
}

}  // namespace

int main() {
    any_number_of_threads<float>();
    any_number_of_threads<double>();
    stop_between_sweeps<float>();
    stop_between_sweeps<double>();
    stop_inside_a_sweep();
    reports();
    acceleration_is_safe<float>();
    acceleration_is_safe<double>();
    return report();
}
