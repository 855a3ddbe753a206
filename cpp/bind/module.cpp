// deblai._core: the CPU kernels. One register_ function a topic; no mathematics here.
#include "bind.hpp"

namespace deblai::bind {
namespace {

void raise(const char* name, const char* message) {
    py::set_error(py::module_::import("deblai.errors").attr(name), message);
}

}  // namespace

void register_errors() {
    py::register_local_exception_translator([](std::exception_ptr p) {
        try {
            if (p) std::rethrow_exception(p);
        } catch (const InvalidValue& e) {
            raise("InvalidValue", e.what());
        } catch (const InvalidType& e) {
            raise("InvalidType", e.what());
        } catch (const BackendError& e) {
            raise("BackendError", e.what());
        } catch (const std::bad_alloc&) {
            raise("OutOfMemory", "the workspace of this call does not fit in memory");
        }
    });
}

}  // namespace deblai::bind

PYBIND11_MODULE(_core, m, pybind11::mod_gil_not_used()) {
    m.doc() = "CPU kernels of deblai. Arguments are views made by deblai._dlpack.view.";
    deblai::bind::register_errors();
    deblai::bind::register_runtime(m);
    deblai::bind::register_sliced(m);
}
