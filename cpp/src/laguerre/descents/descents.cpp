// Several descents at a time, each on one thread.
#include "deblai/descents.hpp"

#include "descents-methods.hpp"

namespace deblai::descents {
namespace {

template <class Problem>
End run(Land<Problem>& land, const Output& out, index_t row, const Stop& stop, int worker) {
    const index_t size = out.sites.cols;
    Array sites(size);
    for (index_t k = 0; k < size; ++k) sites[k] = out.sites(row, k);
    const Options& options = land.options();
    Auto method;
    std::optional<Point> point;
    try {
        point = land.at(land.inside(std::move(sites)));
        for (std::int64_t step = 0;; ++step) {
            for (index_t k = 0; k < size; ++k) out.sites(row, k) = point->sites[k];
            out.history(row, step) = point->energy;
            out.n_iter(row) = step;
            if (point->empty) return End::empty;
            if (point->settled(options.tol)) return End::converged;
            if (step == options.max_iter) return End::steps;
            if (stop.requested(worker)) return End::stopped;
            std::optional<Point> next = method.next(land, *point);
            if (!next) return point->settled(options.tol, 16) ? End::converged : End::stuck;
            point = std::move(next);
        }
    } catch (const Stopped&) {
        return End::stopped;
    }
}

template <class Problem>
bool descend_all(const Problem& q, const Options& options, const Output& out, const Control& control) {
    require_shapes(q);
    const index_t runs = out.sites.rows;
    if (out.sites.cols != q.sites.rows * q.sites.cols || out.history.rows != runs ||
        out.history.cols != options.max_iter + 1 || out.n_iter.size != runs || out.end.size != runs)
        throw InvalidValue("[quantization.quantize] init: expected a row of sites and of energies for each descent");
    for (index_t r = 0; r < runs; ++r) {
        out.n_iter(r) = -1;
        out.end(r) = static_cast<std::int64_t>(End::stopped);
    }
    Team team(control, 1e9);
    struct Worker {
        const Stop& stop;
        int number;
    };
    team.run(runs, [&](index_t row, int number) {
        Worker worker{team.stop(), number};
        const Control own{.threads = 1,
                          .simd = control.simd,
                          .poll =
                              [](void* context) {
                                  const Worker& w = *static_cast<const Worker*>(context);
                                  return w.stop.requested(w.number);
                              },
                          .context = &worker};
        Land<Problem> land(q, options, own);
        out.end(row) = static_cast<std::int64_t>(run(land, out, row, team.stop(), number));
    });
    return !team.stopped();
}

}  // namespace

bool descend(const laguerre::Problem<double>& q, const Options& options, const Output& out, const Control& control) {
    return descend_all(q, options, out, control);
}

bool descend(const laguerre3::Problem<double>& q, const Options& options, const Output& out, const Control& control) {
    return descend_all(q, options, out, control);
}

}  // namespace deblai::descents
