// Strided views. `View` is the untyped plain struct that crosses module borders in a capsule;
// `Vector` and `Matrix` are what kernels see. Strides count elements, not bytes.
#pragma once

#include <cstdint>
#include <type_traits>

#include "deblai/hd.hpp"

namespace deblai {

enum class DType : std::int32_t { other = 0, float32 = 1, float64 = 2, int32 = 3, int64 = 4 };
enum class Device : std::int32_t { cpu = 1, cuda = 2 };  // DLPack's numbers

struct View {
    static constexpr int max_dims = 4;
    // The capsule's name carries the version: a module built for another layout refuses it.
    static constexpr const char* capsule_name = "deblai.View/1";

    void* data;
    std::int64_t shape[max_dims];
    std::int64_t strides[max_dims];
    std::int32_t ndim;
    DType dtype;
    Device device;
    std::int32_t device_id;
    std::int32_t writable;
    std::int32_t reserved;
    void* owner;  // what keeps `data` alive; released with the GIL held
    void (*release)(void*);
};
static_assert(std::is_standard_layout_v<View> && std::is_trivially_copyable_v<View>);
static_assert(sizeof(void*) == 8 && sizeof(View) == 8 + 2 * 8 * View::max_dims + 6 * 4 + 2 * 8);

template <class T>
struct Vector {
    T* data = nullptr;
    index_t size = 0;
    index_t stride = 1;

    DEBLAI_HD T& operator()(index_t i) const { return data[i * stride]; }
    explicit DEBLAI_HD operator bool() const { return data != nullptr; }
};

template <class T>
struct Matrix {
    T* data = nullptr;
    index_t rows = 0;
    index_t cols = 0;
    index_t row_stride = 0;
    index_t col_stride = 1;

    DEBLAI_HD T& operator()(index_t i, index_t k) const { return data[i * row_stride + k * col_stride]; }
    explicit DEBLAI_HD operator bool() const { return data != nullptr; }
};

// An array of three axes.
template <class T>
struct Volume {
    T* data = nullptr;
    index_t size[3] = {};
    index_t stride[3] = {};

    DEBLAI_HD T& operator()(index_t i, index_t j, index_t k) const {
        return data[i * stride[0] + j * stride[1] + k * stride[2]];
    }
    explicit DEBLAI_HD operator bool() const { return data != nullptr; }
};

}  // namespace deblai
