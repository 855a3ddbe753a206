// As much of CUB and Thrust as cuda/src uses, on the host. Like CUB's, block-wide operations end without a barrier.
#pragma once

#include <cuda_runtime.h>

#include <numeric>

namespace cub {

struct NullType {};

template <class V, int threads>
class BlockReduce {
public:
    struct TempStorage {
        V value[threads];
    };
    explicit BlockReduce(TempStorage& s) : s_(s) {}

    V Sum(V value) {  // on thread 0 alone
        s_.value[threadIdx.x] = value;
        __syncthreads();
        return threadIdx.x == 0 ? std::accumulate(s_.value, s_.value + threads, V{0}) : value;
    }

private:
    TempStorage& s_;
};

template <class V, int threads>
class BlockScan {
public:
    struct TempStorage {
        V value[threads];
    };
    explicit BlockScan(TempStorage& s) : s_(s) {}

    void ExclusiveSum(V value, V& before, V& total) {
        s_.value[threadIdx.x] = value;
        __syncthreads();
        total = before = V{0};
        for (unsigned t = 0; t < threads; ++t) {
            if (t == threadIdx.x) before = total;
            total += s_.value[t];
        }
    }
    template <int items>
    void InclusiveSum(V (&in)[items], V (&out)[items], V& total) {
        V sum{0}, before;
        ExclusiveSum(std::accumulate(in, in + items, V{0}), before, total);
        for (int k = 0; k < items; ++k) out[k] = before + (sum += in[k]);
    }

private:
    TempStorage& s_;
};

// The order of radix sorts of floating-point keys: as numbers, by the bits where they are none; -0 equals +0.
template <class T>
auto radix_key(T value) {
    using Bits = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;
    constexpr Bits top = Bits{1} << (8 * sizeof(T) - 1);
    Bits bits = emulated_bits<Bits>(value);
    if (bits == top) bits = 0;
    return bits & top ? ~bits : bits | top;
}

template <class T>
std::vector<std::ptrdiff_t> radix_order(const T* key, std::ptrdiff_t count) {
    std::vector<std::ptrdiff_t> order(count);
    std::iota(order.begin(), order.end(), std::ptrdiff_t{0});
    std::stable_sort(order.begin(), order.end(), [&](auto i, auto j) { return radix_key(key[i]) < radix_key(key[j]); });
    return order;
}

template <class T, int threads, int items, class Value = NullType>
class BlockRadixSort {
public:
    struct TempStorage {
        T key[threads * items];
        Value value[threads * items];
        std::vector<std::ptrdiff_t> order;
    };
    explicit BlockRadixSort(TempStorage& s) : s_(s) {}

    void SortBlockedToStriped(T (&key)[items]) {
        std::copy(key, key + items, s_.key + threadIdx.x * items);
        __syncthreads();
        if (threadIdx.x == 0) s_.order = radix_order(s_.key, threads * items);
        __syncthreads();
        for (int k = 0; k < items; ++k) key[k] = s_.key[s_.order[k * threads + threadIdx.x]];
    }
    void SortBlockedToStriped(T (&key)[items], Value (&value)[items]) {
        std::copy(value, value + items, s_.value + threadIdx.x * items);
        SortBlockedToStriped(key);
        for (int k = 0; k < items; ++k) value[k] = s_.value[s_.order[k * threads + threadIdx.x]];
    }

private:
    TempStorage& s_;
};

template <class T>
struct DoubleBuffer {
    T* half[2];
    int selector = 0;
    DoubleBuffer(T* current, T* alternate) : half{current, alternate} {}
};

template <class T>
void sort_range(const T* from, T* to, const std::uint32_t* value, std::uint32_t* sorted, std::ptrdiff_t count) {
    const auto order = radix_order(from, count);
    for (std::ptrdiff_t k = 0; k < count; ++k) {
        to[k] = from[order[k]];
        if (value) sorted[k] = value[order[k]];
    }
}

// Asked for the size when `temporary` is null, as CUB is; true if there is nothing to do but that.
inline bool sized(void* temporary, std::size_t& bytes, std::size_t wanted) {
    if (temporary && bytes < wanted) throw std::bad_alloc();
    if (!temporary) bytes = wanted;
    return !temporary;
}

struct DeviceRadixSort {
    template <class T>
    static cudaError_t SortPairs(void* temporary, std::size_t& bytes, const T* from, T* to, const std::uint32_t* value,
                                 std::uint32_t* sorted, std::int64_t count, int, int, cudaStream_t) {
        if (!sized(temporary, bytes, 1000)) sort_range(from, to, value, sorted, count);
        return cudaSuccess;
    }
    template <class T>
    static cudaError_t SortKeys(void* temporary, std::size_t& bytes, const T* from, T* to, std::int64_t count, int b,
                                int e, cudaStream_t stream) {
        return SortPairs<T>(temporary, bytes, from, to, nullptr, nullptr, count, b, e, stream);
    }
};

struct DeviceSegmentedRadixSort {
    template <class T, class Begin, class End>
    static cudaError_t SortPairs(void* temporary, std::size_t& bytes, DoubleBuffer<T>& key,
                                 DoubleBuffer<std::uint32_t>& value, int, int segments, Begin begin, End end, int, int,
                                 cudaStream_t) {
        if (sized(temporary, bytes, 1)) return cudaSuccess;
        const int from = key.selector, to = 1 - from;
        for (int s = 0; s < segments; ++s) {
            const int at = begin[s];
            const bool pairs = value.half[0];
            sort_range(key.half[from] + at, key.half[to] + at, pairs ? value.half[from] + at : nullptr,
                       pairs ? value.half[to] + at : nullptr, end[s] - at);
        }
        key.selector = value.selector = to;
        return cudaSuccess;
    }
    template <class T, class Begin, class End>
    static cudaError_t SortKeys(void* temporary, std::size_t& bytes, DoubleBuffer<T>& key, int size, int segments,
                                Begin begin, End end, int b, int e, cudaStream_t stream) {
        DoubleBuffer<std::uint32_t> none(nullptr, nullptr);
        return SortPairs(temporary, bytes, key, none, size, segments, begin, end, b, e, stream);
    }
};

}  // namespace cub

namespace thrust {

template <class Index>
Index make_counting_iterator(Index first) {
    return first;
}

template <class Index, class F>
auto make_transform_iterator(Index first, F f) {
    struct Iterator {
        Index first;
        F f;
        auto operator[](std::ptrdiff_t k) const { return f(first + k); }
    };
    return Iterator{first, f};
}

}  // namespace thrust
