// The polyhedron that a cell of space is, read from a graph in which three planes go through each vertex: what
// coincides is one point, and facets without area are none. (A lattice's cell has more than three planes through a
// vertex, and planes that only touch it.) For the host and the GPU.
#pragma once

#include "deblai/facet3.hpp"

namespace deblai {

// Corner c of a vertex has the numbers c.plane[k] and, of the vertices that edges lead to, c.next[k], counter-clockwise
// from outside; plane[k] does not contain the edge to next[k].
template <class Corner, class Number>
class Polytope3 {
public:
    const double *x, *y, *z;  // `size` vertices
    const Corner* corner;
    int size, planes;
    Number *lead, *number, *ring;  // memory for `size` numbers each
    Number* any;                   // and for `planes`

    // `touching`: some vertices coincide. Returns the number of points.
    DEBLAI_HD int read(bool touching) const {
        for (int v = 0; v < size; ++v) lead[v] = number[v] = -1;
        for (int p = 0; p < planes; ++p) any[p] = -1;
        for (int v = 0; v < size; ++v) {
            if (lead[v] < 0) unite(v);
            for (int k = 0; k < 3; ++k) any[corner[v].plane[k]] = static_cast<Number>(3 * v + k);
        }
        for (int v = 0; v < size; ++v) number[v] = 0;
        if (touching) drop_flat();
        int points = 0;
        for (int v = 0; v < size; ++v)
            if (leads(v)) number[v] = static_cast<Number>(points++);
        return points;
    }

    // After `read`. Is v the vertex that stands for all at its point? Then number[v] is that of the point.
    DEBLAI_HD bool leads(int v) const { return lead[v] == v && number[v] >= 0; }

    // After `read`: puts the vertices that stand for the corners of a facet, counter-clockwise from outside, into `to`,
    // which has room for `size`; returns how many there are, 0 for what is no facet.
    DEBLAI_HD int walk(int plane, Number* to) const {
        if (any[plane] < 0) return 0;
        int v = any[plane] / 3, k = any[plane] % 3, count = 0;
        const int first = v;
        do {
            const Number point = lead[v];
            if (number[point] >= 0 && (count == 0 || to[count - 1] != point)) to[count++] = point;
            v = corner[v].next[k == 2 ? 0 : k + 1];
            for (k = 0; corner[v].plane[k] != plane;) ++k;
        } while (v != first);
        if (count > 1 && to[count - 1] == to[0]) --count;
        return count < 3 ? 0 : count;
    }

private:
    DEBLAI_HD bool same(int u, int v) const { return x[u] == x[v] && y[u] == y[v] && z[u] == z[v]; }

    // Vertices at the same point are joined by edges without length.
    DEBLAI_HD void unite(int first) const {
        int depth = 1;
        ring[0] = lead[first] = static_cast<Number>(first);
        while (depth > 0) {
            const int v = ring[--depth];
            for (int k = 0; k < 3; ++k) {
                const Number u = corner[v].next[k];
                if (lead[u] >= 0 || !same(u, v)) continue;
                lead[u] = static_cast<Number>(first);
                ring[depth++] = u;
            }
        }
    }

    // Facets of less than three points go, then points of less than three facets, which are amid an edge.
    DEBLAI_HD void drop_flat() const {
        for (int p = 0; p < planes; ++p) {
            const int count = walk(p, ring);
            if (count == 0) any[p] = -1;
            for (int c = 0; c < count; ++c) ++number[ring[c]];
        }
        for (int v = 0; v < size; ++v) number[v] = number[v] >= 3 ? 0 : -1;
    }
};

}  // namespace deblai
