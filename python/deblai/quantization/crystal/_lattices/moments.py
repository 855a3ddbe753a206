r"""Normalised second moments of lattices, G = int |x|^2 / (d V^(1 + 2/d)) over the Voronoi cell of the origin.

Closed forms are those of J. H. Conway, N. J. A. Sloane, "Voronoi regions of lattices, second moments of polytopes, and
quantization", IEEE Trans. Inform. Theory 28, 1982, and of "Sphere packings, lattices and groups" (SPLAG), chapter 21.
"""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from math import comb, exp, factorial, gamma, lgamma, pi


def a(n: int) -> float:
    """Return that of A_n: SPLAG, chapter 21, theorem 6."""
    return float((1 / 12 + 1 / (6 * (n + 1))) / (n + 1) ** (1 / n))


def d(n: int) -> float:
    """Return that of D_n, n >= 3: SPLAG, chapter 21, theorem 8."""
    return float((1 / 12 + 1 / (2 * n * (n + 1))) / 4 ** (1 / n))


def a_dual(n: int) -> float:
    """Return that of A_n^*: the cell is a permutohedron."""
    volume, second = _permutohedron(n)
    return float(second / (n * volume ** (1 + 2 / n)))


@cache
def _permutohedron(n: int) -> tuple[float, float]:
    r"""Volume and second moment of the hull of the permutations of (0, ..., n), from those of its facets.

    A facet is a product of two smaller ones, and there is one for each set of k of the n + 1 places, in a distance of
    sqrt(k (n + 1 - k) (n + 1)) / 2.
    """
    if n == 0:
        return 1.0, 0.0
    volume = second = 0.0
    for k in range(1, n + 1):
        (v, u), (w, t) = _permutohedron(k - 1), _permutohedron(n - k)
        square = k * (n + 1 - k) * (n + 1) / 4
        cone = comb(n + 1, k) * square**0.5
        volume += cone * v * w / n
        second += cone * (square * v * w + u * w + v * t) / (n + 2)
    return volume, second


def d_dual(n: int) -> float:
    r"""Return that of D_n^*: a cell is the part of the cube \|x_i\| <= 1/2 with sum \|x_i\| <= n/4, half its volume.

    With u = 2 \|x\|, its second moment is n / 4 times the integral of u_1^2 over the half of the unit cube with sum at
    most n / 2, that is of u^2 F(n/2 - u) with F the distribution function of the sum of n - 1 uniform variables.
    """
    total = Fraction(0)
    for k in range(n // 2 + 1):
        far = Fraction(n, 2) - k  # int_0^min(1, far) u^2 (far - u)^(n-1) du, by powers of w = far - u
        near = max(far - 1, Fraction(0))
        piece = sum(
            c * (far ** (n + e) - near ** (n + e)) / (n + e) for c, e in ((far * far, 0), (-2 * far, 1), (1, 2))
        )
        total += (-1) ** k * comb(n - 1, k) * piece / factorial(n - 1)
    return float(total / 4 * 2.0 ** (1 + 2 / n))


def sphere(n: int) -> float:
    r"""Return the ball's, Gamma(d/2 + 1)^(2/d) / ((d + 2) pi): no cell of d dimensions has less (Zador 1963)."""
    return exp(lgamma(n / 2 + 1) * 2 / n) / ((n + 2) * pi)


def zador_upper(n: int) -> float:
    r"""Return Gamma(d/2 + 1)^(2/d) Gamma(1 + 2/d) / (d pi): that of random points, which the best are no worse than."""
    return gamma(1 + 2 / n) * exp(lgamma(n / 2 + 1) * 2 / n) / (n * pi)
