"""Quantization on the line: starts and restarts, given weights, second derivatives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..._extras import require
from ...results import Stability
from .line import OPERATION, Line
from .newton import Descent, Point, centres
from .quadrature import Array

Called = Callable[[int, Array, float, float], bool | None]


@dataclass
class Found:
    """One run of the solver."""

    line: Line
    point: Point
    given: Array | None = None
    n_iter: int = 0
    converged: bool = False
    stopped: bool = False
    history: list[float] = field(default_factory=list)

    @property
    def masses(self) -> Array:
        """Masses of the sites; those of free cells are integrals, which sum to 1 up to rounding."""
        if self.given is not None:
            return self.given
        if self.point.p == 2:
            mass = self.point.halves.curvature / 2
        else:
            mass = self.line.halves(self.point.sites, self.point.edges, 2.0).curvature / 2
        return np.asarray(mass / mass.sum())

    def stability(self) -> Stability:
        """Return the ends of the Hessian's spectrum and the number of its negative eigenvalues."""
        diagonal, off = self.point.diagonal, self.point.off
        if len(diagonal) == 1:
            only = float(diagonal[0])
            return Stability(int(only < 0), only, only, diagonal.copy)
        linalg: Any = require("scipy.linalg", OPERATION, "exact")

        def end(k: int) -> float:
            return float(linalg.eigvalsh_tridiagonal(diagonal, off, select="i", select_range=(k, k))[0])

        smallest, largest = end(0), end(len(diagonal) - 1)
        negative = 0
        rounding = -8 * float(np.finfo(np.float64).eps) * max(abs(smallest), abs(largest))
        if smallest < rounding:
            below = (2 * smallest, rounding)
            negative = len(linalg.eigvalsh_tridiagonal(diagonal, off, select="v", select_range=below))
        return Stability(negative, smallest, largest, lambda: linalg.eigvalsh_tridiagonal(diagonal, off))


class LineProblem:
    """A measure of the line and what is asked of its sites."""

    def __init__(
        self, line: Line, count: int, p: float, given: Array | None, tol: float, max_iter: int, called: Called
    ) -> None:
        self.line, self.count, self.p, self.given = line, count, p, given
        self.tol, self.max_iter, self.called = tol, max_iter, called
        self.found: list[Found] = []
        self.steps = 0

    @property
    def best(self) -> Found:
        """The run with the least energy; of equal ones the first."""
        least = min(run.point.energy for run in self.found)
        return next(run for run in self.found if run.point.energy <= least * (1 + 1e-14))

    def run(self, start: Array | None, restarts: int, rng: np.random.Generator) -> None:
        """Solve from each start."""
        if self.given is not None:
            self._fixed(self.given)
            return
        self._descend(self._apart(self.line.guess(self.count, self.p)) if start is None else start)
        for _ in range(restarts):
            if (self.line.unique and self.found[0].converged) or self.found[-1].stopped:
                return
            below = np.sort(rng.random(self.count))
            self._descend(self._apart(self.line.quantiles(below, 1 - below)))

    def _descend(self, sites: Array) -> None:
        descent = Descent(self.line, self.p, self.tol, self.max_iter)
        try:
            descent.run(sites, lambda step, point: self.called(step, point.sites, point.energy, point.residual))
        finally:
            self.steps += descent.n_iter
            if descent.point is not None:
                self.found.append(
                    Found(
                        self.line,
                        descent.point,
                        None,
                        descent.n_iter,
                        descent.converged,
                        descent.stopped,
                        descent.history,
                    )
                )

    def _apart(self, sites: Array) -> Array:
        """Return a start in which no two sites are equal or at an end of the support."""
        lower, upper = self.line.lower, self.line.upper
        for _ in range(60):
            inside = np.concatenate([[max(lower, sites[0] - 1)], sites, [min(upper, sites[-1] + 1)]])
            if (np.diff(inside) > 0).all():
                break
            sites = np.sort(inside[1:-1] + (inside[:-2] - 2 * inside[1:-1] + inside[2:]) / 4)
        return sites

    def _fixed(self, given: Array) -> None:
        below = np.cumsum(given)
        above = np.cumsum(given[::-1])[::-1]
        edges = self.line.quantiles(below[:-1], above[1:])
        low, high = np.append(0.0, below[:-1]), np.append(above[1:], 0.0)
        sites = self.line.quantiles(low + given / 2, high + given / 2)
        sites = np.clip(sites, np.append(-np.inf, edges), np.append(edges, np.inf))
        point, steps = centres(self.line, sites, edges, self.p, self.tol, self.max_iter)
        self.steps = steps
        run = Found(self.line, point, given, steps, point.settled(self.tol, 16.0), False, [point.energy])
        self.found.append(run)
        run.stopped = bool(self.called(steps, point.sites, point.energy, point.residual))
