// The polyhedron that a cell is: what coincides is one vertex, and facets without area are none. (A lattice's cell has
// more than three planes through a vertex, and planes that only touch it.)
#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

#include "laguerre3-kernels.hpp"

namespace deblai::laguerre3 {

class Polytope {
public:
    // Of a cell that was just computed in this scratch; keeps its memory from cell to cell.
    void read(const Scratch& m, const Cell& cell) {
        m_ = &m;
        vertex_.assign(cell.size, -1);
        number_.assign(cell.size, -1);
        any_.assign(cell.planes, -1);
        facet_.clear();
        corner_.clear();
        for (int v = 0; v < cell.size; ++v) {
            if (vertex_[v] < 0) unite(v);
            for (int k = 0; k < 3; ++k) any_[m.corner[v].plane[k]] = 3 * v + k;
        }
        if (cell.touching) {
            drop_flat(cell);
        } else {
            for (int v = 0; v < cell.size; ++v) number_[v] = 0;
        }
        vertices_ = 0;
        for (int v = 0; v < cell.size; ++v)
            if (vertex_[v] == v && number_[v] >= 0) number_[v] = vertices_++;
        for (int p = 0; p < cell.planes; ++p) {
            const std::size_t begin = corner_.size();
            if (any_[p] >= 0) walk(p);
            if (corner_.size() > begin) facet_.push_back({m.label[p], begin, area(begin)});
        }
    }

    struct Facet {
        std::int64_t label;
        std::size_t begin;  // of its corners
        double area;
    };
    int vertices() const { return vertices_; }
    const std::vector<Facet>& facets() const { return facet_; }
    std::size_t end(std::size_t facet) const {
        return facet + 1 < facet_.size() ? facet_[facet + 1].begin : corner_.size();
    }
    const std::vector<int>& corners() const { return corner_; }  // as vertices of the scratch
    // A corner, or another vertex of the scratch that leads those at its point.
    int number(int corner) const { return number_[corner]; }
    bool leads(int v) const { return vertex_[v] == v && number_[v] >= 0; }

private:
    bool same(int u, int v) const { return m_->x[u] == m_->x[v] && m_->y[u] == m_->y[v] && m_->z[u] == m_->z[v]; }

    // Vertices at the same point are joined by edges without length.
    void unite(int first) {
        stack_.assign(1, first);
        vertex_[first] = first;
        while (!stack_.empty()) {
            const int v = stack_.back();
            stack_.pop_back();
            for (int k = 0; k < 3; ++k) {
                const int u = m_->corner[v].next[k];
                if (vertex_[u] >= 0 || !same(u, v)) continue;
                vertex_[u] = first;
                stack_.push_back(u);
            }
        }
    }

    // Facets of less than three points go, then points of less than three facets, which are amid an edge.
    void drop_flat(const Cell& cell) {
        std::vector<int>& count = number_;
        for (int v = 0; v < cell.size; ++v) count[v] = 0;
        for (int p = 0; p < cell.planes; ++p) {
            if (any_[p] < 0) continue;
            corner_.clear();
            walk(p);
            if (corner_.empty()) any_[p] = -1;
            for (const int v : corner_) ++count[v];
        }
        for (int v = 0; v < cell.size; ++v) count[v] = count[v] >= 3 ? 0 : -1;
        corner_.clear();
    }

    // Appends the points of a facet, unless they are less than three.
    void walk(int p) {
        const std::size_t begin = corner_.size();
        int v = any_[p] / 3, k = any_[p] % 3;
        const int first = v;
        do {
            const int point = vertex_[v];
            if (number_[point] >= 0 && (corner_.size() == begin || corner_.back() != point)) corner_.push_back(point);
            v = m_->corner[v].next[(k + 1) % 3];
            for (k = 0; m_->corner[v].plane[k] != p;) ++k;
        } while (v != first);
        if (corner_.size() > begin + 1 && corner_.back() == corner_[begin]) corner_.pop_back();
        if (corner_.size() < begin + 3) corner_.resize(begin);
    }

    double area(std::size_t begin) const {
        const auto at = [&](std::size_t c, int axis) {
            return (axis == 0 ? m_->x : axis == 1 ? m_->y : m_->z)[corner_[c]];
        };
        double sum[3] = {};
        for (std::size_t c = begin + 1; c + 1 < corner_.size(); ++c)
            for (int k = 0; k < 3; ++k) {
                const int l = (k + 1) % 3, m = (k + 2) % 3;
                sum[k] += (at(c, l) - at(begin, l)) * (at(c + 1, m) - at(begin, m)) -
                          (at(c, m) - at(begin, m)) * (at(c + 1, l) - at(begin, l));
            }
        return 0.5 * std::sqrt(sum[0] * sum[0] + sum[1] * sum[1] + sum[2] * sum[2]);
    }

    const Scratch* m_ = nullptr;
    std::vector<int> vertex_, number_, any_, corner_, stack_;
    std::vector<Facet> facet_;
    int vertices_ = 0;
};

}  // namespace deblai::laguerre3
