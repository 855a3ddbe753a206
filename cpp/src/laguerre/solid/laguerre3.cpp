#include "deblai/laguerre3.hpp"

#include <limits>

#include "laguerre3-run.hpp"

namespace deblai::laguerre3 {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

}  // namespace

template <class T>
void require_shapes(const Problem<T>& q) {
    require(q.sites.rows > 0 && q.sites.cols == 3, "sites: expected shape (n, 3), n >= 1");
    require(q.sites.rows < (index_t{1} << 31) - 64, "sites: expected fewer than 2^31 sites");
    require(!q.psi || q.psi.size == q.sites.rows, "psi: expected one value per site");
    for (int k = 0; k < 3; ++k)
        require(q.upper[k] - q.lower[k] > 1e-100 && q.upper[k] - q.lower[k] < 1e100 && std::abs(q.lower[k]) < 1e100,
                "measure: expected a box with sides and corners between 1e-100 and 1e100");
    require(!q.density || (q.density.size[0] > 0 && q.density.size[1] > 0 && q.density.size[2] > 0),
            "measure.values: expected at least one voxel");
    require(!q.planes || (q.planes.rows > 0 && q.planes.cols == 4 && !q.density && !q.periodic),
            "measure: expected a uniform measure on a convex domain with sides, no torus");
}

template <class T>
std::size_t workspace_bytes(const Problem<T>& q, int threads) {
    const std::size_t count = threads > 0 ? threads : hardware_threads();
    const auto& size = q.density.size;
    return Tree::bytes(q.sites.rows) + (q.density ? sizeof(double) * size[0] * size[1] * size[2] : 0) +
           3 * sizeof(double) * tasks(q.sites.rows) + (Scratch::bytes(first_capacity) + 16384) * count + 4096;
}

InvalidValue bad_voxel(double value, index_t i, index_t j, index_t k) {
    return InvalidValue("[quantization.laguerre] measure.values: expected finite nonnegative values, got " +
                        std::to_string(value) + " at [" + std::to_string(i) + ", " + std::to_string(j) + ", " +
                        std::to_string(k) + "]");
}

// A domain is the cell of a single site.
template <class T>
double volume(const Problem<T>& q) {
    double sides[3], centre[3], sum = 0;
    for (int k = 0; k < 3; ++k) sides[k] = q.upper[k] - q.lower[k], centre[k] = 0.5 * (q.lower[k] + q.upper[k]);
    if (!q.planes) return sides[0] * sides[1] * sides[2];
    Problem<double> one{{centre, 1, 3, 3, 1}, {}, {}, {}};
    std::copy_n(q.lower, 3, one.lower);
    std::copy_n(q.upper, 3, one.upper);
    Run<double> run(one, {}, false);
    run.confine(q.planes);
    run.each([](index_t) { return true; }, [&](index_t, index_t, const Cell& cell, auto&) { sum = cell.moments.mass; });
    if (!(sum > 0)) throw InvalidValue("[quantization.laguerre] measure: expected a domain with inner points");
    return sum;
}

template <class T>
Summary cells(const Problem<T>& q, const Output<T>& out, const Control& control) {
    require_shapes(q);
    Run<T> run(q, control, true);
    const index_t n = q.sites.rows;
    for (index_t i = 0; i < n; ++i)
        for (int k = 0; k < 3; ++k) {
            out.mass(i) = out.centroid(i, k) = out.second_moment(i) = static_cast<T>(nan);
            out.counts(i, k) = 0;
        }
    struct Sums {
        double energy = 0, value = 0;
        index_t done = 0;
    };
    std::vector<Sums> sums(tasks(n));
    const auto all_cells = [](index_t) { return true; };
    run.each(all_cells, [&](index_t task, index_t place, const Cell& cell, auto& worker) {
        const index_t i = run.scene().id[place];
        const Moments3 m = cell.size > 0 ? run.integral(place, cell, worker) : Moments3{};
        const double psi = q.psi ? static_cast<double>(q.psi(i)) : 0.0;
        for (int k = 0; k < 3; ++k) {
            const double mean = m.mass > 0 ? m.first[k] / m.mass : 0.0;
            out.centroid(i, k) = static_cast<T>(static_cast<double>(q.sites(i, k)) + mean);
            if (out.grad_sites) out.grad_sites(i, k) = static_cast<T>(-2 * m.first[k]);
        }
        out.mass(i) = static_cast<T>(m.mass);
        out.second_moment(i) = static_cast<T>(m.second);
        out.counts(i, 0) = cell.size;
        out.counts(i, 1) = cell.size > 0 ? cell.size / 2 + 2 : 0;  // Euler, three edges at a vertex
        out.counts(i, 2) = 3 * cell.size;
        if (cell.touching) {
            Polytope& p = worker.polytope;
            p.read(worker.memory->view, cell);
            out.counts(i, 0) = p.vertices();
            out.counts(i, 1) = static_cast<std::int64_t>(p.facets().size());
            out.counts(i, 2) = static_cast<std::int64_t>(p.corners().size());
        }
        sums[task].energy += m.second;
        sums[task].value += m.second - psi * m.mass;
        ++sums[task].done;
    });
    Summary all{0, 0, 0};
    for (const Sums& s : sums) {
        all.energy += s.energy;
        all.value += s.value;
        all.done += s.done;
    }
    if (all.done < n) all.energy = all.value = nan;
    return all;
}

#define DEBLAI_INSTANTIATE(T)                                     \
    template void require_shapes(const Problem<T>&);              \
    template double volume(const Problem<T>&);                    \
    template std::size_t workspace_bytes(const Problem<T>&, int); \
    template Summary cells(const Problem<T>&, const Output<T>&, const Control&);
DEBLAI_INSTANTIATE(float)
DEBLAI_INSTANTIATE(double)

}  // namespace deblai::laguerre3
