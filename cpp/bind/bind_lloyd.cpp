#include "bind.hpp"
#include "deblai/lloyd.hpp"

namespace deblai::bind {
namespace {

double assign(py::handle x, py::handle weights, py::handle sites, py::handle mass, py::handle sum, py::handle labels,
              py::handle cost, double p, double near, py::handle pull, int threads, const std::string& simd) {
    return by_dtype(x, "x", [&](auto type) {
        using T = decltype(type);
        const lloyd::Problem<T> q{matrix<const T>(x, "x"), vector<const T>(weights, "weights"),
                                  matrix<const T>(sites, "sites"), p, near};
        const auto pulls = matrix<double>(pull, "pull");
        const auto masses = vector<double>(mass, "mass");
        const auto sums = matrix<double>(sum, "sum");
        const lloyd::Output<T> out{masses.data, sums.data, vector<std::int32_t>(labels, "labels"),
                                   vector<T>(cost, "cost"), pulls.data};
        require_totals(masses, sums, pulls, p != 2, q.sites.rows, q.x.cols);
        require_size(out.labels, q.x.rows, "labels");
        require_size(out.cost, q.x.rows, "cost");
        return interruptible(threads, simd, [&](const Control& control) { return lloyd::assign(q, out, control); });
    });
}

std::size_t workspace(py::handle x, py::handle weights, py::handle sites, double p, int threads) {
    return by_dtype(x, "x", [&](auto type) {
        using T = decltype(type);
        return lloyd::workspace_bytes<T>(
            {matrix<const T>(x, "x"), vector<const T>(weights, "weights"), matrix<const T>(sites, "sites"), p, 1},
            threads);
    });
}

index_t seed(py::handle x, py::handle weights, py::handle uniforms, py::handle chosen, int threads,
             const std::string& simd) {
    return by_dtype(x, "x", [&](auto type) {
        using T = decltype(type);
        const auto points = matrix<const T>(x, "x");
        const auto masses = vector<const T>(weights, "weights");
        const auto draws = vector<const double>(uniforms, "uniforms");
        const auto seeds = vector<std::int32_t>(chosen, "chosen");
        return interruptible(
            threads, simd, [&](const Control& control) { return lloyd::seed(points, masses, draws, seeds, control); });
    });
}

}  // namespace

void register_lloyd(py::module_& m) {
    m.def("lloyd", &assign, py::arg("x"), py::arg("weights"), py::arg("sites"), py::arg("mass"), py::arg("sum"),
          py::arg("labels"), py::arg("cost"), py::arg("p"), py::arg("near"), py::arg("pull"), py::arg("threads"),
          py::arg("simd"),
          "Mass and weighted sum of the samples nearest to each site; labels and squared distances of the samples. "
          "Returns the energy.");
    m.def("lloyd_workspace", &workspace, py::arg("x"), py::arg("weights"), py::arg("sites"), py::arg("p"),
          py::arg("threads"), "Most bytes of workspace that the same call of lloyd allocates.");
    m.def("lloyd_seed", &seed, py::arg("x"), py::arg("weights"), py::arg("uniforms"), py::arg("chosen"),
          py::arg("threads"), py::arg("simd"), "Indices of k-means++ seeds into chosen. Returns how many.");
}

}  // namespace deblai::bind
