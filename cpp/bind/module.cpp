// deblai._core: the CPU kernels. One register_ function a topic; no mathematics here.
#include "bind.hpp"

PYBIND11_MODULE(_core, m, pybind11::mod_gil_not_used()) {
    m.doc() = "CPU kernels of deblai. Arguments are views made by deblai._dlpack.view.";
    deblai::bind::register_errors();
    deblai::bind::register_columns(m);
    deblai::bind::register_laguerre(m);
    deblai::bind::register_laguerre3(m);
    deblai::bind::register_lloyd(m);
    deblai::bind::register_multimarginal(m);
    deblai::bind::register_powers(m);
    deblai::bind::register_runtime(m);
    deblai::bind::register_sliced(m);
}
