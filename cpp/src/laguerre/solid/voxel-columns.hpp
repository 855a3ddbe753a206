// Integrals over convex polyhedra of a density of voxels (deblai/voxels3.hpp): facets are cut along columns of constant
// (y, z), and what lies between them is summed along each column, from where it begins in the polyhedron. Work: the
// voxels that facets cross, and an addition for each that lies inside.
#pragma once

#include <algorithm>
#include <vector>

#include "deblai/voxels3.hpp"

namespace deblai::laguerre3 {

// Takes the facets of one polyhedron after the other; keeps its memory.
class VoxelColumns {
public:
    // `origin` is what coordinates are relative to.
    void start(const Voxels& voxels, Point3 origin) {
        parts.grid = VoxelGrid(voxels, origin);
        point_.clear();
        piece_.clear();
    }

    // A facet, counter-clockwise from outside.
    void add(const Point3* p, int size) {
        if (flat(p, size, 1) || flat(p, size, 2)) return;
        parts.each_column(p, size, [&](index_t j, index_t k, const Polygon& part) {
            piece_.push_back({j, k, -1, point_.size(), part.size()});
            point_.insert(point_.end(), part.begin(), part.end());
        });
    }

    // Moments of the polyhedron whose facets were added.
    Moments3 moments() {
        Moments3 sum;
        if (piece_.empty()) return sum;
        link_columns();
        double all = 0;
        for (const std::ptrdiff_t head : head_)
            if (head >= 0) add_column(head, sum, all);
        // What is left of less than rounding is nothing.
        if (!(sum.mass > 1e-15 * all)) return {};
        return sum;
    }

private:
    using Polygon = std::vector<Point3>;
    struct Piece {
        index_t j, k;
        std::ptrdiff_t next;  // of the same column
        std::size_t begin, size;
    };

    void link_columns() {
        index_t low[2] = {piece_[0].j, piece_[0].k}, high[2] = {piece_[0].j, piece_[0].k};
        for (const Piece& p : piece_) {
            low[0] = std::min(low[0], p.j), low[1] = std::min(low[1], p.k);
            high[0] = std::max(high[0], p.j), high[1] = std::max(high[1], p.k);
        }
        const index_t wide = high[0] - low[0] + 1;
        head_.assign(wide * (high[1] - low[1] + 1), -1);
        for (std::size_t n = 0; n < piece_.size(); ++n) {
            std::ptrdiff_t& head = head_[(piece_[n].k - low[1]) * wide + piece_[n].j - low[0]];
            piece_[n].next = head;
            head = static_cast<std::ptrdiff_t>(n);
        }
    }

    void add_column(std::ptrdiff_t head, Moments3& sum, double& all) {
        double low = point_[piece_[head].begin].x, high = low;
        for (std::ptrdiff_t n = head; n >= 0; n = piece_[n].next)
            for (std::size_t c = 0; c < piece_[n].size; ++c) {
                const double x = point_[piece_[n].begin + c].x;
                low = std::min(low, x), high = std::max(high, x);
            }
        const VoxelGrid& grid = parts.grid;
        const VoxelGrid::Range r = grid.range(0, low, high);
        below_.clear();
        // The first voxel begins at the lowest point itself, for voxels may be much larger than cells.
        Below at{0, low};
        for (index_t i = r.first; i <= r.last; ++i) {
            at.density = grid.of(i, piece_[head].j, piece_[head].k);
            below_.push_back(at);
            at.pass(grid.plane(0, i + 1));
        }
        if (at.zero == 0) return;
        const double before = below_[0].density * (low - grid.plane(0, r.first));
        for (std::ptrdiff_t n = head; n >= 0; n = piece_[n].next)
            parts.each_voxel(point_.data() + piece_[n].begin, static_cast<int>(piece_[n].size),
                             [&](index_t i, const Polygon& part) {
                                 const Below& b = below_[std::min(std::max(i, r.first), r.last) - r.first];
                                 for (std::size_t c = 1; c + 1 < part.size(); ++c)
                                     b.add_triangle(part[0], part[c], part[c + 1], before, sum, all);
                             });
    }

public:
    VoxelParts<Polygon> parts;

private:
    Polygon point_;
    std::vector<Piece> piece_;
    std::vector<std::ptrdiff_t> head_;
    std::vector<Below> below_;
};

}  // namespace deblai::laguerre3
