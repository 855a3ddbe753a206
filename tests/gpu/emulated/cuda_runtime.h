// As much of the CUDA runtime as cuda/src uses, on the host. A kernel's blocks run one after the other; the threads of
// a block are fibers, resumed between barriers in random order. Memory comes poisoned.
#pragma once

#include <ucontext.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <random>
#include <vector>

#define __global__
#define __device__
#define __host__
#define __shared__ static
#define __launch_bounds__(...)

struct dim3 {
    unsigned x, y, z;
    constexpr dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};
inline dim3 threadIdx, blockIdx, blockDim, gridDim;

namespace emulated {

inline int multiprocessors = 2;
inline std::size_t free_memory = std::size_t{8} << 30;

struct Fiber {
    ucontext_t context;
    std::unique_ptr<char[]> stack;
    bool done;
};
inline std::vector<Fiber> fibers;
inline ucontext_t scheduler;
inline Fiber* current;
inline const std::function<void()>* body;
inline std::mt19937 dice{12345};
inline int votes, verdict;  // of the barrier that threads wait at, and of the last one

inline void enter() {
    (*body)();
    current->done = true;
    swapcontext(&current->context, &scheduler);
}

inline void prepare(Fiber& f) {
    constexpr std::size_t stack_bytes = 1 << 16;
    if (!f.stack) f.stack = std::make_unique<char[]>(stack_bytes);
    getcontext(&f.context);
    f.context.uc_stack.ss_sp = f.stack.get();
    f.context.uc_stack.ss_size = stack_bytes;
    f.context.uc_link = nullptr;
    makecontext(&f.context, enter, 0);
    f.done = false;
}

// Runs every thread up to its next barrier; returns how many wait there.
inline unsigned run_phase(const std::vector<unsigned>& order) {
    unsigned waiting = 0;
    for (const unsigned t : order) {
        if (fibers[t].done) continue;
        threadIdx = dim3(t, 0, 0);
        current = &fibers[t];
        swapcontext(&scheduler, &current->context);
        waiting += !current->done;
    }
    verdict = votes;
    votes = 0;
    return waiting;
}

inline void run_block(unsigned threads, const std::function<void()>& kernel) {
    if (fibers.size() < threads) fibers.resize(threads);
    body = &kernel;
    std::vector<unsigned> order(threads);
    for (unsigned t = 0; t < threads; ++t) order[t] = t, prepare(fibers[t]);
    for (unsigned alive = threads; alive > 0;) {
        std::shuffle(order.begin(), order.end(), dice);
        const unsigned waiting = run_phase(order);
        if (waiting != 0 && waiting != alive) {
            std::fprintf(stderr, "%u of %u threads wait at a barrier, the others have ended\n", waiting, alive);
            std::abort();
        }
        alive = waiting;
    }
}

}  // namespace emulated

inline void __syncthreads() { swapcontext(&emulated::current->context, &emulated::scheduler); }

inline int __syncthreads_or(int vote) {
    emulated::votes |= vote;
    __syncthreads();
    return emulated::verdict;
}

namespace emulated {

// c += a b of a warp on its tensor cores, with the fragments of mma.m16n8k16 in float64. All threads of the block call
// it; two sets of fragments, since one may be a call ahead of another.
inline void mma_16x8x16(double* c, const double* a, const double* b) {
    struct Fragments {
        double a[1024][8], b[1024][4];
    };
    static Fragments sets[2];
    static unsigned calls[1024];
    const unsigned me = threadIdx.x, warp = me / 32 * 32, lane = me % 32;
    Fragments& f = sets[calls[me]++ % 2];
    std::copy(a, a + 8, f.a[me]);
    std::copy(b, b + 4, f.b[me]);
    __syncthreads();
    for (unsigned n = 0; n < 4; ++n) {
        const unsigned row = lane / 4 + n / 2 * 8, column = lane % 4 * 2 + n % 2;
        for (unsigned k = 0; k < 16; ++k)
            c[n] += f.a[warp + row % 8 * 4 + k % 4][row / 8 + k / 4 * 2] * f.b[warp + column * 4 + k % 4][k / 4];
    }
}

}  // namespace emulated

using cudaStream_t = struct EmulatedStream*;
enum cudaError_t { cudaSuccess = 0, cudaErrorMemoryAllocation = 2, cudaErrorInvalidConfiguration = 9 };
enum cudaMemcpyKind { cudaMemcpyHostToDevice, cudaMemcpyDeviceToHost };
enum cudaDeviceAttr { cudaDevAttrMultiProcessorCount };
struct cudaDeviceProp {
    char name[256];
};
struct cudaLaunchConfig_t {
    dim3 gridDim, blockDim;
    std::size_t dynamicSmemBytes = 0;
    cudaStream_t stream = nullptr;
};

inline const char* cudaGetErrorString(cudaError_t e) {
    return e == cudaErrorMemoryAllocation       ? "out of memory"
           : e == cudaErrorInvalidConfiguration ? "invalid configuration argument"
                                                : "no error";
}
inline cudaError_t cudaGetLastError() { return cudaSuccess; }
inline cudaError_t cudaGetDeviceCount(int* count) { return *count = 1, cudaSuccess; }
inline cudaError_t cudaGetDevice(int* device) { return *device = 0, cudaSuccess; }
inline cudaError_t cudaSetDevice(int) { return cudaSuccess; }
inline cudaError_t cudaStreamSynchronize(cudaStream_t) { return cudaSuccess; }
inline cudaError_t cudaGetDeviceProperties(cudaDeviceProp* p, int) {
    std::strcpy(p->name, "emulated on the host");
    return cudaSuccess;
}
inline cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr, int) {
    return *value = emulated::multiprocessors, cudaSuccess;
}
inline cudaError_t cudaMemGetInfo(std::size_t* free, std::size_t* total) {
    return *free = *total = emulated::free_memory, cudaSuccess;
}
inline cudaError_t cudaMalloc(void** p, std::size_t bytes) {
    *p = std::malloc(bytes);
    if (!*p) return cudaErrorMemoryAllocation;
    std::memset(*p, 0xCB, bytes);
    return cudaSuccess;
}
inline cudaError_t cudaFree(void* p) { return std::free(p), cudaSuccess; }
inline cudaError_t cudaMallocAsync(void** p, std::size_t bytes, cudaStream_t) { return cudaMalloc(p, bytes); }
inline cudaError_t cudaFreeAsync(void* p, cudaStream_t) { return cudaFree(p); }
inline cudaError_t cudaMemcpy(void* to, const void* from, std::size_t bytes, cudaMemcpyKind) {
    return std::memcpy(to, from, bytes), cudaSuccess;
}
inline cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind, cudaStream_t) {
    return cudaMemcpy(to, from, bytes, kind);
}
inline cudaError_t cudaMemsetAsync(void* p, int value, std::size_t bytes, cudaStream_t) {
    return std::memset(p, value, bytes), cudaSuccess;
}

template <class... Wanted, class... Given>
cudaError_t cudaLaunchKernelEx(const cudaLaunchConfig_t* config, void (*kernel)(Wanted...), Given&&... given) {
    const dim3 grid = config->gridDim, block = config->blockDim;
    if (!grid.x || !grid.y || grid.y > 65535 || !block.x || block.x > 1024) return cudaErrorInvalidConfiguration;
    const std::function<void()> run = [&] { kernel(static_cast<Wanted>(given)...); };
    gridDim = grid;
    blockDim = block;
    for (unsigned y = 0; y < grid.y; ++y)
        for (unsigned x = 0; x < grid.x; ++x) {
            blockIdx = dim3(x, y, 0);
            emulated::run_block(block.x, run);
        }
    return cudaSuccess;
}

inline unsigned long long atomicMin(unsigned long long* p, unsigned long long value) {
    const unsigned long long before = *p;
    *p = std::min(before, value);
    return before;
}
inline unsigned long long atomicAdd(unsigned long long* p, unsigned long long value) {
    const unsigned long long before = *p;
    *p += value;
    return before;
}

template <class To, class From>
To emulated_bits(From from) {
    static_assert(sizeof(To) == sizeof(From));
    To to;
    std::memcpy(&to, &from, sizeof to);
    return to;
}
inline float __int_as_float(int v) { return emulated_bits<float>(v); }
inline double __longlong_as_double(long long v) { return emulated_bits<double>(v); }
inline long long __double_as_longlong(double v) { return emulated_bits<long long>(v); }
using std::max;
using std::min;
