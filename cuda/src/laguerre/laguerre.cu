// Laguerre cells: inspect, sort along the curve, build the tree, then one thread a cell; see the laguerre_*.cuh files.
#include "deblai/cuda/laguerre.hpp"

#include <algorithm>
#include <vector>

#include "laguerre_clip.cuh"

namespace deblai::cuda::laguerre {
namespace {

using deblai::laguerre::Summary;

constexpr index_t round_cells = index_t{1} << 20;

template <class T>
class Run {
public:
    Run(const Problem<T>& q, void* stream, int device, bool integrate)
        : call_("quantization.laguerre", stream, device),
          q_(q),
          n_(q.sites.rows),
          pixels_(integrate && q.density ? q.density.rows * q.density.cols : 0),
          shape_(n_),
          memory_(call_, lay_out_memory(nullptr)) {
        lay_out_memory(memory_.data());
        sites_ = {q.sites, q.psi, {q.lower[0], q.lower[1]}, {q.upper[0], q.upper[1]}, q.periodic};
        build();
    }

    // Returns how many cells were done.
    index_t each(Sink<T> sink, bool (*poll)(void*), void* context) {
        sink.q = sites_;
        if (sink.energy) {
            sink.energy = energy_;
            sink.value = value_;
            call_.launch("forget", forget<T>, item_grid(n_), block_threads, sink.out, n_, energy_, value_);
        }
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
        Summary s{n_, 0, 0};
        double both[2];
        for (int k = 0; k < 2; ++k) {
            call_.launch("add_tiles", add_tiles<double>, dim3(static_cast<unsigned>(tiles(n_))), block_threads,
                         k == 0 ? energy_ : value_, n_, parts_);
            call_.launch("sum_rows", sum_rows<double>, dim3(1), block_threads, parts_, tiles(n_), 1.0, total_ + k);
        }
        fetch(both, total_, 2);
        s.energy = both[0];
        s.value = both[1];
        return s;
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
        density_ = arena.take<double>(pixels_);
        parts_ = arena.take<double>(std::max(tiles(n_), tiles(pixels_)));
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
                                                    0, 2 * curve_levels, call_.stream()),
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
        if (pixels_) {
            call_.launch("lay_out", lay_out<T>, dim3(static_cast<unsigned>(tiles(pixels_))), block_threads, q_.density,
                         density_, &findings_->density, parts_);
            call_.launch("sum_rows", sum_rows<double>, dim3(1), block_threads, parts_, tiles(pixels_), 1.0, total_);
        }
        Findings found;
        fetch(&found, findings_, 1);
        refuse(found);
        Scene scene{};
        normalise(scene);
        const double low[2] = {unordered(found.low[0]), unordered(found.low[1])};
        const double size = std::max(-unordered(found.high[0]) - low[0], -unordered(found.high[1]) - low[1]);
        const double scale = 2147483648.0 / size;
        call_.launch("place", place<T>, item_grid(n_), block_threads, sites_, low[0], low[1],
                     size > 0 && std::isfinite(scale) ? scale : 0.0, key_[0], index_[0]);
        sort(sorting_, sort_bytes_);
        call_.launch("fill_leaves", fill_leaves<T>, item_grid(shape_.leaves * deblai::laguerre::lanes), block_threads,
                     sites_, index_[1], shape_.leaves, leaf_, id_);
        index_t children = shape_.leaves, below_child = deblai::laguerre::lanes;
        for (int level = 0; level < shape_.levels; ++level, below_child *= deblai::laguerre::lanes) {
            const index_t parents = (children + deblai::laguerre::lanes - 1) / deblai::laguerre::lanes;
            call_.launch("fill_nodes", fill_nodes, item_grid(parents * deblai::laguerre::lanes), block_threads, leaf_,
                         level > 0 ? node_ + shape_.first[level - 1] : nullptr, children, n_, parents, level,
                         below_child, static_cast<bool>(q_.psi), node_ + shape_.first[level]);
            children = parents;
        }
        finish(scene);
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
            const index_t i = static_cast<index_t>(found.sites / 2), k = static_cast<index_t>(found.sites % 2);
            throw bad_entry("sites", most_site, entry(&q_.sites(i, k)), i, k);
        }
        if (found.psi != none) {
            const index_t i = static_cast<index_t>(found.psi);
            throw bad_entry("psi", most_psi, entry(&q_.psi(i)), i, 0);
        }
        if (found.density != none) {
            const index_t at = static_cast<index_t>(found.density), i = at / q_.density.cols, j = at % q_.density.cols;
            throw bad_pixel(entry(&q_.density(i, j)), i, j);
        }
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
        fetch(&total, total_, 1);
        if (!(total > 0 && std::isfinite(total))) throw deblai::laguerre::bad_mass(total);
        p.density = density_;
        p.nx = q_.density.rows;
        p.ny = q_.density.cols;
        p.width = width / static_cast<double>(p.nx);
        p.height = height / static_cast<double>(p.ny);
        call_.launch("divide", divide, item_grid(pixels_), block_threads, density_, pixels_,
                     total * p.width * p.height);
    }

    void finish(Scene& scene) {
        scene.leaf = leaf_;
        scene.node = node_;
        scene.id = id_;
        scene.size = n_;
        scene.levels = shape_.levels;
        std::copy_n(shape_.first, shape_.levels, scene.level);
        scene.weighted = static_cast<bool>(q_.psi);
        scene.periodic = q_.periodic;
        std::copy_n(q_.lower, 2, scene.lower);
        std::copy_n(q_.upper, 2, scene.upper);
        Node root;
        fetch(&root, node_ + shape_.first[shape_.levels - 1], 1);
        set_images(scene, root);
        call_.check(cudaMemcpyAsync(scene_, &scene, sizeof scene, cudaMemcpyHostToDevice, call_.stream()),
                    "cudaMemcpyAsync");
        call_.wait();
    }

    // Cells begin .. end that wanted more room, with eight times as much until all are done.
    void again(const Sink<T>& sink, index_t begin, index_t end) {
        constexpr std::size_t budget = std::size_t{64} << 20;
        std::vector<State> state(end - begin);
        for (int capacity = 8 * small_room;; capacity *= 8) {
            fetch(state.data(), state_ + begin, state.size());
            std::vector<std::uint32_t> list;
            for (index_t k = 0; k < end - begin; ++k) {
                if (state[k] == State::missing)
                    throw InvalidValue("[quantization.laguerre] offsets: expected the counts of the same problem");
                if (state[k] == State::grow) list.push_back(static_cast<std::uint32_t>(begin + k));
            }
            if (list.empty()) return;
            const std::size_t one = sizeof(double) * Room::doubles(capacity) + sizeof(std::int32_t) * capacity;
            const std::size_t most = std::clamp<std::size_t>(budget / one, 1, list.size());
            const Memory rooms(call_, most * one), device_list(call_, list.size() * sizeof(std::uint32_t));
            auto* const numbers = reinterpret_cast<double*>(rooms.data());
            auto* const labels = reinterpret_cast<std::int32_t*>(numbers + most * Room::doubles(capacity));
            auto* const places = reinterpret_cast<std::uint32_t*>(device_list.data());
            call_.check(cudaMemcpyAsync(places, list.data(), list.size() * sizeof(std::uint32_t),
                                        cudaMemcpyHostToDevice, call_.stream()),
                        "cudaMemcpyAsync");
            for (std::size_t at = 0; at < list.size(); at += most) {
                const index_t count = static_cast<index_t>(std::min(most, list.size() - at));
                call_.launch("clip_large", clip_large<T>, item_grid(count), block_threads, scene_, sink, places + at,
                             count, capacity, numbers, labels, state_);
            }
            call_.wait();
        }
    }

    const Call call_;
    const Problem<T>& q_;
    index_t n_, pixels_;
    Shape shape_;
    Leaf* leaf_;
    Node* node_;
    std::int32_t* id_;
    Scene* scene_;
    Findings* findings_;
    State* state_;
    double *density_, *parts_, *total_, *energy_, *value_;
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
    deblai::laguerre::require_shapes(q);
    Run<T> run(q, stream, device, true);
    double here = 0;  // any address: numbers are wanted
    const index_t done = run.each({{}, out, &here, &here, {}, {}, {}}, poll, context);
    return done < q.sites.rows ? Summary{done, nan, nan} : run.sums();
}

template <class T>
index_t polygons(const Problem<T>& q, Vector<const std::int64_t> offsets, Matrix<T> vertices,
                 Vector<std::int64_t> neighbours, void* stream, int device, bool (*poll)(void*), void* context) {
    deblai::laguerre::require_shapes(q);
    if (offsets.size != q.sites.rows + 1 || vertices.cols != 2 || neighbours.size != vertices.rows)
        throw InvalidValue("[quantization.laguerre] offsets: expected n + 1 running sums of the cells' counts");
    Run<T> run(q, stream, device, false);
    return run.each({{}, {}, nullptr, nullptr, offsets, vertices, neighbours}, poll, context);
}

#define DEBLAI_INSTANTIATE(T)                                                                                        \
    template Summary cells(const Problem<T>&, const Output<T>&, void*, int, bool (*)(void*), void*);                 \
    template index_t polygons(const Problem<T>&, Vector<const std::int64_t>, Matrix<T>, Vector<std::int64_t>, void*, \
                              int, bool (*)(void*), void*);
DEBLAI_INSTANTIATE(float)
DEBLAI_INSTANTIATE(double)

}  // namespace deblai::cuda::laguerre
