// Costs of the line: c(x, y) = |x - y|^p, p >= 1, and its derivative in x. Host and device.
#pragma once

#include <cmath>

#include "deblai/hd.hpp"

namespace deblai {

struct PowerCost {
    double p;

    struct Term {
        double cost;   // |d|^p
        double slope;  // p |d|^(p-1) sign(d)
    };

    DEBLAI_HD double cost(double d) const {
        if (p == 2.0) return d * d;
        const double r = fabs(d);
        return p == 1.0 ? r : pow(r, p);
    }

    DEBLAI_HD Term term(double d) const {
        if (p == 2.0) return {d * d, 2.0 * d};
        const double r = fabs(d);
        if (p == 1.0) return {r, static_cast<double>((d > 0.0) - (d < 0.0))};
        const double q = pow(r, p - 1.0);
        return {r * q, p * (d < 0.0 ? -q : q)};
    }
};

}  // namespace deblai
