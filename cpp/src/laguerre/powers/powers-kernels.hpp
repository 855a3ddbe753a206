// What each instruction set provides for powers of distances: sums along segments of lines.
#pragma once

#include <cstdint>

#include "deblai/quadrature.hpp"

namespace deblai::powers {

// The exponent p, and what follows from it alone.
struct Power {
    static constexpr int rules = 5, terms = 40;

    double p;
    GaussRule rule[rules];  // of more and more nodes
    double apart[rules];    // how far a segment must be from the site for each, see Lines::rule
    double series[terms];   // of (1 - (1 - u)^(p/2)) / u in u
    int series_size;
    double series_up_to;  // u
};

// Segments from t = begin to end of lines, t measured from the foot of the site, where the distance from the site is
// r, r^2 = line2 + t^2. In the facets of space `foot2` is the square of the distance of the line from the foot of the
// site in the plane of the facet, h^2 = line2 - foot2 that of the plane, and height_p = h^p. Rows of sums:
//   plane  int r^(p-2) t^k dt, k = 0..3
//   space  int (r^p - h^p) / (r^2 - h^2) dt,  int r^p dt,  int r^p t dt
// All arrays have room for a vector behind the last segment.
struct Segments {
    const double *line2, *begin, *end, *foot2, *height_p;
    const std::int32_t* rule;
    double* sum[4];
    index_t size;
};

struct Kernels {
    void (*plane)(const Power& power, const Segments& segments);
    void (*space)(const Power& power, const Segments& segments);
};

}  // namespace deblai::powers
