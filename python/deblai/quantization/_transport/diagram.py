"""Cells with the derivative of their masses in psi, one pass of the kernel: what Newton's method asks for."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ... import _backend, _core, _dlpack
from ..._form import Form
from .. import _cells
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
    bare: Array | None  # the same of the uniform density; None where that is the density
    area: float  # of all cells of the plane

    @property
    def empty(self) -> bool:
        """Whether a cell has no inner points: no edge that another one has, too."""
        return len(self.mass) > 1 and bool((np.diff(self.begin) == 0).any())


def mesh_mass(form: Form) -> float:
    """Return the integral of a density that is linear on triangles."""
    assert form.points is not None
    assert form.triangles is not None
    assert form.values is not None
    a, b, c = (form.points[form.triangles[:, k]] for k in range(3))
    twice = (b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0]
    return float((np.abs(twice) * form.values[form.triangles].sum(1)).sum()) / 6


class Scene(NamedTuple):
    """Sites (n, d) and pixels as float64, None for other densities, in a box or on its torus; d is 2 or 3."""

    sites: Array
    density: Array | None
    lower: tuple[float, ...]
    upper: tuple[float, ...]
    periodic: bool
    plan: _backend.Plan
    form: Form | None = None

    @property
    def uneven(self) -> bool:
        """Whether the density varies, and may be 0 in places."""
        if self.form is None:
            return self.density is not None
        return self.form.triangles is not None or self.form.gaussians is not None

    def excess(self, cells: Diagram, near: Diagram) -> float:
        """Return by how much masses can be off where cells hold the true ones, and those of another psi are the true.

        It is what they have too much in all: of a density that may vanish the area, by the largest density.
        """
        if self.form is not None and self.form.gaussians is not None:
            return abs(float(cells.mass.sum()) - 1)
        return abs(cells.area / near.area - 1) * self._densest

    @property
    def _densest(self) -> float:
        """The largest density, that of the uniform one on the domain being at most 1."""
        if self.density is not None:
            return float(self.density.max() / self.density.mean())
        if self.form is None or self.form.values is None:
            return 1.0
        return float(self.form.values.max() * np.subtract(self.upper, self.lower).prod() / mesh_mass(self.form))

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
            bare = np.empty(room) if self.uneven else None
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
                _cells.form_views(self.form),
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

        c = laguerre.cells(self.sites, psi, self.lower, self.upper, self.periodic, self.density, self.form)
        given = (self.sites, psi, self.lower, self.upper, self.periodic)
        f = edges.facets(c.polygons, *given, self.density, self.form)
        inner = (f.across >= 0) & (f.across != f.cell)
        twice = 2 * np.hypot(*f.offset[inner].T)
        begin = np.concatenate([[0], np.cumsum(np.bincount(f.cell[inner], minlength=len(psi)))])
        bare = None
        if self.uneven:
            bare = edges.facets(c.polygons, *given, None).mass[inner] / twice
        area = float(laguerre.moments(c.polygons)[0].sum())
        across = f.across[inner].astype(np.int32)
        return Diagram(*c[:3], begin.astype(np.int32), across, f.mass[inner] / twice, bare, area)
