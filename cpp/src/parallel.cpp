#include "deblai/parallel.hpp"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

namespace deblai {
namespace {

using Clock = std::chrono::steady_clock;

constexpr auto poll_interval = std::chrono::milliseconds(50);
constexpr auto patience = std::chrono::microseconds(50);  // to wake a thread takes as long as many steps
constexpr double serial_below_ns = 2e5;                   // a call: about ten times the cost of starting a thread
constexpr double alone_below_ns = 2.5e4;                  // a step: what cache lines that change cores cost

void relax() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
}

// Whether `ready` came true within the patience of whoever has a core to spare.
template <class Ready>
bool soon(bool spare, const Ready& ready) {
    if (!spare) return ready();
    const auto end = Clock::now() + patience;
    do {
        for (int k = 0; k < 16; ++k) {
            if (ready()) return true;
            relax();
        }
    } while (Clock::now() < end);
    return false;
}

}  // namespace

int hardware_threads() {
    const unsigned n = std::thread::hardware_concurrency();
    return n ? static_cast<int>(n) : 1;
}

// A step begins where `generation` changes, and ends where no thread is busy. Threads look out for either for a while
// before they sleep; those who sleep say so first, and are woken.
struct Team::Shared final : Stop {
    struct alignas(64) Share {  // of the tasks; its owner begins with it, others help out
        std::atomic<index_t> next{0};
        index_t end = 0;
    };

    Control control;
    bool spare = true;
    std::vector<std::thread> threads;
    std::unique_ptr<Share[]> shares;
    std::mutex mutex;
    std::condition_variable started, finished;
    std::atomic<std::uint64_t> generation{0};
    std::atomic<int> busy{0}, asleep{0};
    std::atomic<bool> waiting{false}, closing{false};
    std::exception_ptr error;  // guarded by the mutex
    mutable std::atomic<bool> stop{false};
    mutable Clock::time_point last_poll = Clock::now();  // touched by the calling thread only

    // Written between steps.
    Call call = nullptr;
    const void* f = nullptr;

    int size() const { return static_cast<int>(threads.size()) + 1; }

    bool requested(int worker) const override {
        if (worker == 0 && control.poll && !stop.load(std::memory_order_relaxed)) {
            const auto now = Clock::now();
            if (now - last_poll >= poll_interval) {
                last_poll = now;
                if (control.poll(control.context)) stop.store(true, std::memory_order_relaxed);
            }
        }
        return stop.load(std::memory_order_relaxed);
    }

    void work(int worker) {
        try {
            for (int k = 0; k < size(); ++k) {
                Share& share = shares[(worker + k) % size()];
                for (;;) {
                    const index_t task = share.next.fetch_add(1, std::memory_order_relaxed);
                    if (task >= share.end) break;
                    if (requested(worker)) return;
                    call(f, task, worker);
                }
            }
        } catch (...) {
            const std::lock_guard lock(mutex);
            if (!error) error = std::current_exception();
            stop.store(true, std::memory_order_relaxed);
        }
    }

    void loop(int worker) {
        std::uint64_t seen = 0;
        const auto ready = [&] { return closing || generation != seen; };
        for (;;) {
            if (!soon(spare, ready)) {
                std::unique_lock lock(mutex);
                ++asleep;
                started.wait(lock, ready);
                --asleep;
            }
            if (closing) return;
            seen = generation;
            work(worker);
            if (--busy == 0 && waiting) {
                const std::lock_guard lock(mutex);
                finished.notify_one();
            }
        }
    }

    void begin() {
        busy = static_cast<int>(threads.size());
        ++generation;
        wake();
    }

    void wait() {
        const auto done = [&] { return busy == 0; };
        if (soon(spare, done)) return;
        std::unique_lock lock(mutex);
        waiting = true;
        while (!finished.wait_for(lock, poll_interval, done)) {
            lock.unlock();
            requested(0);
            lock.lock();
        }
        waiting = false;
    }

    void wake() {
        if (!asleep) return;
        const std::lock_guard lock(mutex);
        started.notify_all();
    }

    void close() {
        closing = true;
        wake();
        for (auto& thread : threads) thread.join();
    }
};

Team::Team(const Control& control, double work) : shared_(std::make_unique<Shared>()) {
    shared_->control = control;
    int size = control.threads > 0 ? control.threads : hardware_threads();
    if (work < serial_below_ns) size = 1;
    shared_->spare = size <= hardware_threads();
    shared_->shares = std::make_unique<Shared::Share[]>(size);
    shared_->threads.reserve(size - 1);
    try {
        for (int worker = 1; worker < size; ++worker)
            shared_->threads.emplace_back([s = shared_.get(), worker] { s->loop(worker); });
    } catch (...) {
        shared_->close();
        throw;
    }
}

Team::~Team() { shared_->close(); }

int Team::size() const { return shared_->size(); }

const Stop& Team::stop() const { return *shared_; }

bool Team::stopped() const { return shared_->stop.load(std::memory_order_relaxed); }

void Team::run(index_t count, Call call, const void* f, double ns) {
    Shared& s = *shared_;
    const bool alone = s.threads.empty() || count <= 1 || ns < alone_below_ns;
    const int sharers = alone ? 1 : s.size();
    for (int worker = 0; worker < s.size(); ++worker) {
        s.shares[worker].next.store(worker < sharers ? count * worker / sharers : 0, std::memory_order_relaxed);
        s.shares[worker].end = worker < sharers ? count * (worker + 1) / sharers : 0;
    }
    s.call = call;
    s.f = f;
    if (!alone) s.begin();
    s.work(0);
    if (!alone) s.wait();
    if (s.error) std::rethrow_exception(std::exchange(s.error, nullptr));
}

}  // namespace deblai
