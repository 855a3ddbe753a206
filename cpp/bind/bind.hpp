// What every binding file shares: capsules to typed views, and a poll hook that lets Ctrl-C in.
#pragma once

#include <pybind11/pybind11.h>

#include <optional>
#include <string>

#include "deblai/error.hpp"
#include "deblai/parallel.hpp"
#include "deblai/view.hpp"

namespace deblai::bind {

namespace py = pybind11;

// The view in a capsule made by deblai._dlpack.view; the capsule must outlive its use.
inline const View& unwrap(py::handle capsule, const char* what) {
    void* p = PyCapsule_CheckExact(capsule.ptr()) ? PyCapsule_GetPointer(capsule.ptr(), View::capsule_name) : nullptr;
    if (!p) {
        PyErr_Clear();
        throw InvalidType(std::string(what) + ": expected a view made by deblai._dlpack.view");
    }
    return *static_cast<const View*>(p);
}

template <class T>
constexpr DType dtype_of = DType::other;
template <>
constexpr DType dtype_of<float> = DType::float32;
template <>
constexpr DType dtype_of<double> = DType::float64;
template <>
constexpr DType dtype_of<std::int32_t> = DType::int32;
template <>
constexpr DType dtype_of<std::int64_t> = DType::int64;

template <class T>
const View& typed(py::handle capsule, int ndim, Device device, const char* what) {
    const View& v = unwrap(capsule, what);
    if (v.dtype != dtype_of<std::remove_const_t<T>> || v.ndim != ndim || v.device != device)
        throw InvalidType(std::string(what) + ": wrong dtype, rank or device");
    if (!std::is_const_v<T> && !v.writable) throw InvalidType(std::string(what) + ": not writable");
    return v;
}

template <class T>
Matrix<T> matrix(py::handle capsule, const char* what, Device device = Device::cpu) {
    if (capsule.is_none()) return {};
    const View& v = typed<T>(capsule, 2, device, what);
    return {static_cast<T*>(v.data), v.shape[0], v.shape[1], v.strides[0], v.strides[1]};
}

template <class T>
Volume<T> volume(py::handle capsule, const char* what, Device device = Device::cpu) {
    if (capsule.is_none()) return {};
    const View& v = typed<T>(capsule, 3, device, what);
    Volume<T> out{static_cast<T*>(v.data)};
    for (int a = 0; a < 3; ++a) out.size[a] = v.shape[a], out.stride[a] = v.strides[a];
    return out;
}

template <class T>
Vector<T> vector(py::handle capsule, const char* what, Device device = Device::cpu) {
    if (capsule.is_none()) return {};
    const View& v = typed<T>(capsule, 1, device, what);
    return {static_cast<T*>(v.data), v.shape[0], v.strides[0]};
}

// Outputs that are not wanted, or hold one number for each of n.
template <class T>
void require_size(const Vector<T>& v, index_t n, const char* what) {
    if (v && v.size != n) throw InvalidType(std::string(what) + ": expected " + std::to_string(n) + " numbers");
}

// Contiguous totals of the host: a mass, a sum and, where it is wanted, pull and stillness for each of k sites.
inline void require_totals(const Vector<double>& mass, const Matrix<double>& sum, const Matrix<double>& pull,
                           bool wanted, index_t k, index_t d) {
    if (wanted && (pull.rows != k || pull.cols != 2 || pull.col_stride != 1 || pull.row_stride != 2))
        throw InvalidType("pull: expected a contiguous float64 (k, 2)");
    if (mass.size != k || mass.stride != 1) throw InvalidType("mass: expected one contiguous float64 per site");
    if (sum.rows != k || sum.cols != d || sum.col_stride != 1 || sum.row_stride != d)
        throw InvalidType("sum: expected a contiguous float64 (k, d)");
}

// Calls f(float{}) or f(double{}) by the dtype of a view.
template <class F>
auto by_dtype(py::handle capsule, const char* what, F&& f) {
    const DType dtype = unwrap(capsule, what).dtype;
    if (dtype == DType::float32) return f(float{});
    if (dtype == DType::float64) return f(double{});
    throw InvalidType(std::string(what) + ": expected float32 or float64");
}

// Raises what waits to be raised in this thread; false if something did. Signals reach the main thread only; what
// PyThreadState_SetAsyncExc sends to another one comes up when that runs Python code, be it a number.
inline bool at_ease() {
    if (PyErr_CheckSignals() != 0) return false;
    PyObject* const code = Py_CompileString("0", "deblai", Py_eval_input);
    PyObject* const names = code ? PyDict_New() : nullptr;
    PyObject* const ran = names ? PyEval_EvalCode(code, names, names) : nullptr;
    for (PyObject* const p : {ran, names, code}) Py_XDECREF(p);
    return ran != nullptr;
}

// Runs a kernel without the GIL. Every 50 ms or so the calling thread looks for signals; what a handler
// raises (KeyboardInterrupt) stops the kernel and is raised here.
template <class F>
auto interruptible(int threads, const std::string& simd, F&& kernel) {
    std::optional<py::error_already_set> raised;
    Control control;
    control.threads = threads;
    control.simd = simd.c_str();
    control.context = &raised;
    control.poll = [](void* context) {
        const py::gil_scoped_acquire gil;
        if (at_ease()) return false;
        static_cast<std::optional<py::error_already_set>*>(context)->emplace();
        return true;
    };
    const auto run = [&] {
        const py::gil_scoped_release nogil;
        return kernel(control);
    };
    auto result = run();
    if (raised) throw *raised;
    return result;
}

// Sets the Python error deblai.errors.<name>.
void raise(const char* name, const char* message);
// Maps deblai's C++ errors to the classes of deblai.errors.
void register_errors();

void register_columns(py::module_& m);
void register_laguerre(py::module_& m);
void register_laguerre3(py::module_& m);
void register_lloyd(py::module_& m);
void register_powers(py::module_& m);
void register_runtime(py::module_& m);
void register_multimarginal(py::module_& m);
void register_sliced(py::module_& m);

}  // namespace deblai::bind
