// Counts what operator new is asked for: `live` bytes now, `peak` at the most. For one source of a program.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <new>

namespace {

std::atomic<std::size_t> live{0}, peak{0};

// The size and the start of a block are kept in the two words before it.
void* counted(std::size_t size, std::size_t alignment) {
    const std::size_t pad = std::max<std::size_t>(alignment, 64);
    char* const block = static_cast<char*>(std::aligned_alloc(pad, (size + 2 * pad - 1) / pad * pad));
    if (!block) throw std::bad_alloc();
    std::size_t* const p = reinterpret_cast<std::size_t*>(block + pad);
    p[-1] = size;
    p[-2] = pad;
    const std::size_t now = live += size;
    std::size_t most = peak;
    while (most < now && !peak.compare_exchange_weak(most, now)) {
    }
    return p;
}

void release(void* p) {
    if (!p) return;
    const std::size_t* const words = static_cast<std::size_t*>(p);
    live -= words[-1];
    std::free(static_cast<char*>(p) - words[-2]);
}

}  // namespace

void* operator new(std::size_t size) { return counted(size, 64); }
void* operator new[](std::size_t size) { return counted(size, 64); }
void* operator new(std::size_t size, std::align_val_t a) { return counted(size, static_cast<std::size_t>(a)); }
void* operator new[](std::size_t size, std::align_val_t a) { return counted(size, static_cast<std::size_t>(a)); }
// The sanitizers' own do not call the ones above.
void* operator new(std::size_t size, const std::nothrow_t&) noexcept { return counted(size, 64); }
void* operator new[](std::size_t size, const std::nothrow_t&) noexcept { return counted(size, 64); }
void operator delete(void* p) noexcept { release(p); }
void operator delete[](void* p) noexcept { release(p); }
void operator delete(void* p, std::size_t) noexcept { release(p); }
void operator delete[](void* p, std::size_t) noexcept { release(p); }
void operator delete(void* p, std::align_val_t) noexcept { release(p); }
void operator delete[](void* p, std::align_val_t) noexcept { release(p); }
void operator delete(void* p, std::size_t, std::align_val_t) noexcept { release(p); }
void operator delete[](void* p, std::size_t, std::align_val_t) noexcept { release(p); }
void operator delete(void* p, const std::nothrow_t&) noexcept { release(p); }
void operator delete[](void* p, const std::nothrow_t&) noexcept { release(p); }
