"""Cells of space with the derivative of their masses in psi."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ... import _core, _dlpack
from ..._array import NUMPY
from .. import _cells, _solids

if TYPE_CHECKING:
    from .diagram import Diagram, Scene

Array = np.ndarray[Any, Any]


def cells(scene: Scene, psi: Array) -> Diagram:
    """Run the kernels of cells and of facets."""
    from .diagram import Diagram

    q = _cells.Problem(
        NUMPY, scene.sites, psi, scene.density, tuple(scene.lower), tuple(scene.upper), scene.periodic, scene.form
    )
    e = _cells.evaluate(q)
    mass, cell, across, offset = _facets(q, e)
    inner = (across >= 0) & (across != cell)
    twice = 2 * np.sqrt((offset[inner] ** 2).sum(1))
    begin = np.concatenate([[0], np.cumsum(np.bincount(cell[inner], minlength=len(psi)))]).astype(np.int32)
    bare = None if scene.density is None else _facets(q._replace(density=None), e)[0][inner] / twice
    graph = begin, across[inner].astype(np.int32), mass[inner] / twice, bare
    return Diagram(e.mass, e.centroid, e.second_moment, *graph, float(np.subtract(scene.upper, scene.lower).prod()))


def _facets(q: _cells.Problem, e: _cells.Evaluation) -> tuple[Array, Array, Array, Array]:
    """Return mass, cell, site across, and the way to it, of each facet."""
    if e.plan.backend == "reference":
        f = _solids.facets(q, e.count, e.plan)
        return f.mass, f.cell, f.across, f.offset
    begin = np.zeros((len(q.sites) + 1, 3), np.int64)
    np.cumsum(e.count, axis=0, out=begin[1:])
    total, view = int(begin[-1, 1]), _dlpack.view
    across, mass, offset = np.empty(total, np.int64), np.empty(total), np.empty((total, 3))
    _core.laguerre3_facets(
        view(q.sites),
        view(q.psi),
        None if q.density is None else view(q.density),
        q.lower,
        q.upper,
        q.periodic,
        _solids._planes(q),
        view(begin),
        view(across, True),
        view(mass, True),
        None,
        None,
        view(offset, True),
        e.plan.threads,
        e.plan.simd,
    )
    return mass, np.repeat(np.arange(len(q.sites)), np.diff(begin[:, 1])), across, offset
