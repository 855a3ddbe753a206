// Threads that live for one call. Work is cut into tasks whose boundaries never depend on the number
// of threads, so results are equal to the bit for any number; nothing survives the call, so nothing
// breaks after fork(). The calling thread works too, and polls for interrupts between pieces of work.
#pragma once

#include <cstdint>
#include <memory>

#include "deblai/hd.hpp"
#include "deblai/stop.hpp"

namespace deblai {

// How one call runs. `poll` is called by the calling thread at most every 50 ms; true asks to stop.
struct Control {
    int threads = 0;             // 0: as many as the machine has
    const char* simd = nullptr;  // nullptr: DEBLAI_SIMD, else the best this CPU has
    bool (*poll)(void*) = nullptr;
    void* context = nullptr;
};

class Team {
public:
    // `work` is an estimate of the whole call in nanoseconds of one thread: small calls run serially.
    Team(const Control& control, double work);
    ~Team();
    Team(const Team&) = delete;
    Team& operator=(const Team&) = delete;

    int size() const;
    const Stop& stop() const;
    bool stopped() const;

    // Calls f(task, worker) for every task in [0, count); returns when all are done (a barrier).
    // After a stop the remaining tasks are skipped. An exception in a task is rethrown here.
    // A step estimated at less nanoseconds than threads take to wake runs on the calling thread alone.
    template <class F>
    void run(index_t count, const F& f, double ns = 1e9) {
        run(count, [](const void* g, index_t task, int worker) { (*static_cast<const F*>(g))(task, worker); }, &f, ns);
    }

private:
    using Call = void (*)(const void*, index_t, int);
    void run(index_t count, Call call, const void* f, double ns);

    struct Shared;
    std::unique_ptr<Shared> shared_;
};

// Threads that a call with Control{.threads = 0} uses.
int hardware_threads();

}  // namespace deblai
