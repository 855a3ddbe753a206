// The polyhedron that a cell is, facet by facet; see deblai/polytope3.hpp.
#pragma once

#include <cstdint>
#include <vector>

#include "deblai/polytope3.hpp"
#include "laguerre3-kernels.hpp"

namespace deblai::laguerre3 {

class Polytope {
public:
    // Of a cell that was just computed in this scratch; keeps its memory from cell to cell.
    void read(const Scratch& m, const Cell& cell) {
        const std::size_t n = static_cast<std::size_t>(cell.size);
        memory_.resize(3 * n + cell.planes);
        int* const at = memory_.data();
        graph_ = {m.x, m.y, m.z, m.corner, cell.size, cell.planes, at, at + n, at + 2 * n, at + 3 * n};
        vertices_ = graph_.read(cell.touching);
        facet_.clear();
        corner_.clear();
        for (int p = 0; p < cell.planes; ++p) {
            const std::size_t begin = corner_.size();
            corner_.resize(begin + n);
            const int size = graph_.walk(p, corner_.data() + begin);
            corner_.resize(begin + size);
            if (size > 0) facet_.push_back({m.label[p], begin});
        }
    }

    struct Facet {
        std::int64_t label;
        std::size_t begin;  // of its corners
    };
    int vertices() const { return vertices_; }
    const std::vector<Facet>& facets() const { return facet_; }
    std::size_t end(std::size_t facet) const {
        return facet + 1 < facet_.size() ? facet_[facet + 1].begin : corner_.size();
    }
    const std::vector<int>& corners() const { return corner_; }  // as vertices of the scratch
    int number(int corner) const { return graph_.number[corner]; }
    bool leads(int v) const { return graph_.leads(v); }

private:
    Polytope3<Corner, int> graph_{};
    std::vector<int> memory_, corner_;
    std::vector<Facet> facet_;
    int vertices_ = 0;
};

}  // namespace deblai::laguerre3
