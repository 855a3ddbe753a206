// Radix sort of floating-point rows, least significant digit first, with one scratch row.
//   keys:  sort_values(row, scratch, n) sorts the values alone
//   pairs: sort_pairs(row, a, b, n) sorts (value, index); returned as two arrays
// A float's bits, with the sign flipped (negative: all bits), order as an unsigned integer does.
// Digits that are equal in all keys are skipped. -0 sorts before +0; NaN must not occur.
#pragma once

#include "deblai/stop.hpp"
#include "vec-inl.hpp"

namespace deblai::DEBLAI_LEVEL {
namespace {

template <class T>
struct KeyOf;
template <>
struct KeyOf<float> {
    typedef std::uint32_t type __attribute__((may_alias));
    typedef std::int32_t signed_type;
    typedef std::uint64_t pair __attribute__((may_alias));
};
template <>
struct KeyOf<double> {
    typedef std::uint64_t type __attribute__((may_alias));
    typedef std::int64_t signed_type;
    struct __attribute__((may_alias)) pair {
        std::uint64_t value;
        std::uint64_t index;
    };
};
template <class T>
using Key = typename KeyOf<T>::type;
template <class T>
using Pair = typename KeyOf<T>::pair;

template <class T>
DEBLAI_HD Key<T> to_key(Key<T> bits) {
    constexpr int top = 8 * sizeof(T) - 1;
    using S = typename KeyOf<T>::signed_type;
    return bits ^ (static_cast<Key<T>>(static_cast<S>(bits) >> top) | (Key<T>{1} << top));
}

template <class T>
DEBLAI_HD Key<T> from_key(Key<T> key) {
    constexpr int top = 8 * sizeof(T) - 1;
    return key ^ (((key >> top) - 1) | (Key<T>{1} << top));
}

DEBLAI_HD std::uint32_t key_of(std::uint32_t k) { return k; }
DEBLAI_HD std::uint64_t key_of(std::uint64_t k) { return k; }
DEBLAI_HD std::uint64_t key_of(const Pair<double>& e) { return e.value; }
// A packed float pair is one word whose upper half is the key; the lower half is never counted as a digit.
template <class T, class E>
inline constexpr int low_bit = (sizeof(T) == 4 && sizeof(E) == 8) ? 32 : 0;

template <class E>
void insertion_sort(E* e, index_t n) {
    for (index_t i = 1; i < n; ++i) {
        const E x = e[i];
        index_t j = i;
        for (; j > 0 && key_of(e[j - 1]) > key_of(x); --j) e[j] = e[j - 1];
        e[j] = x;
    }
}

// Sorts `from` with the help of `to`; returns whichever of the two holds the result, null after a stop.
template <class T, int digit_bits, class E>
E* radix_passes(E* from, E* to, index_t n, const Stop& stop, int worker) {
    constexpr int key_bits = 8 * sizeof(T), low = low_bit<T, E>;
    constexpr int passes = (key_bits + digit_bits - 1) / digit_bits;
    constexpr std::uint32_t size = 1u << digit_bits, mask = size - 1;
    std::uint32_t counts[passes][size];
    std::memset(counts, 0, sizeof counts);
    for (index_t i = 0; i < n; ++i) {
        const auto k = key_of(from[i]) >> low;
#pragma GCC unroll 8
        for (int pass = 0; pass < passes; ++pass) ++counts[pass][(k >> (pass * digit_bits)) & mask];
    }
    for (int pass = 0; pass < passes; ++pass) {
        std::uint32_t* const at = counts[pass];
        const int shift = low + pass * digit_bits;
        if (at[(key_of(from[0]) >> shift) & mask] == n) continue;
        if (stop.requested(worker)) return nullptr;
        std::uint32_t total = 0;
        for (std::uint32_t digit = 0; digit < size; ++digit) {
            const std::uint32_t c = at[digit];
            at[digit] = total;
            total += c;
        }
        for (index_t i = 0; i < n; ++i) {
            const E e = from[i];
            to[at[(key_of(e) >> shift) & mask]++] = e;
        }
        E* const swap = from;
        from = to;
        to = swap;
    }
    return from;
}

template <class T, class E>
E* sort_elements(E* from, E* to, index_t n, const Stop& stop, int worker) {
    if (n <= 48) {
        insertion_sort(from, n);
        return from;
    }
    return n < 1500 ? radix_passes<T, 8>(from, to, n, stop, worker) : radix_passes<T, 11>(from, to, n, stop, worker);
}

template <class T>
T* sort_values(T* row, T* scratch, index_t n, const Stop& stop, int worker) {
    auto* const keys = reinterpret_cast<Key<T>*>(row);
    for (index_t i = 0; i < n; ++i) keys[i] = to_key<T>(keys[i]);
    Key<T>* const sorted = sort_elements<T>(keys, reinterpret_cast<Key<T>*>(scratch), n, stop, worker);
    if (!sorted) return nullptr;
    for (index_t i = 0; i < n; ++i) sorted[i] = from_key<T>(sorted[i]);
    return reinterpret_cast<T*>(sorted);
}

template <class T>
struct Ranked {
    T* value;
    std::uint32_t* index;
};

DEBLAI_HD void make_pair(std::uint64_t& e, std::uint32_t key, index_t i) { e = (std::uint64_t{key} << 32) | i; }
DEBLAI_HD void make_pair(Pair<double>& e, std::uint64_t key, index_t i) { e = {key, static_cast<std::uint64_t>(i)}; }
DEBLAI_HD std::uint32_t value_key(std::uint64_t e) { return static_cast<std::uint32_t>(e >> 32); }
DEBLAI_HD std::uint64_t value_key(const Pair<double>& e) { return e.value; }
DEBLAI_HD std::uint32_t index_of(std::uint64_t e) { return static_cast<std::uint32_t>(e); }
DEBLAI_HD std::uint32_t index_of(const Pair<double>& e) { return static_cast<std::uint32_t>(e.index); }

// Both work rows hold n pairs; the result lives in one of them.
template <class T>
Ranked<T> sort_pairs(const T* row, void* work_a, void* work_b, index_t n, const Stop& stop, int worker) {
    auto* const a = static_cast<Pair<T>*>(work_a);
    auto* const b = static_cast<Pair<T>*>(work_b);
    const auto* const keys = reinterpret_cast<const Key<T>*>(row);
    for (index_t i = 0; i < n; ++i) make_pair(a[i], to_key<T>(keys[i]), i);
    const Pair<T>* const sorted = sort_elements<T>(a, b, n, stop, worker);
    if (!sorted) return {nullptr, nullptr};
    void* const free = sorted == a ? work_b : work_a;
    auto* const value = static_cast<Key<T>*>(free);
    auto* const index = reinterpret_cast<std::uint32_t*>(value + n);
    for (index_t i = 0; i < n; ++i) {
        value[i] = from_key<T>(value_key(sorted[i]));
        index[i] = index_of(sorted[i]);
    }
    return {reinterpret_cast<T*>(value), index};
}

}  // namespace
}  // namespace deblai::DEBLAI_LEVEL
