// Laguerre cells of space: inspect, sort along the curve, build the tree, then one thread a cell; see the other files.
#include "deblai/cuda/laguerre3.hpp"

#include <algorithm>
#include <limits>
#include <vector>

#include "laguerre/laguerre_tree.cuh"
#include "laguerre3_cell.cuh"

namespace deblai::cuda::laguerre3 {
namespace {

using deblai::laguerre3::Output;
using deblai::laguerre3::Problem;
using deblai::laguerre3::Summary;

constexpr index_t round_cells = index_t{1} << 20;
constexpr int small_room = 64;  // vertices that a thread keeps to itself
constexpr double nan = std::numeric_limits<double>::quiet_NaN();

using laguerre::fetch;
using laguerre::item;
using laguerre::item_grid;

template <class T>
using Sites = laguerre::Points<T, 3>;

enum class State : unsigned char { done, grow };

template <class T>
struct Sink {
    Sites<T> q;
    Output<T> out;
    double *energy, *value;  // of each place

    __device__ State put(const Scene& scene, index_t place, Cell& cell) const {
        const index_t i = scene.id[place];
        Moments m = cell.moments();
        const bool kept = m.mass > 0;
        if (!kept) m = {};
        const double psi = q.psi ? static_cast<double>(q.psi(i)) : 0.0, density = scene.density;
        for (int k = 0; k < 3; ++k) {
            out.centroid(i, k) =
                static_cast<T>(static_cast<double>(q.sites(i, k)) + (kept ? m.first[k] / m.mass : 0.0));
            if (out.grad_sites) out.grad_sites(i, k) = static_cast<T>(-2 * density * m.first[k]);
        }
        out.mass(i) = static_cast<T>(density * m.mass);
        out.second_moment(i) = static_cast<T>(density * m.second);
        out.counts(i, 0) = kept ? cell.size() : 0;
        out.counts(i, 1) = kept ? cell.size() / 2 + 2 : 0;
        out.counts(i, 2) = kept ? 3 * cell.size() : 0;
        energy[place] = density * m.second;
        value[place] = density * (m.second - psi * m.mass);
        return State::done;
    }
};

template <class T>
__global__ void __launch_bounds__(block_threads)
    clip_small(const Scene* scene, Sink<T> sink, index_t begin, index_t end, State* state) {
    const index_t place = begin + item();
    if (place >= end) return;
    alignas(16) std::byte memory[Room::bytes(small_room)];
    Cell cell(*scene, place, Room(memory, small_room));
    state[place] = cell.clip() ? sink.put(*scene, place, cell) : State::grow;
}

// Cells of a list, with rooms in global memory.
template <class T>
__global__ void __launch_bounds__(block_threads)
    clip_large(const Scene* scene, Sink<T> sink, const std::uint32_t* list, index_t count, int capacity,
               std::byte* memory, State* state) {
    const index_t t = item();
    if (t >= count) return;
    Cell cell(*scene, list[t], Room(memory + t * Room::bytes(capacity), capacity));
    state[list[t]] = cell.clip() ? sink.put(*scene, list[t], cell) : State::grow;
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

template <class T>
class Run {
public:
    Run(const Problem<T>& q, void* stream, int device)
        : call_("quantization.laguerre", stream, device),
          q_(q),
          n_(q.sites.rows),
          sites_(Sites<T>::of(q)),
          tree_(call_, sites_),
          memory_(call_, lay_out_memory(nullptr)) {
        lay_out_memory(memory_.data());
        build();
    }

    // Returns how many cells were done.
    index_t each(const Output<T>& out, bool (*poll)(void*), void* context) {
        const Sink<T> sink{sites_, out, energy_, value_};
        call_.launch("forget", forget<T>, item_grid(n_), block_threads, out, n_, energy_, value_);
        index_t done = 0;
        while (done < n_) {
            if (done > 0 && poll && poll(context)) break;
            const index_t end = std::min(n_, done + round_cells);
            call_.launch("clip_small", clip_small<T>, item_grid(end - done), block_threads, scene_, sink, done, end,
                         state_);
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

private:
    // Lays out the arrays; from null, only to learn the size.
    std::size_t lay_out_memory(std::byte* base) {
        Arena arena(base);
        tree_.lay_out(arena);
        scene_ = arena.take<Scene>(1);
        state_ = arena.take<State>(n_);
        parts_ = arena.take<double>(tiles(n_));
        total_ = arena.take<double>(2);
        energy_ = tree_.spare(0);
        value_ = tree_.spare(1);
        return arena.used();
    }

    void build() {
        tree_.inspect();
        const auto found = tree_.require_entries();
        Scene scene{};
        scene.density = 1;
        for (int k = 0; k < 3; ++k) {
            scene.lower[k] = q_.lower[k];
            scene.upper[k] = q_.upper[k];
            scene.density /= q_.upper[k] - q_.lower[k];
        }
        tree_.build(found, scene);
        call_.check(cudaMemcpyAsync(scene_, &scene, sizeof scene, cudaMemcpyHostToDevice, call_.stream()),
                    "cudaMemcpyAsync");
        call_.wait();
    }

    // Cells begin .. end that wanted more room, with eight times as much until all are done.
    void again(const Sink<T>& sink, index_t begin, index_t end) {
        constexpr std::size_t budget = std::size_t{256} << 20;
        std::vector<State> state(end - begin);
        for (int capacity = small_room;;) {
            fetch(call_, state.data(), state_ + begin, state.size());
            std::vector<std::uint32_t> list;
            for (index_t k = 0; k < end - begin; ++k)
                if (state[k] == State::grow) list.push_back(static_cast<std::uint32_t>(begin + k));
            if (list.empty()) return;
            if (capacity == Room::most)
                throw Error("[quantization.laguerre] sites: a cell has more vertices than this backend can keep, " +
                            std::to_string(Room::most) + "; use the CPU");
            capacity = std::min(8 * capacity, Room::most);
            const std::size_t one = Room::bytes(capacity);
            const std::size_t most = std::clamp<std::size_t>(budget / one, 1, list.size());
            const Memory rooms(call_, most * one), device_list(call_, list.size() * sizeof(std::uint32_t));
            auto* const places = reinterpret_cast<std::uint32_t*>(device_list.data());
            call_.check(cudaMemcpyAsync(places, list.data(), list.size() * sizeof(std::uint32_t),
                                        cudaMemcpyHostToDevice, call_.stream()),
                        "cudaMemcpyAsync");
            for (std::size_t at = 0; at < list.size(); at += most) {
                const index_t count = static_cast<index_t>(std::min(most, list.size() - at));
                call_.launch("clip_large", clip_large<T>, item_grid(count), block_threads, scene_, sink, places + at,
                             count, capacity, rooms.data(), state_);
            }
            call_.wait();
        }
    }

    const Call call_;
    const Problem<T>& q_;
    index_t n_;
    const Sites<T> sites_;
    laguerre::Tree<T, 3> tree_;
    Scene* scene_;
    State* state_;
    double *parts_, *total_, *energy_, *value_;
    const Memory memory_;
};

}  // namespace

template <class T>
Summary cells(const Problem<T>& q, const Output<T>& out, void* stream, int device, bool (*poll)(void*), void* context) {
    deblai::laguerre3::require_shapes(q);
    if (q.density || q.planes)
        throw InvalidValue("[quantization.laguerre] measure: expected the uniform measure of a box on a GPU");
    Run<T> run(q, stream, device);
    const index_t done = run.each(out, poll, context);
    return done < q.sites.rows ? Summary{done, nan, nan} : run.sums();
}

template Summary cells(const Problem<float>&, const Output<float>&, void*, int, bool (*)(void*), void*);
template Summary cells(const Problem<double>&, const Output<double>&, void*, int, bool (*)(void*), void*);

}  // namespace deblai::cuda::laguerre3
