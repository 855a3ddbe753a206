#include "bind.hpp"
#include "deblai/cuda/lloyd.hpp"

namespace deblai::bind {
namespace {

constexpr Device gpu = Device::cuda;

double assign(py::handle x, py::handle weights, py::handle sites, py::handle mass, py::handle sum, py::handle labels,
              py::handle cost, double p, double near, py::handle pull, std::uintptr_t stream, int device) {
    return by_dtype(x, "x", [&](auto type) {
        using T = decltype(type);
        const lloyd::Problem<T> q{matrix<const T>(x, "x", gpu), vector<const T>(weights, "weights", gpu),
                                  matrix<const T>(sites, "sites", gpu), p, near};
        const auto pulls = matrix<double>(pull, "pull");
        const auto masses = vector<double>(mass, "mass");
        const auto sums = matrix<double>(sum, "sum");
        const lloyd::Output<T> out{masses.data, sums.data, vector<std::int32_t>(labels, "labels", gpu),
                                   vector<T>(cost, "cost", gpu), pulls.data};
        require_totals(masses, sums, pulls, p != 2, q.sites.rows, q.x.cols);
        require_size(out.labels, q.x.rows, "labels");
        require_size(out.cost, q.x.rows, "cost");
        return interruptible(0, "", [&](const Control& control) {
            return cuda::lloyd::assign(q, out, reinterpret_cast<void*>(stream), device, control.poll, control.context);
        });
    });
}

index_t seed(py::handle x, py::handle weights, py::handle uniforms, py::handle chosen, std::uintptr_t stream,
             int device) {
    return by_dtype(x, "x", [&](auto type) {
        using T = decltype(type);
        const auto points = matrix<const T>(x, "x", gpu);
        const auto masses = vector<const T>(weights, "weights", gpu);
        const auto draws = vector<const double>(uniforms, "uniforms");
        const auto seeds = vector<std::int32_t>(chosen, "chosen");
        return interruptible(0, "", [&](const Control& control) {
            return cuda::lloyd::seed(points, masses, draws, seeds, reinterpret_cast<void*>(stream), device,
                                     control.poll, control.context);
        });
    });
}

}  // namespace

void register_lloyd(py::module_& m) {
    m.def("lloyd", &assign, py::arg("x"), py::arg("weights"), py::arg("sites"), py::arg("mass"), py::arg("sum"),
          py::arg("labels"), py::arg("cost"), py::arg("p"), py::arg("near"), py::arg("pull"), py::arg("stream"),
          py::arg("device"),
          "Mass, weighted sum, pull and stillness (on the host) of the samples nearest to each site; labels and "
          "squared distances "
          "of the "
          "samples. Returns the energy. `stream` is a cudaStream_t as an integer.");
    m.def("lloyd_seed", &seed, py::arg("x"), py::arg("weights"), py::arg("uniforms"), py::arg("chosen"),
          py::arg("stream"), py::arg("device"),
          "Indices of k-means++ seeds into chosen; it and the uniforms are on the host. Returns how many.");
}

}  // namespace deblai::bind
