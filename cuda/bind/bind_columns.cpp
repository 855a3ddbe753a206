#include "bind.hpp"
#include "deblai/cuda/columns.hpp"

namespace deblai::bind {
namespace {

constexpr Device gpu = Device::cuda;

void price(py::handle costs, py::handle potential, py::handle parents, py::handle gain, py::handle to,
           std::uintptr_t stream, int device) {
    const auto f = vector<const double>(potential, "potential", gpu);
    const columns::Problem q{matrix<const double>(costs, "costs", gpu), f.data,
                             matrix<const std::int32_t>(parents, "parents", gpu)};
    if (!f || f.size != q.costs.rows || f.stride != 1) throw InvalidType("potential: expected one number a site");
    const auto gains = matrix<double>(gain, "gain");
    const auto sites = matrix<std::int32_t>(to, "to");
    const index_t m = q.parents.rows, count = q.parents.cols;
    if (gains.rows != m || gains.cols != count || sites.rows != m || sites.cols != count || gains.col_stride != 1 ||
        sites.col_stride != 1 || (m > 1 && (gains.row_stride != count || sites.row_stride != count)))
        throw InvalidType("gain, to: expected contiguous matrices (m, N)");
    const py::gil_scoped_release nogil;
    cuda::columns::price(q, gains.data, sites.data, reinterpret_cast<void*>(stream), device);
}

}  // namespace

void register_columns(py::module_& m) {
    m.def("columns_price", &price, py::arg("costs"), py::arg("potential"), py::arg("parents"), py::arg("gain"),
          py::arg("to"), py::arg("stream"), py::arg("device"),
          "The best move of each particle of each parent into gain and to (m, N), arrays of the host.");
}

}  // namespace deblai::bind
