// The Team: every task once, a barrier after each run, exceptions, stops, the serial threshold, fork().
#include "deblai/parallel.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <numeric>
#include <stdexcept>
#include <thread>
#include <vector>

#include "check.hpp"

namespace {

using namespace deblai;
using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr double large = 1e9;  // nanoseconds of work: never serial
constexpr int thread_counts[] = {1, 2, 3, 8};

void every_task_once() {
    for (const int threads : thread_counts)
        for (const index_t count : {0, 1, 2, 7, 1000, 20000}) {
            Team team({.threads = threads}, large);
            CHECK(team.size() == threads, team.size(), threads);
            std::vector<int> seen(count);  // plain: a task belongs to one thread alone
            std::atomic<bool> inside{true};
            team.run(count, [&](index_t task, int worker) {
                if (task < 0 || task >= count || worker < 0 || worker >= threads) inside = false;
                ++seen[task];
            });
            CHECK(inside);
            bool once = true;
            for (const int s : seen) once &= s == 1;
            CHECK(once, threads, count);
            CHECK(!team.stopped());
        }
}

// Each run reads what another thread wrote in the one before, without atomics.
void barrier() {
    constexpr index_t n = 500, rounds = 100;
    for (const int threads : thread_counts) {
        Team team({.threads = threads}, large);
        std::vector<index_t> even(n, 0), odd(n, 0);
        for (index_t round = 0; round < rounds; ++round) {
            const auto& from = round % 2 ? odd : even;
            auto& to = round % 2 ? even : odd;
            team.run(n, [&](index_t i, int) { to[i] = from[n - 1 - i] + 1; });
        }
        for (const index_t v : even) CHECK(v == rounds, threads, v);
    }
}

// However long the last task of another thread takes, the caller waits for it.
void waits_for_the_slowest() {
    Team team({.threads = 2}, large);
    bool finished = false;
    std::atomic<bool> other{false};
    team.run(2, [&](index_t, int worker) {
        if (worker == 0) {
            while (!other) std::this_thread::yield();
            return;
        }
        other = true;
        std::this_thread::sleep_for(180ms);
        finished = true;
    });
    CHECK(finished);
}

void exceptions() {
    for (const int threads : thread_counts) {
        Team team({.threads = threads}, large);
        CHECK_THROWS(team.run(1000,
                              [](index_t i, int) {
                                  if (i == 17) throw std::out_of_range("task 17");
                              }),
                     std::out_of_range, "task 17");
        // The Team is stopped: later tasks are skipped, nothing hangs, nothing is thrown twice.
        CHECK(team.stopped());
        std::atomic<int> ran{0};
        team.run(1000, [&](index_t, int) { ++ran; });
        CHECK(ran == 0, ran.load());
    }
    Team team({.threads = 3}, large);
    CHECK_THROWS(team.run(1000, [](index_t, int) { throw std::runtime_error("all"); }), std::runtime_error, "all");
}

struct Poller {
    int calls = 0, yes_from = 1;
    std::thread::id caller = std::this_thread::get_id();
    bool same_thread = true;
    Clock::time_point start = Clock::now();

    static bool poll(void* context) {
        Poller& self = *static_cast<Poller*>(context);
        self.same_thread &= std::this_thread::get_id() == self.caller;
        return ++self.calls >= self.yes_from;
    }

    bool seldom() const { return calls * 50ms <= Clock::now() - start; }
};

// poll is called by the calling thread only, at most every 50 ms, and true skips the remaining tasks.
void poll_stops() {
    for (const int threads : {1, 3}) {
        Poller poller{.yes_from = 2};
        Team team({.threads = threads, .poll = Poller::poll, .context = &poller}, large);
        std::atomic<int> ran{0};
        team.run(100000, [&](index_t, int) {
            std::this_thread::sleep_for(1ms);
            ++ran;
        });
        CHECK(team.stopped());
        CHECK(team.stop().requested(0));
        CHECK(poller.calls == 2, poller.calls);
        CHECK(poller.same_thread);
        CHECK(poller.seldom());
        CHECK(ran > 0 && ran < 100000, ran.load());
        const int before = ran;
        team.run(10, [&](index_t, int) { ++ran; });
        CHECK(ran == before);
    }
}

// While the calling thread waits at the barrier it polls, so that a long task of another can stop.
void poll_at_the_barrier() {
    Poller poller;
    Team team({.threads = 2, .poll = Poller::poll, .context = &poller}, large);
    std::atomic<bool> other{false};
    team.run(2, [&](index_t, int worker) {
        if (worker == 0) {
            while (!other) std::this_thread::yield();
            return;
        }
        other = true;
        while (!team.stop().requested(worker)) std::this_thread::sleep_for(1ms);
    });
    CHECK(other);
    CHECK(team.stopped());
}

void polled_without_a_stop() {
    Poller poller{.yes_from = 1000000};
    Team team({.threads = 2, .poll = Poller::poll, .context = &poller}, large);
    team.run(100, [](index_t, int) { std::this_thread::sleep_for(5ms); });
    CHECK(!team.stopped());
    CHECK(poller.calls > 0 && poller.seldom(), poller.calls);
}

void serial_below_the_threshold() {
    Team small({.threads = 8}, 1e3), big({.threads = 8}, 1e8), automatic({}, 1e8);
    CHECK(small.size() == 1);
    CHECK(big.size() == 8);
    CHECK(automatic.size() == hardware_threads());
    const auto caller = std::this_thread::get_id();
    small.run(100, [&](index_t, int worker) { CHECK(worker == 0 && std::this_thread::get_id() == caller); });
}

index_t parallel_sum(index_t n) {
    Team team({.threads = 4}, large);
    std::vector<index_t> parts(n);
    team.run(n, [&](index_t i, int) { parts[i] = i; });
    return std::accumulate(parts.begin(), parts.end(), index_t{0});
}

// No thread outlives a call, so a child of fork() starts its own (a pool would hang here).
void fork_after_use() {
    CHECK(parallel_sum(1000) == 499500);
    const pid_t child = fork();
    if (child == 0) {
        alarm(30);
        _exit(parallel_sum(1000) == 499500 ? 0 : 1);
    }
    int status = -1;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0, status);
    CHECK(parallel_sum(1000) == 499500);
}

}  // namespace

int main() {
    every_task_once();
    barrier();
    waits_for_the_slowest();
    exceptions();
    poll_stops();
    poll_at_the_barrier();
    polled_without_a_stop();
    serial_below_the_threshold();
    fork_after_use();
    return test::report();
}
