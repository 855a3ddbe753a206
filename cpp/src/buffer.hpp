// Workspace of one call: aligned, uninitialised, on huge pages where the system offers them (a fresh
// 4 KiB page costs more than sorting the keys that fit in it).
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <new>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace deblai {

struct FreeBuffer {
    std::align_val_t alignment;
    void operator()(std::byte* p) const { ::operator delete[](p, alignment); }
};
using Buffer = std::unique_ptr<std::byte[], FreeBuffer>;

inline Buffer allocate(std::size_t bytes) {
    constexpr std::size_t huge = std::size_t{2} << 20;
    const bool large = bytes >= 2 * huge;
    const std::align_val_t alignment{large ? huge : 64};
    Buffer buffer(static_cast<std::byte*>(::operator new[](std::max<std::size_t>(bytes, 64), alignment)),
                  FreeBuffer{alignment});
#if defined(__linux__)
    if (large) madvise(buffer.get(), bytes / huge * huge, MADV_HUGEPAGE);
#endif
    return buffer;
}

}  // namespace deblai
