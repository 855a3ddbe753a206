// Sites along a Hilbert curve of space in leaves of eight, and a tree of boxes over them.
#pragma once

#include "buffer.hpp"
#include "deblai/laguerre3.hpp"
#include "laguerre3-kernels.hpp"

namespace deblai::laguerre3 {

class Tree {
public:
    // Fills what a scene says of the sites, and its images where it is periodic. Sites must be finite.
    template <class T>
    Tree(const Problem<T>& problem, Scene& scene, Team& team);

    static std::size_t bytes(index_t sites);

private:
    Buffer leaves_, nodes_, ids_;
};

}  // namespace deblai::laguerre3
