// The factors of a table's product: exponentials made anew, or products of stored ones.
#include <algorithm>

#include "multimarginal-table.hpp"

namespace deblai::multimarginal {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

}  // namespace

// What the tuple of a slab adds to M of the contracted point, for a panel of p.
template <class T>
void PairTable<T>::beside(const Chunk<T>& chunk, std::size_t slab, int p, index_t begin, T* out) const {
    const std::size_t depth = roles_.fixed.size();
    if (depth == 0) std::fill_n(out, panel<T>, T(0));
    for (std::size_t l = 0; l < depth; ++l) {
        const Grid<T> M = store_.grid(roles_.fixed[l], p);
        const index_t at = chunk.tuples[slab * depth + l];
        const T* const from = M.turned ? M.data + begin * M.ld + at : M.data + at * M.ld + begin;
        const index_t step = M.turned ? M.ld : 1;
        for (index_t c = 0; c < panel<T>; ++c) out[c] = from[c * step] + (l ? out[c] : T(0));
    }
}

template <class T>
bool PairTable<T>::factors(const Chunk<T>& chunk, bool tops, bool packs) {
    const index_t first = panels(0), second = store_.problem().symmetric ? 0 : panels(1);
    for (const int side : {0, 1}) live_[side].assign(panels(side) * (cut_.capacity / run), 0);
    if (quick_) {
        find_slab_tops(chunk);
        weigh_rows(chunk);
    }
    const auto task = [&](index_t task, int worker) {
        // Both sides by turns, so that a thread packs panels of rows which its part of the product begins with.
        const index_t both = 2 * std::min(first, second);
        const int side = task < both ? task % 2 : first < second;
        const index_t panel_at = task < both ? task / 2 : task - both / 2;
        if (quick_) {
            scale(chunk, side, panel_at, reinterpret_cast<T*>(stored_.get()) + worker * stored_size_, tops, packs);
            return;
        }
        if (tops) highest(chunk, side, panel_at);
        if (packs) pack(chunk, side, panel_at);
    };
    team_.run(first + second, task, exponential<T> * static_cast<double>(chunk.depth * (first + second) * panel<T>));
    return !team_.stopped();
}

template <class T>
void PairTable<T>::highest(const Chunk<T>& chunk, int side, index_t panel_at) {
    const int p = side ? roles_.q : roles_.p;
    const Grid<T> M = store_.grid(roles_.r, p);
    T others[panel<T>];
    for (std::size_t s = 0; s < chunk.slabs.size(); ++s) {
        const Slab& slab = chunk.slabs[s];
        beside(chunk, s, p, panel_at * panel<T>, others);
        const Operand<T> operand{M, slab.first, slab.last, panel_at * panel<T>, &chunk.halves[slab.at], lift_};
        kernels_.highest(operand, others, &tops_[side][panel_at * panel<T>]);
    }
    if (store_.problem().symmetric)
        std::copy_n(&tops_[0][panel_at * panel<T>], panel<T>, &tops_[1][panel_at * panel<T>]);
}

template <class T>
void PairTable<T>::pack(const Chunk<T>& chunk, int side, index_t panel_at) {
    const int p = side ? roles_.q : roles_.p;
    const index_t begin = panel_at * panel<T>;
    const Grid<T> M = store_.grid(roles_.r, p);
    T* const out = reinterpret_cast<T*>(factors_[side].get()) + begin * cut_.capacity;
    T others[panel<T>], below[panel<T>];
    for (std::size_t s = 0; s < chunk.slabs.size(); ++s) {
        const Slab& slab = chunk.slabs[s];
        beside(chunk, s, p, begin, others);
        for (index_t c = 0; c < panel<T>; ++c) {
            const T top = tops_[side][begin + c];
            below[c] = top > -infinity ? top - others[c] : static_cast<T>(infinity);
        }
        const Operand<T> operand{M, slab.first, slab.last, begin, &chunk.halves[slab.at], lift_};
        if (!kernels_.pack(operand, below, out + slab.at * panel<T>)) continue;
        for (index_t k = slab.at / run; k <= (slab.at + slab.last - slab.first - 1) / run; ++k)
            live_[side][panel_at * (cut_.capacity / run) + k] = 1;
    }
}

// Exponentials of what each row of the depth weighs, a third of the lift each, below the largest of its slab.
template <class T>
void PairTable<T>::weigh_rows(const Chunk<T>& chunk) {
    row_weights_.resize(cut_.capacity + stretch);
    for (std::size_t s = 0; s < chunk.slabs.size(); ++s) {
        const Slab& slab = chunk.slabs[s];
        const index_t whole = (slab.last - slab.first + stretch - 1) / stretch * stretch;
        kernels_.lifted(&chunk.halves[slab.at], whole, slab_tops_[s], lift_ / 3, &row_weights_[slab.at]);
    }
}

template <class T>
void PairTable<T>::find_slab_tops(const Chunk<T>& chunk) {
    slab_tops_.clear();
    for (const Slab& slab : chunk.slabs) {
        const T* const halves = &chunk.halves[slab.at];
        slab_tops_.push_back(*std::max_element(halves, halves + (slab.last - slab.first)));
    }
}

// The largest entry of each column of a panel of M, and if wanted the exponentials of what lies below it.
template <class T>
void PairTable<T>::keep_kernel(int side, index_t begin, T* own, T* stored) const {
    const T none = -std::numeric_limits<T>::infinity();
    const Operand<T> M{store_.grid(roles_.r, side ? roles_.q : roles_.p),
                       0,
                       store_.side(roles_.r).size,
                       begin,
                       zeros_.data(),
                       lift_ - lift_ / 3 * 2};
    std::fill_n(own, panel<T>, none);
    kernels_.highest(M, zeros_.data(), own);
    if (!stored) return;
    T below[panel<T>];
    for (index_t c = 0; c < panel<T>; ++c) below[c] = own[c] > none ? own[c] : -none;
    kernels_.pack(M, below, stored);
}

template <class T>
void PairTable<T>::raise_tops(const Chunk<T>& chunk, int side, index_t begin, const T* own) {
    T others[panel<T>], *const top = &tops_[side][begin];
    for (std::size_t s = 0; s < chunk.slabs.size(); ++s) {
        beside(chunk, s, side ? roles_.q : roles_.p, begin, others);
        for (index_t c = 0; c < panel<T>; ++c) top[c] = std::max(top[c], others[c] + own[c] + slab_tops_[s]);
    }
    if (store_.problem().symmetric) std::copy_n(top, panel<T>, &tops_[1][begin]);
}

// As `highest` and `pack`, from stored exponentials; tops are those of each of them.
template <class T>
void PairTable<T>::scale(const Chunk<T>& chunk, int side, index_t panel_at, T* stored, bool tops, bool packs) {
    const int p = side ? roles_.q : roles_.p;
    const index_t begin = panel_at * panel<T>;
    constexpr std::size_t at_once = 16;  // slabs
    T own[panel<T>], others[panel<T>], exponents[at_once * panel<T>], scales[at_once * panel<T>];
    keep_kernel(side, begin, own, packs ? stored : nullptr);
    if (tops) raise_tops(chunk, side, begin, own);
    if (!packs) return;
    const T none = -std::numeric_limits<T>::infinity(), *const top = &tops_[side][begin];
    T* const out = reinterpret_cast<T*>(factors_[side].get()) + begin * cut_.capacity;
    for (std::size_t first = 0; first < chunk.slabs.size(); first += at_once) {
        const std::size_t last = std::min(chunk.slabs.size(), first + at_once);
        for (std::size_t s = first; s < last; ++s) {
            beside(chunk, s, p, begin, others);
            for (index_t c = 0; c < panel<T>; ++c)
                exponents[(s - first) * panel<T> + c] =
                    top[c] > none ? others[c] + own[c] + slab_tops_[s] - top[c] : none;
        }
        kernels_.lifted(exponents, static_cast<index_t>(last - first) * panel<T>, T(0), lift_ / 3, scales);
        for (std::size_t s = first; s < last; ++s) {
            const Slab& slab = chunk.slabs[s];
            const T* const v = scales + (s - first) * panel<T>;
            kernels_.scale(stored + slab.first * panel<T>, &row_weights_[slab.at], v, slab.last - slab.first,
                           out + slab.at * panel<T>);
            if (std::all_of(v, v + panel<T>, [](T x) { return x == 0; })) continue;
            for (index_t k = slab.at / run; k <= (slab.at + slab.last - slab.first - 1) / run; ++k)
                live_[side][panel_at * (cut_.capacity / run) + k] = 1;
        }
    }
}

// What one thread needs in `at_once` for tables of so many columns of both factors: a run of them, and for one slab
// what scales its columns (and the exponents of that) and its rows.
template <class T>
std::size_t PairTable<T>::own_size(std::size_t columns) {
    return (run + 2) * columns + run + stretch;
}

// As `factors` by stored exponentials and `products`, where a task spans the whole table: the factors of a run are
// made when they are multiplied, and stay in the cache.
template <class T>
bool PairTable<T>::at_once(const Chunk<T>& chunk, bool tops, bool first) {
    const index_t sides = store_.problem().symmetric ? 1 : 2, n = store_.side(roles_.p).size;
    const index_t lda = store_.side(roles_.p).ld, ldb = store_.side(roles_.q).ld, ld_r = store_.side(roles_.r).ld;
    const index_t columns = lda + (sides > 1 ? ldb : 0), right_at = sides > 1 ? lda : 0;
    const T none = -std::numeric_limits<T>::infinity();
    T* const kernel = reinterpret_cast<T*>(kernel_.get());
    find_slab_tops(chunk);
    own_tops_.resize(columns);
    for (index_t c = 0; c < columns; c += panel<T>) {
        const int side = c >= lda;
        const index_t begin = side ? c - lda : c;
        keep_kernel(side, begin, &own_tops_[c], kernel + c * ld_r);
        if (tops) raise_tops(chunk, side, begin, &own_tops_[c]);
    }
    const index_t runs = (chunk.depth + run - 1) / run;
    const auto task = [&](index_t slice, int worker) {
        T* const values =
            slice ? reinterpret_cast<T*>(slices_.get()) + (slice - 1) * lda * ldb : reinterpret_cast<T*>(values_.get());
        if (first) std::fill_n(values, n * ldb, T(0));
        T* const factor = reinterpret_cast<T*>(stored_.get()) + worker * stored_size_;
        T *const exponents = factor + run * columns, *const scales = exponents + columns,
                 *const rows = scales + columns;
        std::size_t s = 0;
        for (index_t k = slice * runs / cut_.slices; k < (slice + 1) * runs / cut_.slices; ++k) {
            const index_t end = std::min(chunk.depth, (k + 1) * run);
            bool live = false;
            for (index_t at = k * run; at < end;) {
                while (at >= chunk.slabs[s].at + chunk.slabs[s].last - chunk.slabs[s].first) ++s;
                const Slab& slab = chunk.slabs[s];
                const index_t stop = std::min(end, slab.at + slab.last - slab.first), count = stop - at;
                for (index_t c = 0; c < columns; c += panel<T>) {
                    const int side = c >= lda;
                    const index_t begin = side ? c - lda : c;
                    const T* const top = &tops_[side][begin];
                    T* const e = exponents + c;
                    beside(chunk, s, side ? roles_.q : roles_.p, begin, e);
                    for (index_t l = 0; l < panel<T>; ++l)
                        e[l] = top[l] > none ? e[l] + own_tops_[c + l] + slab_tops_[s] - top[l] : none;
                }
                kernels_.lifted(exponents, columns, T(0), lift_ / 3, scales);
                kernels_.lifted(&chunk.halves[at], (count + stretch - 1) / stretch * stretch, slab_tops_[s], lift_ / 3,
                                rows);
                const index_t from = slab.first + at - slab.at;
                for (index_t c = 0; c < columns; c += panel<T>)
                    kernels_.scale(kernel + c * ld_r + from * panel<T>, rows, scales + c, count,
                                   factor + c * run + (at - k * run) * panel<T>);
                live = live || std::any_of(scales, scales + columns, [](T x) { return x != 0; });
                at = stop;
            }
            for (index_t j = 0; live && j < ldb; j += panel<T>)
                for (index_t i = 0; i < (half_ ? j + panel<T> : lda); i += panel<T>)
                    kernels_.product(factor + i * run, factor + (right_at + j) * run, end - k * run,
                                     std::min(panel<T>, n - i), values + i * ldb + j, ldb);
        }
    };
    team_.run(cut_.slices, task, multiplication<T> * static_cast<double>(chunk.depth * lda * ldb));
    return !team_.stopped();
}

template class PairTable<float>;
template class PairTable<double>;

}  // namespace deblai::multimarginal
