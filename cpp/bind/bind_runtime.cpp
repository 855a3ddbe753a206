#include "bind.hpp"
#include "deblai/simd.hpp"

namespace deblai::bind {

void register_runtime(py::module_& m) {
    m.def(
        "simd", [](const std::string& requested) { return name(choose_simd(requested.c_str())); },
        py::arg("requested") = "",
        "The instruction set that kernels use: the one named, else DEBLAI_SIMD, else the best of this CPU.");
    m.def("simd_best", [] { return name(best_simd()); }, "The best instruction set of this CPU and build.");
}

}  // namespace deblai::bind
