"""Cells with the derivative of their masses in psi, one pass of the kernel: what Newton's method asks for."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ... import _backend, _core, _dlpack
from . import solid

Array = np.ndarray[Any, Any]


class Diagram(NamedTuple):
    """Cells of some psi. Rows of the graph: entries begin[i] to begin[i + 1] are the sites across edges of cell i."""

    mass: Array
    centroid: Array
    second_moment: Array
    begin: Array
    across: Array
    coupling: Array  # - d mass_i / d psi_j
    bare: Array | None  # the same of the uniform density; None where the density is uniform
    area: float  # of all cells of the plane


class Scene(NamedTuple):
    """Sites (n, d) and pixels as float64, or None for a uniform density, in a box or on its torus; d is 2 or 3."""

    sites: Array
    density: Array | None
    lower: tuple[float, ...]
    upper: tuple[float, ...]
    periodic: bool
    plan: _backend.Plan

    @property
    def densest(self) -> float:
        """The largest density, that of the uniform one being 1."""
        return 1.0 if self.density is None else float(self.density.max() / self.density.mean())

    def cells(self, psi: Array, known: Diagram | None = None) -> Diagram:
        """Run the kernel: from its tree, or from the neighbours of another psi. The latter may miss edges, see area."""
        if len(self.lower) == 3:
            return solid.cells(self, psi)
        if self.plan.backend == "reference":
            return self._reference(psi)
        n, view = len(self.sites), _dlpack.view
        mass, centroid, second, count = np.empty(n), np.empty((n, 2)), np.empty(n), np.empty(n, np.int64)
        begin, room = np.empty(n + 1, np.int32), 6 * n + 64
        while True:
            across, coupling = np.empty(room, np.int32), np.empty(room)
            bare = None if self.density is None else np.empty(room)
            *_, entries, area = _core.laguerre(
                view(self.sites),
                view(psi),
                None if self.density is None else view(self.density),
                self.lower,
                self.upper,
                self.periodic,
                view(mass, True),
                view(centroid, True),
                view(second, True),
                view(count, True),
                None,
                self.plan.threads,
                self.plan.simd,
                [None if v is None else view(v, True) for v in (begin, across, coupling, bare)],
                [None, None] if known is None else [view(known.begin), view(known.across)],
            )
            if entries <= room:
                used = slice(0, entries)
                graph = begin, across[used], coupling[used], None if bare is None else bare[used]
                return Diagram(mass, centroid, second, *graph, area)
            room = entries

    @property
    def knows(self) -> bool:
        """Whether cells are faster from known neighbours."""
        return len(self.lower) == 2 and self.plan.backend != "reference"

    def potential(self, psi: Array) -> Array:
        """Return the integral of min_i |x - y_i|^2 - psi_i over each pixel of the plane."""
        assert self.density is not None
        if self.plan.backend == "reference":
            from ...reference import laguerre

            return laguerre.potential(self.sites, psi, self.lower, self.upper, self.periodic, self.density.shape)
        out, view = np.empty(self.density.shape), _dlpack.view
        _core.laguerre_potential(
            view(self.sites),
            view(psi),
            view(self.density),
            self.lower,
            self.upper,
            self.periodic,
            view(out, True),
            self.plan.threads,
            self.plan.simd,
        )
        return out

    def _reference(self, psi: Array) -> Diagram:
        from ...reference import facets as edges
        from ...reference import laguerre

        c = laguerre.cells(self.sites, psi, self.lower, self.upper, self.periodic, self.density)
        given = (self.sites, psi, self.lower, self.upper, self.periodic)
        f = edges.facets(c.polygons, *given, self.density)
        inner = (f.across >= 0) & (f.across != f.cell)
        twice = 2 * np.hypot(*f.offset[inner].T)
        begin = np.concatenate([[0], np.cumsum(np.bincount(f.cell[inner], minlength=len(psi)))])
        bare = None
        if self.density is not None:
            bare = edges.facets(c.polygons, *given, None).mass[inner] / twice
        area = float(laguerre.moments(c.polygons)[0].sum())
        across = f.across[inner].astype(np.int32)
        return Diagram(*c[:3], begin.astype(np.int32), across, f.mass[inner] / twice, bare, area)
