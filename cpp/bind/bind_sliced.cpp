#include "bind.hpp"
#include "deblai/sliced.hpp"

namespace deblai::bind {
namespace {

template <class T>
sliced::Problem<T> problem(py::handle x, py::handle y, py::handle a, py::handle b, py::handle directions, double p) {
    return {matrix<const T>(x, "x"),
            matrix<const T>(y, "y"),
            vector<const T>(a, "a"),
            vector<const T>(b, "b"),
            matrix<const T>(directions, "directions"),
            p};
}

py::tuple wasserstein(py::handle x, py::handle y, py::handle a, py::handle b, py::handle directions, double p,
                      py::handle cost, py::handle grad_x, py::handle grad_y, py::handle grad_a, py::handle grad_b,
                      int threads, const std::string& simd) {
    return by_dtype(x, "x", [&](auto type) {
        using T = decltype(type);
        const auto q = problem<T>(x, y, a, b, directions, p);
        const auto costs = vector<double>(cost, "cost");
        if (costs.size != q.directions.rows || costs.stride != 1)
            throw InvalidType("cost: expected one contiguous float64 per direction");
        const sliced::Output<T> out{costs.data, matrix<T>(grad_x, "grad_x"), matrix<T>(grad_y, "grad_y"),
                                    vector<T>(grad_a, "grad_a"), vector<T>(grad_b, "grad_b")};
        const sliced::Estimate e =
            interruptible(threads, simd, [&](const Control& control) { return sliced::wasserstein(q, out, control); });
        return py::make_tuple(e.mean, e.standard_error);
    });
}

std::size_t workspace(py::handle x, py::handle y, py::handle a, py::handle b, py::handle directions, double p,
                      bool grad_x, bool grad_y, bool grad_a, bool grad_b, int threads) {
    return by_dtype(x, "x", [&](auto type) {
        using T = decltype(type);
        // Only whether a gradient is wanted matters here: any non-null address says so.
        static T wanted{};
        sliced::Output<T> out;
        if (grad_x) out.grad_x.data = &wanted;
        if (grad_y) out.grad_y.data = &wanted;
        if (grad_a) out.grad_a.data = &wanted;
        if (grad_b) out.grad_b.data = &wanted;
        return sliced::workspace_bytes(problem<T>(x, y, a, b, directions, p), out, threads);
    });
}

}  // namespace

void register_sliced(py::module_& m) {
    m.def("sliced", &wasserstein, py::arg("x"), py::arg("y"), py::arg("a"), py::arg("b"), py::arg("directions"),
          py::arg("p"), py::arg("cost"), py::arg("grad_x"), py::arg("grad_y"), py::arg("grad_a"), py::arg("grad_b"),
          py::arg("threads"), py::arg("simd"),
          "W_p^p of each direction into cost; gradients of its mean added to grad_*. Returns the mean over directions "
          "and its standard error.");
    m.def("sliced_workspace", &workspace, py::arg("x"), py::arg("y"), py::arg("a"), py::arg("b"), py::arg("directions"),
          py::arg("p"), py::arg("grad_x"), py::arg("grad_y"), py::arg("grad_a"), py::arg("grad_b"), py::arg("threads"),
          "Bytes of workspace that the same call of sliced allocates.");
}

}  // namespace deblai::bind
