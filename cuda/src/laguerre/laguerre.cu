// Laguerre cells: inspect, sort along the curve, build the tree, then one thread a cell; see the laguerre_*.cuh files.
#include "deblai/cuda/laguerre.hpp"

#include <algorithm>
#include <string>
#include <vector>

#include "laguerre_clip.cuh"
#include "laguerre_density.cuh"
#include "laguerre_form.cuh"

namespace deblai::cuda::laguerre {
namespace {

using deblai::laguerre::Summary;

using Poll = bool (*)(void*);

constexpr const char* sums_wanted = "offsets: expected n + 1 running sums of the cells' counts";

void require(bool ok, const char* message) {
    if (!ok) throw InvalidValue(std::string("[quantization.laguerre] ") + message);
}

#if !defined(DEBLAI_ROUND_CELLS)
#define DEBLAI_ROUND_CELLS 1048576
#endif
constexpr index_t round_cells = DEBLAI_ROUND_CELLS;

template <class T>
class Run {
public:
    Run(const Problem<T>& q, void* stream, int device, bool integrate)
        : call_("quantization.laguerre", stream, device),
          q_(q),
          n_(q.sites.rows),
          pixels_(integrate && q.density ? q.density.rows * q.density.cols : 0),
          integrate_(integrate),
          sites_(Sites<T>::of(q)),
          tree_(call_, sites_),
          memory_(call_, lay_out_memory(nullptr)) {
        lay_out_memory(memory_.data());
        build();
    }

    const Sites<T>& sites() const { return sites_; }
    Density density() const { return shown_; }

    // The edges that offsets count.
    Rows rows(const Vector<const std::int64_t>& offsets) const {
        std::int64_t first, total;
        fetch(call_, &first, &offsets(0), 1);
        fetch(call_, &total, &offsets(n_), 1);
        require(first == 0 && total >= 0, sums_wanted);
        return {offsets, total};
    }

    // Numbers of cells that are not done are NaN.
    template <Density D>
    Numbers<T, D> numbers(const Output<T>& out) const {
        call_.launch("forget", forget<T>, item_grid(n_), block_threads, out, n_, energy_, value_);
        return {sites_, out, energy_, value_};
    }

    // Returns how many cells were done.
    template <class Use>
    index_t each(const Use& use, Poll poll, void* context) {
        index_t done = 0;
        while (done < n_) {
            if (done > 0 && poll && poll(context)) break;
            const index_t end = std::min(n_, done + round_cells);
            call_.launch("clip_small", clip_small<Use>, item_grid(end - done), block_threads, scene_, use, done, end,
                         state_);
            again(use, done, end);
            done = end;
        }
        return done;
    }

    // Energy and value, when all cells are done.
    Summary sums() {
        Summary s{n_, 0, 0};
        double both[2];
        for (int k = 0; k < 2; ++k) {
            call_.launch("add_tiles", add_tiles<double>, dim3(static_cast<unsigned>(tiles(n_))), block_threads,
                         k == 0 ? energy_ : value_, n_, parts_);
            call_.launch("sum_rows", sum_rows<double>, dim3(1), block_threads, parts_, tiles(n_), 1.0, total_ + k);
        }
        fetch(call_, both, total_, 2);
        s.energy = both[0];
        s.value = both[1];
        return s;
    }

private:
    // Lays out the arrays; from null, only to learn the size.
    std::size_t lay_out_memory(std::byte* base) {
        Arena arena(base);
        tree_.lay_out(arena);
        scene_ = arena.take<Scene>(1);
        state_ = arena.take<State>(n_);
        density_ = arena.take<double>(pixels_);
        parts_ = arena.take<double>(std::max(tiles(n_), tiles(pixels_)));
        total_ = arena.take<double>(2);
        form_.take(arena, q_.form);
        energy_ = tree_.spare(0);
        value_ = tree_.spare(1);
        return arena.used();
    }

    void build() {
        Findings* const found = tree_.inspect();
        if (pixels_) weigh(call_, as_volume(q_.density), density_, &found->density, parts_, total_);
        const Findings findings = tree_.require_entries();
        if (findings.density != none) {
            const index_t at = static_cast<index_t>(findings.density);
            const index_t i = at / q_.density.cols, j = at % q_.density.cols;
            T v;
            fetch(call_, &v, &q_.density(i, j), 1);
            throw deblai::laguerre::bad_pixel(static_cast<double>(v), i, j);
        }
        Scene scene{};
        std::copy_n(q_.lower, 2, scene.lower);
        std::copy_n(q_.upper, 2, scene.upper);
        normalise(scene);
        form_.fill(call_, q_.form, scene, integrate_);
        corners_ = scene.corners;
        shown_ = density_of(scene);
        tree_.build(findings, scene);
        call_.check(cudaMemcpyAsync(scene_, &scene, sizeof scene, cudaMemcpyHostToDevice, call_.stream()),
                    "cudaMemcpyAsync");
        call_.wait();
    }

    void normalise(Scene& scene) {
        Pixels& p = scene.pixels;
        const double width = q_.upper[0] - q_.lower[0], height = q_.upper[1] - q_.lower[1];
        p.lower_x = q_.lower[0];
        p.lower_y = q_.lower[1];
        p.uniform = 1 / (width * height);
        p.periodic = q_.periodic;
        if (!pixels_) return;
        double total;
        fetch(call_, &total, total_, 1);
        if (!(total > 0 && std::isfinite(total))) throw deblai::laguerre::bad_mass(total);
        p.density = density_;
        p.nx = q_.density.rows;
        p.ny = q_.density.cols;
        p.width = width / static_cast<double>(p.nx);
        p.height = height / static_cast<double>(p.ny);
        call_.launch("divide", divide<double>, item_grid(pixels_), block_threads, density_, pixels_,
                     total * p.width * p.height);
    }

    // Cells begin .. end that wanted more room, with eight times as much until all are done.
    template <class Use>
    void again(const Use& use, index_t begin, index_t end) {
        constexpr std::size_t budget = std::size_t{64} << 20;
        std::vector<State> state(end - begin);
        for (int capacity = std::max(8 * small_room, 2 * corners_);; capacity *= 8) {
            fetch(call_, state.data(), state_ + begin, state.size());
            std::vector<std::uint32_t> list;
            for (index_t k = 0; k < end - begin; ++k) {
                require(state[k] != State::missing, "offsets: expected the counts of the same problem");
                if (state[k] == State::grow) list.push_back(static_cast<std::uint32_t>(begin + k));
            }
            if (list.empty()) return;
            const std::size_t one =
                sizeof(double) * Room::doubles(capacity, Use::rings) + sizeof(std::int32_t) * capacity;
            const std::size_t most = std::clamp<std::size_t>(budget / one, 1, list.size());
            const Memory rooms(call_, most * one), device_list(call_, list.size() * sizeof(std::uint32_t));
            auto* const numbers = reinterpret_cast<double*>(rooms.data());
            auto* const labels = reinterpret_cast<std::int32_t*>(numbers + most * Room::doubles(capacity, Use::rings));
            auto* const places = reinterpret_cast<std::uint32_t*>(device_list.data());
            call_.check(cudaMemcpyAsync(places, list.data(), list.size() * sizeof(std::uint32_t),
                                        cudaMemcpyHostToDevice, call_.stream()),
                        "cudaMemcpyAsync");
            for (std::size_t at = 0; at < list.size(); at += most) {
                const index_t count = static_cast<index_t>(std::min(most, list.size() - at));
                call_.launch("clip_large", clip_large<Use>, item_grid(count), block_threads, scene_, use, places + at,
                             count, capacity, numbers, labels, state_);
            }
            call_.wait();
        }
    }

    const Call call_;
    const Problem<T>& q_;
    index_t n_, pixels_;
    bool integrate_;
    int corners_;
    Density shown_;
    DeviceForm form_;
    const Sites<T> sites_;
    Tree<T, 2> tree_;
    Scene* scene_;
    State* state_;
    double *density_, *parts_, *total_, *energy_, *value_;
    const Memory memory_;
};

// Calls use<D>() for the density of a scene.
template <class F>
index_t with_density(Density d, const F& use) {
    switch (d) {
        case Density::gaussians: return use.template operator()<Density::gaussians>();
        case Density::mesh: return use.template operator()<Density::mesh>();
        case Density::pixels: return use.template operator()<Density::pixels>();
        default: return use.template operator()<Density::uniform>();
    }
}

}  // namespace

template <class T>
Summary cells(const Problem<T>& q, const Output<T>& out, void* stream, int device, Poll poll, void* context) {
    deblai::laguerre::require_shapes(q);
    require(!out.graph.begin && !q.known.begin, "graph, known: expected none on a GPU");
    Run<T> run(q, stream, device, true);
    const index_t done =
        with_density(run.density(), [&]<Density D>() { return run.each(run.template numbers<D>(out), poll, context); });
    return done < q.sites.rows ? Summary{done, nan, nan} : run.sums();
}

template <class T>
index_t polygons(const Problem<T>& q, Vector<const std::int64_t> offsets, Matrix<T> vertices,
                 Vector<std::int64_t> neighbours, void* stream, int device, Poll poll, void* context) {
    deblai::laguerre::require_shapes(q);
    require(offsets.size == q.sites.rows + 1, sums_wanted);
    Run<T> run(q, stream, device, false);
    const Rows rows = run.rows(offsets);
    require(vertices.rows == rows.total && vertices.cols == 2 && neighbours.size == vertices.rows,
            "vertices: expected as many rows as the last offset says");
    return run.each(Outline<T>{rows, run.sites(), vertices, neighbours}, poll, context);
}

template <class T>
index_t facets(const Problem<T>& q, Vector<const std::int64_t> offsets, const Facets<T>& out, void* stream, int device,
               Poll poll, void* context) {
    deblai::laguerre::require_shapes(q);
    require(offsets.size == q.sites.rows + 1, sums_wanted);
    Run<T> run(q, stream, device, true);
    const Rows rows = run.rows(offsets);
    deblai::laguerre::require_rows(out, rows.total);
    return with_density(run.density(), [&]<Density D>() { return run.each(Edges<T, D>{rows, out}, poll, context); });
}

#define DEBLAI_INSTANTIATE(T)                                                                                        \
    template Summary cells(const Problem<T>&, const Output<T>&, void*, int, Poll, void*);                            \
    template index_t polygons(const Problem<T>&, Vector<const std::int64_t>, Matrix<T>, Vector<std::int64_t>, void*, \
                              int, Poll, void*);                                                                     \
    template index_t facets(const Problem<T>&, Vector<const std::int64_t>, const Facets<T>&, void*, int, Poll, void*);
DEBLAI_INSTANTIATE(float)
DEBLAI_INSTANTIATE(double)

}  // namespace deblai::cuda::laguerre
