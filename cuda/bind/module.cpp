// deblai._cuda: the CUDA kernels, for views of device memory. Importing it calls nothing of CUDA.
#include "bind.hpp"
#include "deblai/cuda/device.hpp"
#include "deblai/cuda/error.hpp"

namespace deblai::bind {
namespace {

void register_cuda_errors() {
    py::register_local_exception_translator([](std::exception_ptr p) {
        try {
            if (p) std::rethrow_exception(p);
        } catch (const cuda::OutOfMemory& e) {
            raise("OutOfMemory", e.what());
        } catch (const cuda::Error& e) {
            raise("CudaError", e.what());
        }
    });
}

}  // namespace
}  // namespace deblai::bind

PYBIND11_MODULE(_cuda, m, pybind11::mod_gil_not_used()) {
    namespace py = pybind11;
    using namespace deblai;
    m.doc() = "CUDA kernels of deblai. Arguments are views made by deblai._dlpack.view.";
    bind::register_errors();
    bind::register_cuda_errors();
    m.def("device_count", &cuda::device_count, "The number of CUDA devices; 0 without a driver.");
    m.def("device_name", &cuda::device_name, py::arg("device"), "The name of a device.");
    bind::register_columns(m);
    bind::register_laguerre(m);
    bind::register_laguerre3(m);
    bind::register_lloyd(m);
    bind::register_multimarginal(m);
    bind::register_sliced(m);
}
