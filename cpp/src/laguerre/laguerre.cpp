#include "deblai/laguerre.hpp"

#include <limits>

#include "laguerre-run.hpp"

namespace deblai::laguerre {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

// What cells found along their edges, task by task of one run or of several, until all are done.
class Entries {
public:
    template <class T>
    Entries(const Problem<T>& q, const Graph& graph) : graph_(graph) {
        const index_t n = q.sites.rows;
        const auto require = [](bool ok) {
            if (!ok) throw InvalidValue("[quantization.laguerre] graph: expected n + 1 sums, and rows of one size");
        };
        require(graph.begin || !q.known.begin);
        if (!graph.begin) return;
        require(graph.begin.size == n + 1 && graph.coupling.size == graph.across.size);
        require(!graph.bare || graph.bare.size == graph.across.size);
        found_.resize(2 * tasks(n));
        rows_.resize(n);
    }

    void add(const Scene& scene, index_t task, index_t place, const Cell& cell, const Scratch& p) {
        if (found_.empty()) return;
        const Leaf& leaf = scene.leaf[place / lanes];
        const SceneFacet facet(scene, leaf.x[place % lanes], leaf.y[place % lanes]);
        std::vector<Entry>& found = found_[task];
        if (found.empty()) found.reserve(7 * cell_task);
        Row& row = rows_[scene.id[place]];
        row = {task, static_cast<std::int32_t>(found.size()), 0};
        for (int k = 0; k < cell.size; ++k) {
            const index_t other = p.label[k];
            if (other < 0 || other == place) continue;
            const int l = k + 1 < cell.size ? k + 1 : 0;
            const Point a{p.x[k], p.y[k]}, b{p.x[l], p.y[l]}, d = across(scene, place, other, a, b);
            const double ex = b.x - a.x, ey = b.y - a.y, twice = 2 * std::sqrt(d.x * d.x + d.y * d.y);
            const double bare = scene.pixels.uniform * std::sqrt(ex * ex + ey * ey) / twice;
            found.push_back({scene.id[owner(scene, other)], facet.along(a, b).mass / twice, bare});
            ++row.count;
        }
    }

    // Sites i with an edge that the cell across does not have, or not as long: of one of the two a neighbour is
    // missing.
    std::vector<index_t> doubtful(Team& team) const {
        const index_t n = static_cast<index_t>(rows_.size());
        std::vector<std::vector<index_t>> seen(tasks(n));
        team.run(tasks(n), [&](index_t task, int) {
            for (index_t i = task * cell_task; i < std::min(n, (task + 1) * cell_task); ++i) {
                const Entry* const mine = row(i);
                for (std::int32_t k = 0; k < rows_[i].count; ++k) {
                    const index_t j = mine[k].across;
                    if (near(mine[k].bare, first(j, i)) || near(all(i, j), all(j, i))) continue;
                    seen[task].push_back(i);
                    seen[task].push_back(j);
                }
            }
        });
        std::vector<index_t> sites;
        for (const auto& some : seen) sites.insert(sites.end(), some.begin(), some.end());
        return sites;
    }

    // The sum of all rows; writes them where there is room.
    index_t finish(Team& team) const {
        if (found_.empty()) return 0;
        const index_t n = static_cast<index_t>(rows_.size());
        index_t total = 0;
        for (index_t i = 0; i <= n; ++i) {
            graph_.begin(i) = static_cast<std::int32_t>(total);
            if (i < n) total += rows_[i].count;
        }
        if (total > graph_.across.size) return total;
        team.run(tasks(n), [&](index_t task, int) {
            for (index_t i = task * cell_task; i < std::min(n, (task + 1) * cell_task); ++i) {
                const Entry* entry = row(i);
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
    struct Row {
        index_t task = 0;
        std::int32_t offset = 0, count = 0;
    };

    const Entry* row(index_t i) const { return found_[rows_[i].task].data() + rows_[i].offset; }
    static bool near(double a, double b) { return std::abs(a - b) <= 1e-6 * std::max(a, b) + 1e-12; }
    double first(index_t i, index_t j) const {
        const Entry* const entry = row(i);
        for (std::int32_t k = 0; k < rows_[i].count; ++k)
            if (entry[k].across == j) return entry[k].bare;
        return -1;
    }
    double all(index_t i, index_t j) const {
        double sum = 0;
        const Entry* const entry = row(i);
        for (std::int32_t k = 0; k < rows_[i].count; ++k)
            if (entry[k].across == j) sum += entry[k].bare;
        return sum;
    }

    Graph graph_;
    std::vector<std::vector<Entry>> found_;
    std::vector<Row> rows_;
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
           FormArrays::bytes(q.form) + 3 * sizeof(double) * tasks(q.sites.rows) +
           (Scratch::bytes(first_capacity) + 192) * count + 2048;
}

template <class T>
Summary cells(const Problem<T>& q, const Output<T>& out, const Control& control) {
    require_shapes(q);
    const index_t n = q.sites.rows;
    for (index_t i = 0; i < n; ++i) {
        out.mass(i) = out.centroid(i, 0) = out.centroid(i, 1) = out.second_moment(i) = static_cast<T>(nan);
        out.count(i) = 0;
    }
    struct Sums {
        double energy = 0, value = 0, area = 0, rest = 0;
        index_t done = 0;

        void add_area(double v) {  // areas tell whether all is well, by their last digits: what is rounded is kept
            const double sum = area + v;
            rest += area > v ? (area - sum) + v : (v - sum) + area;
            area = sum;
        }
    };
    const bool known = static_cast<bool>(q.known.begin);
    std::vector<Sums> sums(known ? n : tasks(n));
    Entries entries(q, out.graph);
    const auto pass = [&](Run<T>& run, index_t first_task, const auto& wanted) {
        run.each(true, wanted, [&](index_t task, index_t place, const Cell& cell, const Scratch& scratch) {
            const index_t i = run.scene().id[place];
            entries.add(run.scene(), first_task + task, place, cell, scratch);
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
            if (known) sums[i] = {};
            Sums& sum = sums[known ? i : task];
            sum.energy += m.second;
            sum.value += m.second - psi * m.mass;
            sum.add_area(cell.area);
            ++sum.done;
        });
    };
    Run<T> run(q, control, true);
    pass(run, 0, [](index_t) { return true; });
    if (known && !run.team().stopped()) {
        const std::vector<index_t> doubtful = entries.doubtful(run.team());
        if (!doubtful.empty()) {
            std::vector<char> wanted(n);
            for (index_t i : doubtful) wanted[i] = 1;
            Problem<T> all = q;
            all.known = {};
            Run<T> search(all, control, true);
            pass(search, tasks(n), [&](index_t i) { return wanted[i] != 0; });
        }
    }
    Summary all{0, 0, 0};
    Sums area;
    for (const Sums& s : sums) {
        all.energy += s.energy;
        all.value += s.value;
        all.done += s.done;
        area.add_area(s.area);
        area.rest += s.rest;
    }
    all.area = area.area + area.rest;
    if (all.done < n)
        all.energy = all.value = nan;
    else
        all.entries = entries.finish(run.team());
    return all;
}

#define DEBLAI_INSTANTIATE(T)                                     \
    template void require_shapes(const Problem<T>&);              \
    template std::size_t workspace_bytes(const Problem<T>&, int); \
    template Summary cells(const Problem<T>&, const Output<T>&, const Control&);
DEBLAI_INSTANTIATE(float)
DEBLAI_INSTANTIATE(double)

}  // namespace deblai::laguerre
