// Laguerre cells of space: inspect, sort along the curve, build the tree, then one thread a cell; see the other files.
#include "deblai/cuda/laguerre3.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <string>
#include <vector>

#include "laguerre/laguerre_density.cuh"
#include "laguerre/laguerre_tree.cuh"
#include "laguerre3_sink.cuh"

namespace deblai::cuda::laguerre3 {
namespace {

using deblai::laguerre3::Problem;
using deblai::laguerre3::Summary;
using laguerre::fetch;
using laguerre::item;
using laguerre::item_grid;

#if !defined(DEBLAI_ROUND_CELLS)
#define DEBLAI_ROUND_CELLS 2097152
#endif
constexpr index_t round_cells = DEBLAI_ROUND_CELLS;
constexpr int clip_threads = 128;
constexpr int small_room = 64;  // vertices that a thread keeps to itself
constexpr double nan = std::numeric_limits<double>::quiet_NaN();

[[noreturn]] void refuse(const char* reason) { throw InvalidValue(std::string("[quantization.laguerre] ") + reason); }

// A thread a cell. Few at a time, so that what a cell is cut in, 1.5 KiB of it, stays near.
template <class T, bool Dense>
__global__ void __launch_bounds__(clip_threads, 3)
    clip_small(const Scene* scene, Sink<T> sink, index_t begin, index_t end, State* state) {
    const index_t place = begin + blockIdx.x * index_t{clip_threads} + threadIdx.x;
    if (place >= end) return;
    state[place] = State::done;
    if (!sink.wanted(scene->id[place])) return;
    alignas(32) std::byte memory[Room::bytes(small_room)];
    Cell cell(*scene, place, Room(memory, small_room));
    state[place] = cell.clip() ? sink.template put<Dense>(*scene, cell) : State::grow;
}

// Cells of a list, with rooms in global memory.
template <class T>
__global__ void __launch_bounds__(clip_threads)
    clip_large(const Scene* scene, Sink<T> sink, const std::uint32_t* list, index_t count, int capacity,
               std::byte* memory, State* state) {
    const index_t t = blockIdx.x * index_t{clip_threads} + threadIdx.x;
    if (t >= count) return;
    Cell cell(*scene, list[t], Room(memory + t * Room::bytes(capacity), capacity));
    state[list[t]] = cell.clip() ? sink.template put<true>(*scene, cell) : State::grow;
}

template <class T>
__global__ void __launch_bounds__(block_threads) forget(Output<T> out, index_t n, double* energy, double* value) {
    const index_t i = item();
    if (i >= n) return;
    out.mass(i) = out.second_moment(i) = static_cast<T>(nan);
    for (int k = 0; k < 3; ++k) {
        out.centroid(i, k) = static_cast<T>(nan);
        out.counts(i, k) = 0;
    }
    energy[i] = value[i] = nan;
}

// Running sums begin with 0 and never fall. (T: one copy a file.)
template <class T>
__global__ void __launch_bounds__(block_threads) check_offsets(Matrix<const std::int64_t> offsets, State* state) {
    const index_t i = item();
    if (i + 1 >= offsets.rows) return;
    bool good = true;
    for (int k = 0; k < 3; ++k) good &= offsets(i, k) <= offsets(i + 1, k) && (i > 0 || offsets(0, k) == 0);
    state[i] = good ? State::done : State::missing;
}

inline dim3 clip_grid(index_t n) { return dim3(static_cast<unsigned>((n + clip_threads - 1) / clip_threads)); }

template <class T>
class Run {
public:
    Run(const Problem<T>& q, void* stream, int device, bool integrate)
        : call_("quantization.laguerre", stream, device),
          q_(q),
          n_(q.sites.rows),
          voxels_(integrate && q.density ? q.density.size[0] * q.density.size[1] * q.density.size[2] : 0),
          sites_(Sites<T>::of(q)),
          tree_(call_, sites_),
          memory_(call_, lay_out_memory(nullptr)) {
        lay_out_memory(memory_.data());
        build();
    }

    // Returns how many cells were done.
    index_t each(Sink<T> sink, bool (*poll)(void*), void* context) {
        sink.q = sites_;
        sink.voxels = grid_;
        if (sink.energy) {
            sink.energy = energy_;
            sink.value = value_;
            call_.launch("forget", forget<T>, item_grid(n_), block_threads, sink.out, n_, energy_, value_);
        }
        index_t done = 0;
        while (done < n_) {
            if (done > 0 && poll && poll(context)) break;
            const index_t end = std::min(n_, done + round_cells);
            call_.launch("clip_small", q_.density ? clip_small<T, true> : clip_small<T, false>, clip_grid(end - done),
                         clip_threads, scene_, sink, done, end, state_);
            again(sink, done, end);
            done = end;
        }
        return done;
    }

    // Energy and value, when all cells are done.
    Summary sums() {
        double both[2];
        for (int k = 0; k < 2; ++k) {
            call_.launch("add_tiles", laguerre::add_tiles<double>, dim3(static_cast<unsigned>(tiles(n_))),
                         block_threads, k == 0 ? energy_ : value_, n_, parts_);
            call_.launch("sum_rows", sum_rows<double>, dim3(1), block_threads, parts_, tiles(n_), 1.0, total_ + k);
        }
        fetch(call_, both, total_, 2);
        return {n_, both[0], both[1]};
    }

    // The last of running sums, which are checked where they are used: how many vertices, facets and corners there are.
    std::array<std::int64_t, 3> totals(const Matrix<const std::int64_t>& offsets) {
        if (offsets.rows != n_ + 1 || offsets.cols != 3) refuse("offsets: expected shape (n + 1, 3)");
        call_.launch("check_offsets", check_offsets<T>, item_grid(n_), block_threads, offsets, state_);
        std::vector<State> state(n_);
        fetch(call_, state.data(), state_, n_);
        if (std::count(state.begin(), state.end(), State::missing))
            refuse("offsets: expected running sums of the cells' counts");
        std::array<std::int64_t, 3> total;
        for (int k = 0; k < 3; ++k) fetch(call_, &total[k], &offsets(n_, k), 1);
        return total;
    }
    void clear(std::int64_t* at) const {
        call_.check(cudaMemsetAsync(at, 0, sizeof *at, call_.stream()), "cudaMemsetAsync");
    }

private:
    // Lays out the arrays; from null, only to learn the size.
    std::size_t lay_out_memory(std::byte* base) {
        Arena arena(base);
        tree_.lay_out(arena);
        scene_ = arena.take<Scene>(1);
        side_ = arena.take<Side>(q_.planes.rows);
        state_ = arena.take<State>(n_);
        density_ = arena.take<double>(voxels_);
        parts_ = arena.take<double>(std::max(tiles(n_), tiles(voxels_)));
        total_ = arena.take<double>(2);
        energy_ = tree_.spare(0);
        value_ = tree_.spare(1);
        return arena.used();
    }

    void build() {
        auto* const findings = tree_.inspect();
        if (voxels_) laguerre::weigh(call_, q_.density, density_, &findings->density, parts_, total_);
        const laguerre::Found<3> found = tree_.require_entries();
        if (voxels_) normalise(found.density);
        Scene scene{};
        scene.density = 1 / deblai::laguerre3::volume(q_);
        std::copy_n(q_.lower, 3, scene.lower);
        std::copy_n(q_.upper, 3, scene.upper);
        std::vector<Side> sides;
        for (index_t k = 0; k < q_.planes.rows; ++k)
            sides.push_back({{q_.planes(k, 0), q_.planes(k, 1), q_.planes(k, 2)}, q_.planes(k, 3)});
        scene.side = side_;
        scene.sides = static_cast<int>(sides.size());
        if (q_.planes) send(side_, sides.data(), sides.size());
        tree_.build(found, scene);
        send(scene_, &scene, 1);
        call_.wait();
    }

    void normalise(laguerre::flat_index bad) {
        const Volume<const T>& v = q_.density;
        if (bad != laguerre::none) {
            const index_t at = static_cast<index_t>(bad), k = at % v.size[2], j = at / v.size[2] % v.size[1],
                          i = at / v.size[2] / v.size[1];
            T entry;
            fetch(call_, &entry, &v(i, j, k), 1);
            throw deblai::laguerre3::bad_voxel(static_cast<double>(entry), i, j, k);
        }
        double total, unit = 1;
        fetch(call_, &total, total_, 1);
        if (!(total > 0 && std::isfinite(total))) throw deblai::laguerre::bad_mass(total);
        for (int a = 0; a < 3; ++a) {
            grid_.count[a] = v.size[a];
            grid_.lower[a] = q_.lower[a];
            grid_.step[a] = (q_.upper[a] - q_.lower[a]) / static_cast<double>(v.size[a]);
            unit *= grid_.step[a];
        }
        grid_.periodic = q_.periodic;
        grid_.density = density_;
        call_.launch("divide", laguerre::divide<double>, item_grid(voxels_), block_threads, density_, voxels_,
                     unit * total);
    }

    template <class V>
    void send(V* to, const V* from, std::size_t count) const {
        call_.check(cudaMemcpyAsync(to, from, count * sizeof(V), cudaMemcpyHostToDevice, call_.stream()),
                    "cudaMemcpyAsync");
    }

    // Cells begin .. end that wanted more room, with eight times as much until all are done.
    void again(const Sink<T>& sink, index_t begin, index_t end) {
        constexpr std::size_t budget = std::size_t{256} << 20;
        std::vector<State> state(end - begin);
        for (int capacity = small_room;;) {
            fetch(call_, state.data(), state_ + begin, state.size());
            std::vector<std::uint32_t> list;
            const auto left = [](State s) { return s != State::done; };
            for (auto at = state.begin(); (at = std::find_if(at, state.end(), left)) != state.end(); ++at) {
                if (*at == State::missing) refuse("offsets: expected the counts of the same problem");
                list.push_back(static_cast<std::uint32_t>(begin + (at - state.begin())));
            }
            if (list.empty()) return;
            if (capacity == Room::most)
                throw Error("[quantization.laguerre] sites: a cell has more vertices than this backend can keep, " +
                            std::to_string(Room::most) + "; use the CPU");
            capacity = std::min(8 * capacity, Room::most);
            const std::size_t one = Room::bytes(capacity);
            const std::size_t most = std::clamp<std::size_t>(budget / one, 1, list.size());
            const Memory rooms(call_, most * one), device_list(call_, list.size() * sizeof(std::uint32_t));
            auto* const places = reinterpret_cast<std::uint32_t*>(device_list.data());
            send(places, list.data(), list.size());
            for (std::size_t at = 0; at < list.size(); at += most) {
                const index_t count = static_cast<index_t>(std::min(most, list.size() - at));
                call_.launch("clip_large", clip_large<T>, clip_grid(count), clip_threads, scene_, sink, places + at,
                             count, capacity, rooms.data(), state_);
            }
            call_.wait();
        }
    }

    const Call call_;
    const Problem<T>& q_;
    index_t n_, voxels_;
    const Sites<T> sites_;
    laguerre::Tree<T, 3> tree_;
    Scene* scene_;
    Side* side_;
    State* state_;
    double *density_, *parts_, *total_, *energy_, *value_;
    Voxels grid_;
    const Memory memory_;
};

}  // namespace

template <class T>
Summary cells(const Problem<T>& q, const Output<T>& out, void* stream, int device, bool (*poll)(void*), void* context) {
    deblai::laguerre3::require_shapes(q);
    Run<T> run(q, stream, device, true);
    double here = 0;  // any address: numbers are wanted
    const index_t done = run.each({{}, out, &here, &here, {}, {}, {}, {}}, poll, context);
    return done < q.sites.rows ? Summary{done, nan, nan} : run.sums();
}

template <class T>
index_t polyhedra(const Problem<T>& q, const Polyhedra<T>& out, void* stream, int device, bool (*poll)(void*),
                  void* context) {
    deblai::laguerre3::require_shapes(q);
    Run<T> run(q, stream, device, false);
    const auto total = run.totals(out.offsets);
    if (out.vertices.rows != total[0] || out.vertices.cols != 3 || out.neighbours.size != total[1] ||
        out.areas.size != total[1] || out.facet_offsets.size != total[1] + 1 || out.corners.size != total[2])
        refuse("vertices: expected as many rows as the last offset says");
    run.clear(&out.facet_offsets(0));
    return run.each({{}, {}, nullptr, nullptr, out.offsets, out, {}, {}}, poll, context);
}

template <class T>
index_t facets(const Problem<T>& q, Matrix<const std::int64_t> offsets, const Facets<T>& out, void* stream, int device,
               bool (*poll)(void*), void* context) {
    deblai::laguerre3::require_shapes(q);
    Run<T> run(q, stream, device, true);
    const index_t total = run.totals(offsets)[1];
    const auto fits = [&](const Matrix<T>& m, index_t cols) { return !m || (m.rows == total && m.cols == cols); };
    if ((out.neighbours && out.neighbours.size != total) || (out.mass && out.mass.size != total) ||
        !fits(out.first, 3) || !fits(out.second, 9) || !fits(out.offset, 3))
        refuse("facets: expected as many rows as the last offset says");
    return run.each({{}, {}, nullptr, nullptr, offsets, {}, out, {}}, poll, context);
}

#define DEBLAI_INSTANTIATE(T)                                                                               \
    template Summary cells(const Problem<T>&, const Output<T>&, void*, int, bool (*)(void*), void*);        \
    template index_t polyhedra(const Problem<T>&, const Polyhedra<T>&, void*, int, bool (*)(void*), void*); \
    template index_t facets(const Problem<T>&, Matrix<const std::int64_t>, const Facets<T>&, void*, int,    \
                            bool (*)(void*), void*);
DEBLAI_INSTANTIATE(float)
DEBLAI_INSTANTIATE(double)

}  // namespace deblai::cuda::laguerre3
