#include "bind.hpp"
#include "deblai/columns.hpp"

namespace deblai::bind {
namespace {

columns::Problem problem(py::handle costs, py::handle potential, py::handle parents) {
    const columns::Problem q{matrix<const double>(costs, "costs"), vector<const double>(potential, "potential").data,
                             matrix<const std::int32_t>(parents, "parents")};
    require_size(vector<const double>(potential, "potential"), q.costs.rows, "potential");
    for (index_t j = 0; j < q.parents.rows; ++j)
        for (index_t k = 0; k < q.parents.cols; ++k)
            if (q.parents(j, k) < 0 || q.parents(j, k) >= q.costs.rows)
                throw InvalidType("parents: expected sites from 0 to n - 1");
    return q;
}

bool price(py::handle costs, py::handle potential, py::handle parents, bool pairs, py::handle gain, py::handle to,
           int threads) {
    const columns::Problem q = problem(costs, potential, parents);
    const index_t m = q.parents.rows, count = q.parents.cols;
    const auto gains = matrix<double>(gain, "gain");
    const auto sites = matrix<std::int32_t>(to, "to");
    const index_t wide = pairs ? 1 : count, long_ = pairs ? 4 : count;
    if (gains.rows != m || gains.cols != wide || gains.col_stride != 1 || (m > 1 && gains.row_stride != wide))
        throw InvalidType("gain: expected a contiguous matrix");
    if (sites.rows != m || sites.cols != long_ || sites.col_stride != 1 || (m > 1 && sites.row_stride != long_))
        throw InvalidType("to: expected a contiguous matrix");
    return interruptible(threads, "", [&](const Control& control) {
        return pairs ? columns::price_pairs(q, gains.data, sites.data, control)
                     : columns::price(q, gains.data, sites.data, control);
    });
}

}  // namespace

void register_columns(py::module_& m) {
    m.def("columns_price", &price, py::arg("costs"), py::arg("potential"), py::arg("parents"), py::arg("pairs"),
          py::arg("gain"), py::arg("to"), py::arg("threads"),
          "The best move of each particle of each parent into gain and to (m, N); or with pairs the best of two "
          "particles into gain (m, 1) and to (m, 4): particles, sites.");
}

}  // namespace deblai::bind
