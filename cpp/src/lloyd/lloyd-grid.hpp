// Builds the grid of lloyd: a box of samples cut into 2^bits cells along each axis, and for each cell every site that
// can be nearest to one of its points. Boxes are halved, and with them the list of the sites that count in them, until
// few are left; all cells of such a box share its list.
#pragma once

#include <cstddef>
#include <vector>

#include "deblai/parallel.hpp"
#include "lloyd-kernels.hpp"

namespace deblai::lloyd {

// The box of the samples and the sites, in units of `scale`.
template <class T>
struct Frame {
    T scale;
    T low[max_grid_dims], high[max_grid_dims];  // of the samples
};

struct GridSize {
    index_t cells;
    std::size_t most_places;  // candidates in all lists together
};

GridSize grid_size(index_t n, index_t k);

template <class T>
class GridBuilder {
public:
    // `sites` (k, d) are scaled; they and the arrays of `grid` live as long as this.
    GridBuilder(const Frame<T>& frame, const T* sites, index_t k, index_t d, const GridSize& size);

    // False where a grid would not pay: the sites crowd in few of its cells.
    bool build(Team& team);
    const Grid<T>& grid() const { return grid_; }

private:
    struct Box {
        index_t low[max_grid_dims], high[max_grid_dims];  // cells [low, high)
    };
    class Descent;

    double width(const Box& box, index_t k) const { return cell_[k] * static_cast<double>(box.high[k] - box.low[k]); }
    int longest(const Box& box) const;
    std::vector<Box> cut(std::size_t count) const;
    template <class F>
    void rows(const Box& box, const F& f);
    double mean_length() const;

    const T* sites_;
    index_t k_, d_;
    GridSize size_;
    double low_[max_grid_dims], cell_[max_grid_dims], pad_[max_grid_dims];
    Grid<T> grid_{};
    std::vector<Word<T>> lists_, id_;
    std::vector<T> candidates_;
};

}  // namespace deblai::lloyd
