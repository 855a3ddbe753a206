// Costs of a difference d = x - y and of a squared distance r2 = |x - y|^2, with derivatives. Host and device.
#pragma once

#include <cmath>

#include "deblai/hd.hpp"

namespace deblai {

// c(x, y) = |x - y|^p on the line, p >= 1.
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

// Costs of a pair of points of R^d at distance r: strength r^-s (Riesz; Coulomb for s = 1), -strength log r, strength
// r^2, strength exp(-s r) / r (Yukawa), strength / sqrt(r^2 + s^2) (softened Coulomb), strength r^s.
// At r = 0 the first two and Yukawa's are infinite (for positive strength).
struct PairCost {
    enum class Kind : int { riesz = 0, log = 1, quadratic = 2, yukawa = 3, soft = 4, power = 5 };
    Kind kind = Kind::riesz;
    double s = 1.0;
    double strength = 1.0;

    DEBLAI_HD double cost(double r2) const {
        switch (kind) {
            case Kind::quadratic: return strength * r2;
            case Kind::log: return -0.5 * strength * log(r2);
            case Kind::yukawa: return strength * exp(-s * sqrt(r2)) / sqrt(r2);
            case Kind::soft: return strength / sqrt(r2 + s * s);
            case Kind::power: return strength * (s == 1.0 ? sqrt(r2) : pow(r2, 0.5 * s));
            default: return strength * (s == 1.0 ? 1.0 / sqrt(r2) : pow(r2, -0.5 * s));
        }
    }

    // The gradient in x is slope * (x - y); that of r^s at r = 0 is taken as 0 for s < 2.
    DEBLAI_HD double slope(double r2) const {
        switch (kind) {
            case Kind::quadratic: return 2.0 * strength;
            case Kind::log: return -strength / r2;
            case Kind::yukawa: {
                const double r = sqrt(r2);
                return -strength * exp(-s * r) * (1.0 + s * r) / (r2 * r);
            }
            case Kind::soft: return -strength / ((r2 + s * s) * sqrt(r2 + s * s));
            case Kind::power:
                if (s == 2.0) return 2.0 * strength;
                return r2 > 0.0 ? s * strength * (s == 1.0 ? 1.0 / sqrt(r2) : pow(r2, 0.5 * s - 1.0)) : 0.0;
            default: return -s * strength * (s == 1.0 ? 1.0 / (r2 * sqrt(r2)) : pow(r2, -0.5 * s - 1.0));
        }
    }
};

}  // namespace deblai
