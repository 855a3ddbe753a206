// How C++ errors reach Python; part of every module that binds kernels.
#include "bind.hpp"

namespace deblai::bind {

void raise(const char* name, const char* message) {
    py::set_error(py::module_::import("deblai.errors").attr(name), message);
}

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
