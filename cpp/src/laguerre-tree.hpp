// Sites along a Hilbert curve in leaves of eight, and a tree of boxes over them.
#pragma once

#include "buffer.hpp"
#include "deblai/laguerre.hpp"
#include "laguerre-kernels.hpp"

namespace deblai::laguerre {

// Number of nodes of each level over a number of sites, from the leaves' parents to the root.
struct Shape {
    index_t leaves, nodes = 0;
    int levels = 0;
    std::int32_t first[max_levels];

    explicit Shape(index_t sites) : leaves((sites + lanes - 1) / lanes) {
        for (index_t count = leaves; levels == 0 || count > 1; ++levels) {
            count = (count + lanes - 1) / lanes;
            first[levels] = static_cast<std::int32_t>(nodes);
            nodes += count;
        }
    }
};

class Tree {
public:
    // Fills what a scene says of the sites, and its images where it is periodic. Sites must be finite.
    template <class T>
    Tree(const Problem<T>& problem, Scene& scene, Team& team);

    static std::size_t bytes(index_t sites);

private:
    Buffer leaves_, nodes_, ids_;
};

}  // namespace deblai::laguerre
