"""Newton's method for quantizers of the line: tridiagonal Hessians, ordered sites, decreasing energies."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ... import errors
from ..._extras import require
from .line import OPERATION, Halves, Line
from .quadrature import Array

ULP = float(np.finfo(np.float64).eps)


class Point:
    """Ordered sites, and the energy and its derivatives there."""

    def __init__(self, line: Line, sites: Array, p: float, edges: Array | None) -> None:
        self.sites, self.p = sites, p
        self.free = edges is None
        self.edges = sites[:-1] + np.diff(sites) / 2 if edges is None else edges
        with np.errstate(over="ignore", invalid="ignore"):
            self.halves: Halves = line.halves(sites, self.edges, p)
            left, right, energy, curvature = self.halves
            self.energy = float(energy.sum())
        if not np.isfinite([self.energy, left.sum(), right.sum(), curvature.sum()]).all():
            raise errors.InvalidValue(
                f"[{OPERATION}] p: expected |x|^p to stay below 1e308 in the measure, got p = {p:g}"
            )
        self.gradient = left - right
        self.diagonal, self.off = curvature.copy(), np.zeros(len(sites) - 1)
        if self.free:  # the edges follow the sites
            self.off = -p / 2 * (np.diff(sites) / 2) ** (p - 1) * line.density(self.edges)
            self.diagonal[:-1] += self.off
            self.diagonal[1:] += self.off
        size = left + right
        whole = np.where(size > 0, size, 1.0)
        self.imbalance = np.where(size > 0, np.abs(self.gradient) / whole, 0.0)
        self.residual = float(self.imbalance.max())
        # What a site that is off by rounding changes of it.
        self.rounding = 4 * ULP * (1 + np.abs(sites) * curvature / whole)

    def settled(self, tol: float, loose: float = 1.0) -> bool:
        """Return whether each half cell pulls as much as the other, as far as floats can say."""
        return bool((self.imbalance <= np.maximum(tol, loose * self.rounding)).all())


def newton_step(point: Point) -> Array:
    """Solve Hessian @ step = -gradient; the curvatures of fixed cells are added until the matrix is positive."""
    lapack: Any = require("scipy.linalg.lapack", OPERATION, "exact")
    if len(point.sites) == 1:
        slope, curvature = float(point.gradient[0]), float(point.diagonal[0])
        return np.array([-slope / curvature if curvature > 0 else 0.0])
    add = point.halves.curvature + 1e-9 * point.halves.curvature.max()
    shift = 0.0
    while True:
        d, e, info = lapack.dpttrf(point.diagonal + shift * add, point.off)
        if info == 0:
            return np.asarray(lapack.dpttrs(d, e, -point.gradient)[0])
        shift = max(10 * shift, 1e-14)


def longest(line: Line, point: Point, step: Array) -> float:
    """Return how much of a step leaves every gap, also those to the ends of the support, a tenth of what it was."""
    first = [[0.0], [0.0]]
    gaps, change = np.diff(point.sites), np.diff(step)
    ends = [point.sites[0] - line.lower, line.upper - point.sites[-1]]
    gaps = np.concatenate([gaps, np.where(np.isfinite(ends), ends, 1.0), *first])
    change = np.concatenate([change, np.where(np.isfinite(ends), [step[0], -step[-1]], 0.0), *first])
    shrinking = change < 0
    return float(min(1.0, (0.9 * gaps[shrinking] / -change[shrinking]).min(initial=np.inf)))


class Descent:
    """Newton's iteration of free sites."""

    def __init__(self, line: Line, p: float, tol: float, max_iter: int) -> None:
        self.line, self.p, self.tol, self.max_iter = line, p, tol, max_iter
        self.point: Point | None = None
        self.history: list[float] = []
        self.converged = self.stopped = False

    @property
    def n_iter(self) -> int:
        """How often the sites moved."""
        return max(0, len(self.history) - 1)

    def run(self, sites: Array, callback: Callable[[int, Point], bool | None]) -> None:
        """Iterate until the sites are stationary, nothing lowers the energy, or the callback returns True."""
        point: Point | None = Point(self.line, sites, self.p, None)
        while point is not None:
            self.point = point
            self.history.append(point.energy)
            if callback(self.n_iter, point):
                self.stopped = True
                return
            self.converged = point.settled(self.tol)
            if self.converged or self.n_iter == self.max_iter:
                return
            new = self._next(point)
            stuck = new is None or new.residual > point.residual / 2
            if stuck and point.settled(self.tol, 16.0):  # rounding of several neighbours
                self.converged = True
                return
            point = new

    def _next(self, point: Point) -> Point | None:
        step = newton_step(point)
        length = longest(self.line, point, step)
        slope = float(point.gradient @ step)
        while length > 1e-6:
            new = Point(self.line, point.sites + length * step, self.p, None)
            lower = new.energy <= point.energy + 1e-4 * length * slope
            # At the end the energy changes by less than its rounding: the residual decides.
            flat = new.energy <= point.energy * (1 + 1e-13) and new.residual < point.residual
            if lower or flat:
                return new
            length /= 2 if length > 0.1 else 4
        return None


def centres(line: Line, sites: Array, edges: Array, p: float, tol: float, max_iter: int) -> tuple[Point, int]:
    """Return the p-means of fixed cells, by Newton's method between brackets; each is unique."""
    low = np.concatenate([[line.lower], edges])
    high = np.concatenate([edges, [line.upper]])
    point = Point(line, sites, p, edges)
    for step in range(max_iter):
        if point.settled(tol):
            return point, step
        y, g = point.sites, point.gradient
        low, high = np.where(g < 0, y, low), np.where(g > 0, y, high)
        move = -g / np.where(point.diagonal > 0, point.diagonal, np.inf)
        move = np.where(point.imbalance <= np.maximum(tol, point.rounding), 0.0, move)
        new = y + move
        with np.errstate(invalid="ignore"):
            middle = np.where(np.isfinite(low + high), low + (high - low) / 2, y + 2 * move)
        new = np.where((new > low) & (new < high) | (move == 0), new, middle)
        if np.array_equal(new, y):
            break
        point = Point(line, new, p, edges)
    return point, max_iter
