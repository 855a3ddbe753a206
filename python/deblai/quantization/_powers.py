"""Integrals of powers of distances over cells of Voronoi: one evaluation of the powers kernel on checked arrays."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .. import _backend, _core, _dlpack
from .._array import NUMPY
from ..results import Facets
from ._checks import form
from ._options import OPERATION

Array = np.ndarray[Any, Any]


class PowerCells(NamedTuple):
    """Masses, integrals of r^p, their gradient (n, d) and second derivatives (n, d, d) for fixed cells, and counts."""

    mass: Array
    energy: Array
    gradient: Array
    second: Array
    counts: Array


class Descents(NamedTuple):
    """Where descents ended (runs, n, d), their energies, how often the sites moved, and why they ended."""

    sites: Array
    history: Array
    n_iter: Array
    end: Array
    stopped: KeyboardInterrupt | None


CONVERGED, STUCK, STEPS, EMPTY, STOPPED = range(5)


class PowerProblem:
    """A measure whose density is linear on polygons of the plane, or uniform in space; sites are float64 (n, d)."""

    def __init__(self, measure: Any, periodic: bool, p: float) -> None:
        self.measure, self.periodic, self.p = measure, periodic, p
        self.density = None if not hasattr(measure, "values") or form(measure) else np.asarray(measure.values, float)
        self.form = form(measure)

    def cells(self, sites: Array) -> PowerCells:
        """Find the cells, and integrate over them."""
        plan = _backend.plan(OPERATION, "cpu")
        if plan.backend == "reference":
            from ..reference import powers

            return PowerCells(*powers.cells(sites, self.p, self.measure, self.density, self.form, self.periodic))
        n, d = sites.shape
        out = PowerCells(np.empty(n), np.empty(n), np.empty((n, d)), np.empty((n, d * d)), self._room(n, d))
        views = [_dlpack.view(v, True) for v in out]
        kernel: Any = _core.powers
        kernel(*self._arguments(sites), *views, plan.threads, plan.simd)
        return out._replace(second=out.second.reshape(n, d, d))

    def facets(self, sites: Array, counts: Array) -> Facets:
        """Integrate the density times r^(p-2) over the facets of cells whose `counts` are known."""
        plan = _backend.plan(OPERATION, "cpu")
        if plan.backend == "reference":
            from ..reference import powers

            return Facets(*powers.facets(sites, self.p, self.measure, self.density, self.form, self.periodic))
        n, d = sites.shape
        begin = np.zeros((n + 1, counts.shape[1]), np.int64)
        np.cumsum(counts, axis=0, out=begin[1:])
        offsets = begin[:, 1] if d == 3 else begin[:, 0]
        total = int(offsets[-1])
        across = np.empty(total, np.int64)
        mass, first, second, offset = (np.empty((total, *shape)) for shape in ((), (d,), (d * d,), (d,)))
        views = [_dlpack.view(v, True) for v in (across, mass, first, second, offset)]
        where = _dlpack.view(begin if d == 3 else np.ascontiguousarray(offsets))
        kernel: Any = _core.powers_facets
        kernel(*self._arguments(sites), where, *views, plan.threads, plan.simd)
        cell = np.repeat(np.arange(n, dtype=np.int64), np.diff(offsets))
        return Facets(cell, across, mass, first, second.reshape(total, d, d), offset)

    def _arguments(self, sites: Array) -> tuple[Any, ...]:
        f, lower, upper = self.form, tuple(self.measure.lower), tuple(self.measure.upper)
        arrays: tuple[Array | None, ...] = (None,) * 5
        if f is not None:
            arrays = (f.corners if len(lower) == 2 else f.planes, f.points, f.triangles, f.values, f.gaussians)
        pixels = None if self.density is None else _dlpack.view(self.density)
        views = [None if v is None else _dlpack.view(v) for v in arrays]
        return NUMPY.view(sites), pixels, lower, upper, self.periodic, views, self.p

    def descend(self, starts: Array, tol: float, max_iter: int, invariant: bool) -> Descents:
        """Descend from starts (runs, n, d), several at a time; Ctrl-C is kept in `stopped`."""
        plan = _backend.plan(OPERATION, "cpu")
        runs = len(starts)
        sites = np.array(starts.reshape(runs, -1))
        history, numbers = np.empty((runs, max_iter + 1)), np.full((2, runs), -1, np.int64)
        views = [_dlpack.view(v, True) for v in (sites, history, *numbers)]
        kernel: Any = _core.descend
        stopped: KeyboardInterrupt | None = None
        try:
            kernel(*self._arguments(starts[0]), tol, max_iter, invariant, *views, plan.threads, plan.simd)
        except KeyboardInterrupt as stop:
            stopped = stop
        return Descents(sites.reshape(starts.shape), history, numbers[0], numbers[1], stopped)

    @staticmethod
    def _room(n: int, d: int) -> Array:
        return np.empty((n, 3 if d == 3 else 1), np.int64)
