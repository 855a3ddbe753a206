#include "bind.hpp"
#include "deblai/cuda/sliced.hpp"

namespace deblai::bind {
namespace {

py::tuple wasserstein(py::handle x, py::handle y, py::handle a, py::handle b, py::handle directions, double p,
                      py::handle cost, py::handle grad_x, py::handle grad_y, py::handle grad_a, py::handle grad_b,
                      std::uintptr_t stream, int device) {
    return by_dtype(x, "x", [&](auto type) {
        using T = decltype(type);
        constexpr Device gpu = Device::cuda;
        const sliced::Problem<T> q{matrix<const T>(x, "x", gpu),
                                   matrix<const T>(y, "y", gpu),
                                   vector<const T>(a, "a", gpu),
                                   vector<const T>(b, "b", gpu),
                                   matrix<const T>(directions, "directions", gpu),
                                   p};
        const auto costs = vector<double>(cost, "cost");
        if (costs.size != q.directions.rows || costs.stride != 1)
            throw InvalidType("cost: expected one contiguous float64 of the host per direction");
        const sliced::Output<T> out{costs.data, matrix<T>(grad_x, "grad_x", gpu), matrix<T>(grad_y, "grad_y", gpu),
                                    vector<T>(grad_a, "grad_a", gpu), vector<T>(grad_b, "grad_b", gpu)};
        const sliced::Estimate e = interruptible(0, "", [&](const Control& control) {
            return cuda::sliced::wasserstein(q, out, reinterpret_cast<void*>(stream), device, control.poll,
                                             control.context);
        });
        return py::make_tuple(e.mean, e.standard_error);
    });
}

}  // namespace

void register_sliced(py::module_& m) {
    m.def("sliced", &wasserstein, py::arg("x"), py::arg("y"), py::arg("a"), py::arg("b"), py::arg("directions"),
          py::arg("p"), py::arg("cost"), py::arg("grad_x"), py::arg("grad_y"), py::arg("grad_a"), py::arg("grad_b"),
          py::arg("stream"), py::arg("device"),
          "W_p^p of each direction into cost; gradients of its mean added to grad_*. Returns the mean over directions "
          "and its standard error. `stream` is a cudaStream_t as an integer.");
}

}  // namespace deblai::bind
