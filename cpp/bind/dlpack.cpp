// deblai._dlpack: any DLPack or buffer object as a capsule around deblai::View, without a copy.
// nanobind knows arrays, pybind11 knows kernels; only the plain struct passes between them.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <memory>

#include "deblai/view.hpp"

namespace nb = nanobind;
using deblai::View;

namespace {

deblai::DType dtype(nb::dlpack::dtype t) {
    if (t.lanes == 1 && t.code == static_cast<std::uint8_t>(nb::dlpack::dtype_code::Float)) {
        if (t.bits == 32) return deblai::DType::float32;
        if (t.bits == 64) return deblai::DType::float64;
    }
    if (t.lanes == 1 && t.code == static_cast<std::uint8_t>(nb::dlpack::dtype_code::Int)) {
        if (t.bits == 32) return deblai::DType::int32;
        if (t.bits == 64) return deblai::DType::int64;
    }
    return deblai::DType::other;
}

template <class Array>
nb::capsule wrap(nb::handle object, bool writable) {
    auto array = std::make_unique<Array>(nb::cast<Array>(object));
    if (array->ndim() > View::max_dims) throw nb::value_error("at most 4 dimensions");
    auto view = std::make_unique<View>();
    view->data = const_cast<void*>(static_cast<const void*>(array->data()));
    view->ndim = static_cast<std::int32_t>(array->ndim());
    for (std::size_t k = 0; k < array->ndim(); ++k) {
        view->shape[k] = static_cast<std::int64_t>(array->shape(k));
        view->strides[k] = array->stride(k);
    }
    view->dtype = dtype(array->dtype());
    // Managed and pinned memory count as the processor that the producer says they live on.
    view->device = array->device_type() == nb::device::cpu::value ? deblai::Device::cpu : deblai::Device::cuda;
    if (array->device_type() != nb::device::cpu::value && array->device_type() != nb::device::cuda::value)
        throw nb::type_error("expected an array in CPU or CUDA memory");
    view->device_id = array->device_id();
    view->writable = writable;
    view->owner = array.release();
    view->release = [](void* owner) { delete static_cast<Array*>(owner); };
    return nb::capsule(view.release(), View::capsule_name, [](void* p) noexcept {
        auto* const v = static_cast<View*>(p);
        v->release(v->owner);
        delete v;
    });
}

}  // namespace

NB_MODULE(_dlpack, m) {
    m.doc() = "Array exchange of deblai.";
    m.def(
        "view",
        [](nb::handle array, bool writable) {
            return writable ? wrap<nb::ndarray<>>(array, true) : wrap<nb::ndarray<nb::ro>>(array, false);
        },
        nb::arg("array"), nb::arg("writable") = false,
        "A capsule around a strided view of a DLPack or buffer object; it keeps the array alive.");
}
