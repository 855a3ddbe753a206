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

constexpr auto poll_interval = std::chrono::milliseconds(50);
constexpr double serial_below_ns = 2e5;  // a call: about ten times the cost of starting a thread
constexpr double alone_below_ns = 4e4;   // a step: a few times the cost of waking one

}  // namespace

int hardware_threads() {
    const unsigned n = std::thread::hardware_concurrency();
    return n ? static_cast<int>(n) : 1;
}

struct Team::Shared final : Stop {
    using Clock = std::chrono::steady_clock;

    Control control;
    std::vector<std::thread> threads;
    std::mutex mutex;
    std::condition_variable started, finished;

    // Guarded by `mutex`, but for the atomics.
    std::uint64_t generation = 0;
    int busy = 0;
    bool closing = false;
    Call call = nullptr;
    const void* f = nullptr;
    index_t count = 0;
    std::exception_ptr error;
    std::atomic<index_t> next{0};
    mutable std::atomic<bool> stop{false};
    mutable Clock::time_point last_poll = Clock::now();  // touched by the calling thread only

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
            for (;;) {
                const index_t task = next.fetch_add(1, std::memory_order_relaxed);
                if (task >= count || requested(worker)) return;
                call(f, task, worker);
            }
        } catch (...) {
            const std::lock_guard lock(mutex);
            if (!error) error = std::current_exception();
            stop.store(true, std::memory_order_relaxed);
        }
    }

    void loop(int worker) {
        std::uint64_t seen = 0;
        std::unique_lock lock(mutex);
        for (;;) {
            started.wait(lock, [&] { return closing || generation != seen; });
            if (closing) return;
            seen = generation;
            lock.unlock();
            work(worker);
            lock.lock();
            if (--busy == 0) finished.notify_one();
        }
    }

    void close() {
        {
            const std::lock_guard lock(mutex);
            closing = true;
        }
        started.notify_all();
        for (auto& thread : threads) thread.join();
    }
};

Team::Team(const Control& control, double work) : shared_(std::make_unique<Shared>()) {
    shared_->control = control;
    int size = control.threads > 0 ? control.threads : hardware_threads();
    if (work < serial_below_ns) size = 1;
    try {
        for (int worker = 1; worker < size; ++worker)
            shared_->threads.emplace_back([s = shared_.get(), worker] { s->loop(worker); });
    } catch (...) {
        shared_->close();
        throw;
    }
}

Team::~Team() { shared_->close(); }

int Team::size() const { return static_cast<int>(shared_->threads.size()) + 1; }

const Stop& Team::stop() const { return *shared_; }

bool Team::stopped() const { return shared_->stop.load(std::memory_order_relaxed); }

void Team::run(index_t count, Call call, const void* f, double ns) {
    Shared& s = *shared_;
    const bool alone = s.threads.empty() || count <= 1 || ns < alone_below_ns;
    {
        const std::lock_guard lock(s.mutex);
        s.call = call;
        s.f = f;
        s.count = count;
        s.next.store(0, std::memory_order_relaxed);
        if (!alone) {
            s.busy = static_cast<int>(s.threads.size());
            ++s.generation;
        }
    }
    if (!alone) s.started.notify_all();
    s.work(0);
    if (!alone) {
        std::unique_lock lock(s.mutex);
        while (!s.finished.wait_for(lock, poll_interval, [&] { return s.busy == 0; })) {
            lock.unlock();
            s.requested(0);
            lock.lock();
        }
    }
    if (s.error) std::rethrow_exception(std::exchange(s.error, nullptr));
}

}  // namespace deblai
