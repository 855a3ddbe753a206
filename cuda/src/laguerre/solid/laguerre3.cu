// Laguerre cells of space: inspect, sort along the curve, build the tree, then one thread a cell; see the other files.
#include "deblai/cuda/laguerre3.hpp"

#include <algorithm>
#include <limits>
#include <vector>

#include "laguerre3_cell.cuh"
#include "laguerre3_tree.cuh"

namespace deblai::cuda::laguerre3 {
namespace {

using deblai::laguerre3::Output;
using deblai::laguerre3::Shape;
using deblai::laguerre3::Summary;

constexpr index_t round_cells = index_t{1} << 20;
constexpr int small_room = 64;  // vertices that a thread keeps to itself
constexpr double nan = std::numeric_limits<double>::quiet_NaN();

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
          shape_(n_),
          memory_(call_, lay_out_memory(nullptr)) {
        lay_out_memory(memory_.data());
        sites_ = {q.sites, q.psi, {}, {}, q.periodic};
        std::copy_n(q.lower, 3, sites_.lower);
        std::copy_n(q.upper, 3, sites_.upper);
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
        fetch(both, total_, 2);
        return {n_, both[0], both[1]};
    }

private:
    // Lays out the arrays; from null, only to learn the size.
    std::size_t lay_out_memory(std::byte* base) {
        Arena arena(base);
        leaf_ = arena.take<Leaf>(shape_.leaves);
        node_ = arena.take<Node>(shape_.nodes);
        id_ = arena.take<std::int32_t>(n_);
        scene_ = arena.take<Scene>(1);
        findings_ = arena.take<Findings>(1);
        state_ = arena.take<State>(n_);
        parts_ = arena.take<double>(tiles(n_));
        total_ = arena.take<double>(2);
        // Keys are needed before the sums are.
        for (auto*& k : key_) k = arena.take<std::uint64_t>(n_);
        for (auto*& i : index_) i = arena.take<std::uint32_t>(n_);
        energy_ = reinterpret_cast<double*>(key_[0]);
        value_ = reinterpret_cast<double*>(key_[1]);
        sort_bytes_ = 0;
        sort(nullptr, sort_bytes_);
        sorting_ = arena.take<std::byte>(std::max<std::size_t>(sort_bytes_, 1));
        return arena.used();
    }

    void sort(void* temporary, std::size_t& bytes) {
        call_.check(cub::DeviceRadixSort::SortPairs(temporary, bytes, const_cast<const std::uint64_t*>(key_[0]),
                                                    key_[1], const_cast<const std::uint32_t*>(index_[0]), index_[1], n_,
                                                    0, 3 * curve_levels, call_.stream()),
                    "cub::DeviceRadixSort");
    }

    template <class V>
    void fetch(V* to, const V* from, std::size_t count) const {
        call_.check(cudaMemcpyAsync(to, from, count * sizeof(V), cudaMemcpyDeviceToHost, call_.stream()),
                    "cudaMemcpyAsync");
        call_.wait();
    }

    void build() {
        call_.check(cudaMemsetAsync(findings_, 0xFF, sizeof(Findings), call_.stream()), "cudaMemsetAsync");
        call_.launch("inspect", inspect<T>, item_grid(n_), block_threads, sites_, findings_);
        Findings found;
        fetch(&found, findings_, 1);
        refuse(found);
        Origin origin{};
        double size = 0;
        for (int k = 0; k < 3; ++k) {
            origin.low[k] = laguerre::unordered(found.low[k]);
            size = std::max(size, -laguerre::unordered(found.high[k]) - origin.low[k]);
        }
        const double scale = 2097152.0 / size;
        origin.scale = size > 0 && std::isfinite(scale) ? scale : 0.0;
        call_.launch("place", place<T>, item_grid(n_), block_threads, sites_, origin, key_[0], index_[0]);
        sort(sorting_, sort_bytes_);
        call_.launch("fill_leaves", fill_leaves<T>, item_grid(shape_.leaves * lanes), block_threads, sites_, index_[1],
                     shape_.leaves, leaf_, id_);
        index_t children = shape_.leaves, below_child = lanes;
        for (int level = 0; level < shape_.levels; ++level, below_child *= lanes) {
            const index_t parents = (children + lanes - 1) / lanes;
            call_.launch("fill_nodes", fill_nodes<T>, item_grid(parents * lanes), block_threads, sites_, leaf_,
                         level > 0 ? node_ + shape_.first[level - 1] : nullptr, children, parents, level, below_child,
                         node_ + shape_.first[level]);
            children = parents;
        }
        finish();
    }

    void refuse(const Findings& found) const {
        constexpr flat_index none = ~flat_index{0};
        using namespace deblai::laguerre;
        const auto entry = [&](const T* at) {
            T v;
            fetch(&v, at, 1);
            return static_cast<double>(v);
        };
        if (found.sites != none) {
            const index_t i = static_cast<index_t>(found.sites / 3), k = static_cast<index_t>(found.sites % 3);
            throw bad_entry("sites", most_site, entry(&q_.sites(i, k)), i, k);
        }
        if (found.psi != none) {
            const index_t i = static_cast<index_t>(found.psi);
            throw bad_entry("psi", most_psi, entry(&q_.psi(i)), i, 0);
        }
    }

    void finish() {
        Scene scene{};
        scene.leaf = leaf_;
        scene.node = node_;
        scene.id = id_;
        scene.size = n_;
        scene.levels = shape_.levels;
        std::copy_n(shape_.first, shape_.levels, scene.level);
        scene.weighted = static_cast<bool>(q_.psi);
        scene.periodic = q_.periodic;
        scene.density = 1;
        for (int k = 0; k < 3; ++k) {
            scene.lower[k] = q_.lower[k];
            scene.upper[k] = q_.upper[k];
            scene.density /= q_.upper[k] - q_.lower[k];
        }
        Node root;
        fetch(&root, node_ + shape_.first[shape_.levels - 1], 1);
        set_images(scene, root);
        call_.check(cudaMemcpyAsync(scene_, &scene, sizeof scene, cudaMemcpyHostToDevice, call_.stream()),
                    "cudaMemcpyAsync");
        call_.wait();
    }

    // Cells begin .. end that wanted more room, with eight times as much until all are done.
    void again(const Sink<T>& sink, index_t begin, index_t end) {
        constexpr std::size_t budget = std::size_t{256} << 20;
        std::vector<State> state(end - begin);
        for (int capacity = small_room;;) {
            fetch(state.data(), state_ + begin, state.size());
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
    Shape shape_;
    Leaf* leaf_;
    Node* node_;
    std::int32_t* id_;
    Scene* scene_;
    Findings* findings_;
    State* state_;
    double *parts_, *total_, *energy_, *value_;
    std::uint64_t* key_[2];
    std::uint32_t* index_[2];
    void* sorting_;
    std::size_t sort_bytes_;
    const Memory memory_;
    Sites<T> sites_;
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
