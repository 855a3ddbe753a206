// deblai._cuda: the CUDA kernels, for views of device memory. Importing it calls nothing of CUDA.
#include <pybind11/stl.h>

#include <array>

#include "bind.hpp"
#include "deblai/cuda/device.hpp"
#include "deblai/cuda/laguerre.hpp"
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

using Corner = std::array<double, 2>;

template <class T>
laguerre::Problem<T> cells_of(py::handle sites, py::handle psi, py::handle density, const Corner& lower,
                              const Corner& upper, bool periodic) {
    constexpr Device gpu = Device::cuda;
    return {matrix<const T>(sites, "sites", gpu),
            vector<const T>(psi, "psi", gpu),
            {lower[0], lower[1]},
            {upper[0], upper[1]},
            matrix<const T>(density, "density", gpu),
            periodic};
}

py::tuple cells(py::handle sites, py::handle psi, py::handle density, const Corner& lower, const Corner& upper,
                bool periodic, py::handle mass, py::handle centroid, py::handle second_moment, py::handle count,
                py::handle grad_sites, std::uintptr_t stream, int device) {
    return by_dtype(sites, "sites", [&](auto type) {
        using T = decltype(type);
        constexpr Device gpu = Device::cuda;
        const auto q = cells_of<T>(sites, psi, density, lower, upper, periodic);
        const laguerre::Output<T> out{vector<T>(mass, "mass", gpu), matrix<T>(centroid, "centroid", gpu),
                                      vector<T>(second_moment, "second_moment", gpu),
                                      vector<std::int64_t>(count, "count", gpu),
                                      matrix<T>(grad_sites, "grad_sites", gpu)};
        const laguerre::Summary s = interruptible(0, "", [&](const Control& control) {
            return cuda::laguerre::cells(q, out, reinterpret_cast<void*>(stream), device, control.poll,
                                         control.context);
        });
        return py::make_tuple(s.done, s.energy, s.value);
    });
}

index_t polygons(py::handle sites, py::handle psi, const Corner& lower, const Corner& upper, bool periodic,
                 py::handle offsets, py::handle vertices, py::handle neighbours, std::uintptr_t stream, int device) {
    return by_dtype(sites, "sites", [&](auto type) {
        using T = decltype(type);
        constexpr Device gpu = Device::cuda;
        const auto q = cells_of<T>(sites, psi, py::none(), lower, upper, periodic);
        const auto begin = vector<const std::int64_t>(offsets, "offsets", gpu);
        const auto v = matrix<T>(vertices, "vertices", gpu);
        const auto across = vector<std::int64_t>(neighbours, "neighbours", gpu);
        return interruptible(0, "", [&](const Control& control) {
            return cuda::laguerre::polygons(q, begin, v, across, reinterpret_cast<void*>(stream), device, control.poll,
                                            control.context);
        });
    });
}

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
    m.def("laguerre", &bind::cells, py::arg("sites"), py::arg("psi"), py::arg("density"), py::arg("lower"),
          py::arg("upper"), py::arg("periodic"), py::arg("mass"), py::arg("centroid"), py::arg("second_moment"),
          py::arg("count"), py::arg("grad_sites"), py::arg("stream"), py::arg("device"),
          "Mass, centroid, second moment and number of vertices of each cell. Returns the number of cells done, the "
          "energy and the value.");
    m.def("laguerre_polygons", &bind::polygons, py::arg("sites"), py::arg("psi"), py::arg("lower"), py::arg("upper"),
          py::arg("periodic"), py::arg("offsets"), py::arg("vertices"), py::arg("neighbours"), py::arg("stream"),
          py::arg("device"), "Polygons of the cells whose counts `offsets` adds up. Returns the number of cells done.");
    m.def("sliced", &bind::wasserstein, py::arg("x"), py::arg("y"), py::arg("a"), py::arg("b"), py::arg("directions"),
          py::arg("p"), py::arg("cost"), py::arg("grad_x"), py::arg("grad_y"), py::arg("grad_a"), py::arg("grad_b"),
          py::arg("stream"), py::arg("device"),
          "W_p^p of each direction into cost; gradients of its mean added to grad_*. Returns the mean over directions "
          "and its standard error. `stream` is a cudaStream_t as an integer.");
}
