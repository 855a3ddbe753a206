r"""Mean powers of distances over the cells of Voronoi.

The gradient for fixed cells is that of the energy: what a point that changes cells costs is the same in both. The
second derivatives of fixed cells are those of the energy but for facets, on which r^(p-2) enters as 1 does for p = 2.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .._powers import PowerProblem
from .hessian import blocks, couplings
from .landscape import Array, Domain, Point


class Powers(Domain):
    """E(y) = sum of integrals of |x - y_i|^p over the cells of Voronoi."""

    def __init__(self, measure: Any, periodic: bool, p: float) -> None:
        super().__init__(measure, periodic, p)
        self.problem = PowerProblem(measure, periodic, p)

    def at(self, sites: Array, near: Point | None = None) -> Point:
        """Find the cells and go round their edges."""
        c, p, d = self.problem.cells(sites), self.p, sites.shape[1]
        bend = np.einsum("nkk->n", c.second) / (d + p - 2)
        curvature = max(1.0, p - 1) * np.maximum(bend, 0)  # no direction of a fixed cell has more

        def hessian() -> Any:
            f = self.problem.facets(sites, c.counts)
            cell, across = np.asarray(f.cell), np.asarray(f.across)
            return blocks(c.second, cell, across, *couplings(f, np.asarray(f.first), np.asarray(f.second), p))

        return Point(sites, p, c.mass / c.mass.sum(), c.energy, c.gradient, curvature, hessian)


def hexagon(p: float) -> float:
    """Return the energy of a regular hexagon of area 1 about its centre: none is below (Fejes Toth)."""
    height = np.sqrt(1 / (2 * np.sqrt(3)))  # of its sides
    nodes, weights = np.polynomial.legendre.leggauss(32)
    angle = np.pi / 12 * (nodes + 1)  # of twelve triangles
    return float(12 * np.pi / 12 * ((height / np.cos(angle)) ** (p + 2) @ weights) / (p + 2))
