#include "lloyd-grid.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>

namespace deblai::lloyd {
namespace {

constexpr index_t cells_per_site = 32, most_cells = index_t{1} << 22;
constexpr std::size_t enough = 4;  // candidates of a box that is not halved any more

constexpr std::size_t pieces = 32;

}  // namespace

GridSize grid_size(index_t n, index_t k) {
    GridSize size{1, 0};
    const index_t wanted = std::min({cells_per_site * k, n / 2, most_cells});
    while (2 * size.cells <= wanted) size.cells *= 2;
    size.most_places = static_cast<std::size_t>(16 * k + 4 * size.cells);
    return size;
}

template <class T>
GridBuilder<T>::GridBuilder(const Frame<T>& frame, const T* sites, index_t k, index_t d, const GridSize& size)
    : sites_(sites), k_(k), d_(d), size_(size) {
    grid_.scale = frame.scale;
    // Cells near to cubes: halve the longest edge, again and again.
    double edge[max_grid_dims] = {};
    for (index_t a = 0; a < d; ++a) edge[a] = static_cast<double>(frame.high[a]) - static_cast<double>(frame.low[a]);
    size_.cells = 1;
    for (index_t cells = 1; cells < size.cells; cells *= 2) {
        const auto a = std::max_element(edge, edge + d) - edge;
        if (!(edge[a] > 0)) break;
        ++grid_.bits[a];
        edge[a] /= 2;
        size_.cells = 2 * cells;
    }
    for (index_t a = 0; a < d; ++a) {
        grid_.low[a] = frame.low[a];
        const double extent = static_cast<double>(frame.high[a]) - static_cast<double>(frame.low[a]);
        const double count = static_cast<double>(index_t{1} << grid_.bits[a]);
        grid_.inverse[a] = extent > 0 ? static_cast<T>(count / extent) : T(0);
        low_[a] = grid_.low[a];
        cell_[a] = extent > 0 ? 1 / static_cast<double>(grid_.inverse[a]) : 0;
        // How far a sample may lie outside the cell that rounding puts it into, with room to spare.
        pad_[a] = 8 * std::numeric_limits<T>::epsilon() * extent;
    }
    lists_.resize(2 * static_cast<std::size_t>(size_.cells));
}

template <class T>
int GridBuilder<T>::longest(const Box& box) const {
    int axis = -1;
    for (int a = 0; a < static_cast<int>(d_); ++a)
        if (box.high[a] - box.low[a] > 1 && (axis < 0 || width(box, a) > width(box, axis))) axis = a;
    return axis;
}

template <class T>
std::vector<typename GridBuilder<T>::Box> GridBuilder<T>::cut(std::size_t count) const {
    Box whole{};
    for (int a = 0; a < max_grid_dims; ++a) whole.high[a] = index_t{1} << grid_.bits[a];
    std::vector<Box> boxes{whole};
    for (std::size_t at = 0; boxes.size() < count && at < boxes.size();) {
        const int axis = longest(boxes[at]);
        if (axis < 0) {
            ++at;
            continue;
        }
        Box half = boxes[at];
        half.low[axis] = boxes[at].high[axis] = (half.low[axis] + half.high[axis]) / 2;
        boxes.push_back(half);
        std::rotate(boxes.begin() + at, boxes.begin() + at + 1, boxes.end());
    }
    return boxes;
}

// f(begin, end) for each run of cells that follow one another.
template <class T>
template <class F>
void GridBuilder<T>::rows(const Box& box, const F& f) {
    const int shift1 = grid_.bits[0], shift2 = grid_.bits[0] + grid_.bits[1];
    for (index_t z = box.low[2]; z < box.high[2]; ++z)
        for (index_t y = box.low[1]; y < box.high[1]; ++y) {
            const index_t row = (z << shift2) + (y << shift1);
            f(row + box.low[0], row + box.high[0]);
        }
}

// One piece of the grid, by one thread.
template <class T>
class GridBuilder<T>::Descent {
public:
    Descent(GridBuilder& grid, std::atomic<std::size_t>& places, const Stop& stop)
        : g_(grid), places_(places), stop_(stop) {}

    void run(const Box& box, int worker) {
        worker_ = worker;
        stack_.resize(static_cast<std::size_t>(g_.k_));
        for (index_t j = 0; j < g_.k_; ++j) stack_[j] = static_cast<Word<T>>(j);
        const std::size_t all = stack_.size();
        filter(box, 0, all);
        descend(box, all, stack_.size());
        stack_ = {};
        squared_ = {};
    }
    const std::vector<Word<T>>& places() const { return found_; }

private:
    // Whether sites crowd, or somebody asked to stop: seen by one piece, this ends the others too.
    bool hopeless() {
        if (++visits_ % 1024 == 0 && stop_.requested(worker_)) return true;
        if (stack_.size() > static_cast<std::size_t>(8 * g_.k_ + 1024)) places_ += g_.size_.most_places + 1;
        return places_.load(std::memory_order_relaxed) > g_.size_.most_places;
    }

    // Appends the sites of stack_[begin, end) that can be nearest to a point of the box: all but those that are farther
    // than the site nearest to its centre everywhere in it. That difference is linear, so its extremes are at corners.
    void filter(const Box& box, std::size_t begin, std::size_t end) {
        double centre[max_grid_dims] = {}, half[max_grid_dims] = {}, radius = 0;
        for (index_t a = 0; a < g_.d_; ++a) {
            half[a] = 0.5 * g_.width(box, a) + g_.pad_[a];
            centre[a] = g_.low_[a] + g_.cell_[a] * 0.5 * static_cast<double>(box.low[a] + box.high[a]);
            radius += half[a];
        }
        squared_.resize(end - begin);
        double least = std::numeric_limits<double>::infinity();
        std::size_t nearest = begin;
        for (std::size_t at = begin; at < end; ++at) {
            const T* const y = g_.sites_ + stack_[at] * g_.d_;
            double s = 0;
            for (index_t a = 0; a < g_.d_; ++a) s += (centre[a] - y[a]) * (centre[a] - y[a]);
            squared_[at - begin] = s;
            if (s < least) least = s, nearest = at;
        }
        const T* const first = g_.sites_ + stack_[nearest] * g_.d_;
        for (std::size_t at = begin; at < end; ++at) {
            const Word<T> site = stack_[at];
            const T* const y = g_.sites_ + site * g_.d_;
            const double s = squared_[at - begin];
            // The rounding of squared distances in T, for points of the box.
            double reach = 32 * std::numeric_limits<T>::epsilon() * (s + radius * radius);
            for (index_t a = 0; a < g_.d_; ++a) reach += 2 * half[a] * std::abs(static_cast<double>(y[a]) - first[a]);
            if (s - least <= reach) stack_.push_back(site);
        }
    }

    void descend(const Box& box, std::size_t begin, std::size_t end) {
        const int axis = end - begin <= enough ? -1 : g_.longest(box);
        if (axis < 0) return emit(box, begin, end);
        for (int side = 0; side < 2; ++side) {
            Box half = box;
            (side ? half.low : half.high)[axis] = (box.low[axis] + box.high[axis]) / 2;
            const std::size_t top = stack_.size();
            filter(half, begin, end);
            if (hopeless()) return;
            descend(half, top, stack_.size());
            stack_.resize(top);
        }
    }

    void emit(const Box& box, std::size_t begin, std::size_t end) {
        const auto first = static_cast<Word<T>>(found_.size()), last = static_cast<Word<T>>(first + (end - begin) - 1);
        found_.insert(found_.end(), stack_.begin() + begin, stack_.begin() + end);
        places_.fetch_add(end - begin, std::memory_order_relaxed);
        g_.rows(box, [&](index_t from, index_t to) {
            for (index_t c = from; c < to; ++c) g_.lists_[2 * c] = first, g_.lists_[2 * c + 1] = last;
        });
    }

    GridBuilder& g_;
    std::atomic<std::size_t>& places_;
    const Stop& stop_;
    int worker_ = 0;
    unsigned visits_ = 0;
    std::vector<Word<T>> stack_, found_;
    std::vector<double> squared_;
};

// Candidates of a cell, averaged over the sites: they are where the samples are.
template <class T>
double GridBuilder<T>::mean_length() const {
    double total = 0;
    for (index_t j = 0; j < k_; ++j) {
        index_t cell = 0;
        int shift = 0;
        for (index_t a = 0; a < d_; ++a) {
            const double last = static_cast<double>((index_t{1} << grid_.bits[a]) - 1);
            const double at = (static_cast<double>(sites_[j * d_ + a]) - low_[a]) * grid_.inverse[a];
            cell += static_cast<index_t>(std::clamp(std::floor(at), 0.0, last)) << shift;
            shift += grid_.bits[a];
        }
        total += static_cast<double>(lists_[2 * cell + 1] - lists_[2 * cell] + 1);
    }
    return total / static_cast<double>(k_);
}

template <class T>
bool GridBuilder<T>::build(Team& team) {
    const std::vector<Box> boxes = cut(pieces);
    std::atomic<std::size_t> places{0};
    std::vector<Descent> work(boxes.size(), Descent(*this, places, team.stop()));
    team.run(static_cast<index_t>(boxes.size()),
             [&](index_t task, int worker) { work[task].run(boxes[task], worker); });
    const std::size_t count = places.load();
    if (team.stopped() || count > size_.most_places) return false;
    std::vector<std::size_t> base(boxes.size() + 1);
    for (std::size_t b = 0; b < boxes.size(); ++b) base[b + 1] = base[b] + work[b].places().size();
    id_.resize(count);
    candidates_.resize(count * d_);
    team.run(static_cast<index_t>(boxes.size()), [&](index_t task, int) {
        const auto& found = work[task].places();
        for (std::size_t p = 0; p < found.size(); ++p) {
            id_[base[task] + p] = found[p];
            for (index_t a = 0; a < d_; ++a) candidates_[a * count + base[task] + p] = sites_[found[p] * d_ + a];
        }
        rows(boxes[task], [&](index_t from, index_t to) {
            for (index_t c = 2 * from; c < 2 * to; ++c) lists_[c] += static_cast<Word<T>>(base[task]);
        });
    });
    grid_.lists = lists_.data();
    grid_.id = id_.data();
    for (index_t a = 0; a < d_; ++a) grid_.candidate[a] = candidates_.data() + a * count;
    return mean_length() <= static_cast<double>(k_) / 16;
}

template class GridBuilder<float>;
template class GridBuilder<double>;

}  // namespace deblai::lloyd
