"""Densities as a source of Lloyd's iteration: exact cells a step, seeds among points that are drawn."""

from __future__ import annotations

from typing import Any

import numpy as np

from ... import _backend
from ..._array import Library
from ...measures import Grid
from .._cells import Problem, evaluate
from .._checks import form
from .._draws import draw
from .descent import Array, Step
from .samples import OPERATION, SampleSource

DRAWS = 10  # of each site, among which k-means++ chooses


class CellSource:
    """A density of the plane or of space; sites are of the library, dtype and device of `like`."""

    def __init__(self, library: Library, measure: Any, density: Any, like: Any, periodic: bool) -> None:
        self.library, self.like, self.measure = library, like, measure
        self.plan = _backend.plan(OPERATION, library.device(like))
        self.dtype = np.dtype(library.dtype(like))
        self.lower, self.size = np.array(measure.lower), np.subtract(measure.upper, measure.lower)
        self.problem = Problem(
            library, like, None, density, tuple(measure.lower), tuple(measure.upper), periodic, form(measure)
        )

    def step(self, sites: Array) -> Step:
        """Find the cells."""
        e = evaluate(self.problem._replace(sites=self.library.export(sites, self.like)))
        mass, centroid = (self.library.numpy(v).astype(np.float64) for v in (e.mass, e.centroid))
        return Step(mass / mass.sum(), centroid, float(e.energy), None)

    def move(self, sites: Array, now: Step) -> tuple[Array, bool]:
        """Send sites to their centroids, on the torus back into the box; those of empty cells stay."""
        to = np.where(now.mass[:, None] > 0, now.centroid, sites)
        if self.problem.periodic:
            to = self.lower + np.mod(to - self.lower, self.size)
        return to.astype(self.dtype), False

    def finer(self) -> bool:
        """Return False: cells are exact."""
        return False

    def shorter(self, before: Array, sites: Array) -> None:
        """Return nothing: steps to centroids lead down."""

    def draws(self, n_sites: int, rng: np.random.Generator) -> Array:
        """Draw independent points of the density."""
        measure = self.measure
        if isinstance(measure, Grid):
            measure = Grid(self.library.numpy(self.problem.density), measure.lower, measure.upper)
        return draw(OPERATION, measure, n_sites, rng).astype(self.dtype)

    def seeds(self, n_sites: int, rng: np.random.Generator) -> Array:
        """Choose by k-means++ among points of the density."""
        points = self.library.export(self.draws(DRAWS * n_sites, rng), self.like)
        return SampleSource(self.library, points, None, n_sites).seeds(n_sites, rng)

    def finish(self, labels: Any, sites: Array) -> Any:
        """Return nothing: a density has no labels."""
        return None
