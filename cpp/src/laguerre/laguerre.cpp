#include "deblai/laguerre.hpp"

#include <limits>

#include "laguerre-run.hpp"

namespace deblai::laguerre {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

// What cells found along their edges, task by task, until all are done and their places in the rows are known.
class Entries {
public:
    template <class T>
    Entries(const Problem<T>& q, const Graph& graph) : graph_(graph), found_(graph.begin ? tasks(q.sites.rows) : 0) {
        const auto require = [](bool ok) {
            if (!ok) throw InvalidValue("[quantization.laguerre] graph: expected n + 1 sums, and rows of one size");
        };
        if (!graph.begin) return;
        require(graph.begin.size == q.sites.rows + 1 && graph.coupling.size == graph.across.size);
        require(!graph.bare || graph.bare.size == graph.across.size);
        for (index_t i = 0; i <= q.sites.rows; ++i) graph.begin(i) = 0;
    }

    void add(const Scene& scene, index_t task, index_t place, const Cell& cell, const Scratch& p) {
        if (found_.empty()) return;
        const Leaf& leaf = scene.leaf[place / lanes];
        const SceneFacet facet(scene, leaf.x[place % lanes], leaf.y[place % lanes]);
        std::int32_t count = 0;
        for (int k = 0; k < cell.size; ++k) {
            const index_t other = p.label[k];
            if (other < 0 || other == place) continue;
            const int l = k + 1 < cell.size ? k + 1 : 0;
            const Point a{p.x[k], p.y[k]}, b{p.x[l], p.y[l]}, d = across(scene, place, other, a, b);
            const double twice = 2 * std::hypot(d.x, d.y), length = std::hypot(b.x - a.x, b.y - a.y);
            found_[task].push_back(
                {scene.id[other], facet.along(a, b).mass / twice, scene.pixels.uniform * length / twice});
            ++count;
        }
        graph_.begin(scene.id[place] + 1) = count;
    }

    // The sum of all rows; writes them where there is room.
    index_t finish(const Scene& scene, Team& team) const {
        if (found_.empty()) return 0;
        index_t total = 0;
        for (index_t i = 1; i <= scene.size; ++i) {
            total += graph_.begin(i);
            graph_.begin(i) = static_cast<std::int32_t>(total);
        }
        if (total > graph_.across.size) return total;
        team.run(tasks(scene.size), [&](index_t task, int) {
            auto entry = found_[task].begin();
            const index_t end = std::min(scene.size, (task + 1) * cell_task);
            for (index_t place = task * cell_task; place < end; ++place) {
                const std::int32_t i = scene.id[place];
                for (index_t k = graph_.begin(i); k < graph_.begin(i + 1); ++k, ++entry) {
                    graph_.across(k) = entry->across;
                    graph_.coupling(k) = entry->coupling;
                    if (graph_.bare) graph_.bare(k) = entry->bare;
                }
            }
        });
        return total;
    }

private:
    struct Entry {
        std::int32_t across;
        double coupling, bare;
    };

    Graph graph_;
    std::vector<std::vector<Entry>> found_;
};

}  // namespace

InvalidValue bad_entry(const char* argument, double most, double value, index_t row, index_t col) {
    const std::string where = std::string("[quantization.laguerre] ") + argument;
    if (!std::isfinite(value)) return not_finite(where.c_str(), value, row, col);
    return InvalidValue(where + ": expected values below " + std::to_string(std::lround(std::log10(most))) +
                        " powers of ten, got one at [" + std::to_string(row) + ", " + std::to_string(col) + "]");
}

InvalidValue bad_pixel(double value, index_t i, index_t j) {
    return InvalidValue("[quantization.laguerre] measure.values: expected finite nonnegative values, got " +
                        std::to_string(value) + " at [" + std::to_string(i) + ", " + std::to_string(j) + "]");
}

InvalidValue bad_mass(double total, const char* argument) {
    return not_a_mass((std::string("[quantization.laguerre] ") + argument).c_str(), total);
}

template <class T>
void require_shapes(const Problem<T>& q) {
    const auto require = [](bool ok, const char* message) {
        if (!ok) throw InvalidValue(std::string("[quantization.laguerre] ") + message);
    };
    require(q.sites.rows > 0 && q.sites.cols == 2, "sites: expected shape (n, 2), n >= 1");
    require(q.sites.rows < (index_t{1} << 31) - 64, "sites: expected fewer than 2^31 sites");
    require(!q.psi || q.psi.size == q.sites.rows, "psi: expected one value per site");
    for (int k = 0; k < 2; ++k)
        require(q.upper[k] - q.lower[k] > 1e-100 && q.upper[k] - q.lower[k] < 1e100 && std::abs(q.lower[k]) < 1e100,
                "measure: expected a box with sides and corners between 1e-100 and 1e100");
    require(!q.density || (q.density.rows > 0 && q.density.cols > 0), "measure.values: expected at least one pixel");
    const Form& f = q.form;
    if (f.corners || f.gaussians || f.triangles) {
        require(!q.periodic, "periodic: expected a box of even density or pixels for a torus");
        require(!q.density && !(f.gaussians && f.triangles), "measure: expected one density");
    }
    require(!f.corners || (f.corners.rows > 2 && f.corners.rows < 1 << 24 && f.corners.cols == 2),
            "measure.vertices: expected shape (k, 2), k > 2");
    require(!f.gaussians || (f.gaussians.rows > 0 && f.gaussians.rows < 1 << 24 && f.gaussians.cols == 6),
            "measure.components: expected shape (c, 6), c > 0");
    require(!f.triangles ||
                (f.triangles.rows > 0 && f.triangles.cols == 3 && f.points.cols == 2 && f.points.rows == f.values.size),
            "measure.triangles: expected shape (t, 3), points (m, 2) and values (m,)");
}

template <class T>
std::size_t workspace_bytes(const Problem<T>& q, int threads) {
    const std::size_t count = threads > 0 ? threads : hardware_threads();
    return Tree::bytes(q.sites.rows) + sizeof(double) * (q.density ? q.density.rows * q.density.cols : 0) +
           Measure::bytes(q.form) + 3 * sizeof(double) * tasks(q.sites.rows) +
           (Scratch::bytes(first_capacity) + 192) * count + 2048;
}

template <class T>
Summary cells(const Problem<T>& q, const Output<T>& out, const Control& control) {
    require_shapes(q);
    Run<T> run(q, control, true);
    const index_t n = q.sites.rows;
    for (index_t i = 0; i < n; ++i) {
        out.mass(i) = out.centroid(i, 0) = out.centroid(i, 1) = out.second_moment(i) = static_cast<T>(nan);
        out.count(i) = 0;
    }
    struct Sums {
        double energy = 0, value = 0;
        index_t done = 0;
    };
    std::vector<Sums> sums(tasks(n));
    const auto all_cells = [](index_t) { return true; };
    Entries entries(q, out.graph);
    run.each(true, all_cells, [&](index_t task, index_t place, const Cell& cell, const Scratch& scratch) {
        const index_t i = run.scene().id[place];
        entries.add(run.scene(), task, place, cell, scratch);
        const Moments& m = cell.moments;
        const double psi = q.psi ? static_cast<double>(q.psi(i)) : 0.0;
        for (int k = 0; k < 2; ++k) {
            const double first = k == 0 ? m.x : m.y, mean = m.mass > 0 ? first / m.mass : 0.0;
            out.centroid(i, k) = static_cast<T>(static_cast<double>(q.sites(i, k)) + mean);
            if (out.grad_sites) out.grad_sites(i, k) = static_cast<T>(-2 * first);
        }
        out.mass(i) = static_cast<T>(m.mass);
        out.second_moment(i) = static_cast<T>(m.second);
        out.count(i) = cell.size;
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
    if (all.done < n)
        all.energy = all.value = nan;
    else
        all.entries = entries.finish(run.scene(), run.team());
    return all;
}

#define DEBLAI_INSTANTIATE(T)                                     \
    template void require_shapes(const Problem<T>&);              \
    template std::size_t workspace_bytes(const Problem<T>&, int); \
    template Summary cells(const Problem<T>&, const Output<T>&, const Control&);
DEBLAI_INSTANTIATE(float)
DEBLAI_INSTANTIATE(double)

}  // namespace deblai::laguerre
