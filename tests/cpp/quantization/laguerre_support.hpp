// Diagrams of the plane and what the kernel says of them, for the tests of edges and densities.
#pragma once

#include <vector>

#include "deblai/laguerre.hpp"
#include "support.hpp"

namespace deblai::test {

struct Diagram {
    std::vector<double> sites, psi, density;
    index_t nx = 0;
    bool periodic = false;
    double lower[2] = {0, 0}, upper[2] = {1, 1};
    laguerre::Form form = {};

    index_t size() const { return static_cast<index_t>(sites.size() / 2); }
    laguerre::Problem<double> problem() const {
        laguerre::Problem<double> q{
            {sites.data(), size(), 2, 2, 1}, {}, {lower[0], lower[1]}, {upper[0], upper[1]}, {}, periodic, form};
        if (!psi.empty()) q.psi = {psi.data(), size(), 1};
        if (nx) q.density = {density.data(), nx, static_cast<index_t>(density.size()) / nx, 1, nx};
        return q;
    }
};

// Cells with their graph.
struct Cells {
    std::vector<double> mass, centroid, second;
    std::vector<std::int64_t> count;
    std::vector<std::int32_t> begin, across;
    std::vector<double> coupling, bare;
    laguerre::Summary summary;

    explicit Cells(const Diagram& d, const Control& control = {}, index_t room = -1)
        : mass(d.size()), centroid(2 * d.size()), second(d.size()), count(d.size()), begin(d.size() + 1) {
        const index_t n = d.size();
        if (room < 0) room = 6 * n + 64;
        across.assign(room, -7), coupling.assign(room, -7), bare.assign(room, -7);
        const laguerre::Graph graph{
            {begin.data(), n + 1, 1}, {across.data(), room, 1}, {coupling.data(), room, 1}, {bare.data(), room, 1}};
        const laguerre::Output<double> out{
            {mass.data(), n, 1}, {centroid.data(), n, 2, 2, 1}, {second.data(), n, 1}, {count.data(), n, 1}, {}, graph};
        summary = laguerre::cells(d.problem(), out, control);
    }
    std::vector<std::int64_t> offsets() const {
        std::vector<std::int64_t> sums(count.size() + 1);
        for (std::size_t i = 0; i < count.size(); ++i) sums[i + 1] = sums[i] + count[i];
        return sums;
    }
};

// Polygons and what lies along their edges.
struct Edges {
    std::vector<std::int64_t> offsets, neighbours;
    std::vector<double> vertices, mass, first, second, offset;
    index_t done;

    Edges(const Diagram& d, const Cells& c, const Control& control = {}) : offsets(c.offsets()) {
        const index_t n = d.size(), total = offsets[n];
        neighbours.resize(total), vertices.resize(2 * total);
        mass.resize(total), first.resize(2 * total), second.resize(4 * total), offset.resize(2 * total);
        const Vector<const std::int64_t> sums{offsets.data(), n + 1, 1};
        laguerre::polygons<double>(d.problem(), sums, {vertices.data(), total, 2, 2, 1}, {neighbours.data(), total, 1},
                                   control);
        done = laguerre::facets<double>(d.problem(), sums,
                                        {{mass.data(), total, 1},
                                         {first.data(), total, 2, 2, 1},
                                         {second.data(), total, 4, 4, 1},
                                         {offset.data(), total, 2, 2, 1}},
                                        control);
    }
};

}  // namespace deblai::test
