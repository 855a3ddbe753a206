"""Mean squares over free cells: exact cells of Voronoi, of any measure that `laguerre` knows."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._laguerre import laguerre
from .hessian import assemble
from .landscape import Array, Domain, Point


class Squares(Domain):
    """E(y) = sum of integrals of |x - y_i|^2 over the cells of Voronoi."""

    def __init__(self, measure: Any, periodic: bool) -> None:
        super().__init__(measure, periodic, 2.0)

    def at(self, sites: Array, near: Point | None = None) -> Point:
        """Find the cells."""
        c = laguerre(sites, measure=self.measure, periodic=self.periodic, grad="sites")
        mass, total = np.asarray(c.mass), float(c.mass.sum())

        def hessian() -> Any:
            return assemble(2 * mass, c.facets())

        each = np.asarray(c.second_moment)
        return Point(sites, 2.0, mass / total, each, np.asarray(c.grad["sites"]), 2 * mass, hessian)
