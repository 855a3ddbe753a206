"""Newton's method of semi-discrete transport: damped where that is enough, levelled where the density is not even.

Damped steps are those of Kitagawa, Merigot and Thibert (JEMS 2019, algorithm 1). Where they would have to be short, as
cells next to thin places go too far, systems get a share of the Laplacian of the even density (Levenberg and
Marquardt): what is thin is held back, the rest goes on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from .diagram import Diagram, Scene
from .multigrid import Systems, dot

Array = np.ndarray[Any, Any]

LEAST_STEP = 2.0**-30
SHORTEST = 0.125  # of damped steps where the density varies; shorter ones are levelled
MOST_EVEN = 1e12  # share of the even density in a system, its own being 1
LIKE = 3.0  # how shares change
FAITHFUL, UPHILL = 0.7, 0.1  # of what a quadratic model of the dual says that a step gains
NEAR = 1e-3  # relative error of masses near which the dual is flat to rounding: there their error counts


class Point(NamedTuple):
    """Potentials and their cells."""

    psi: Array
    cells: Diagram
    error: float  # the largest |mass - wanted| / wanted

    def dual(self, wanted: Array) -> float:
        """Return the sum of int_{V_i} |x - y_i|^2 - psi_i, and of wanted_i psi_i."""
        return float(self.cells.second_moment.sum()) + dot(self.psi, wanted - self.cells.mass)


class Newton:
    """Potentials of the masses `wanted` (n,), positive and of sum 1. `best` and `history` grow as `run` goes."""

    def __init__(self, scene: Scene, wanted: Array, tol: float, max_iter: int) -> None:
        self.scene, self.wanted, self.tol, self.max_iter = scene, wanted, tol, max_iter
        self.systems = Systems(scene.plan.threads)
        self.best: Point | None = None
        self.history: list[float] = []
        self.converged = self.stopped = self.stalled = False
        self.n_iter, self.tau, self.even = 0, 1.0, 0.0
        self.least = 0.0

    def at(self, psi: Array, near: Point | None = None, cells: Diagram | None = None) -> Point:
        """Find the cells of psi if they are not given, moved so that its mean under the wanted masses is 0.

        Where those of a psi near it are given, their neighbours come first: cells that hold the true ones. They are the
        true ones where their areas or masses add up to that of the whole, to an accuracy at which no mass can be off by
        more than a tenth of the tolerance.
        """
        psi = psi - dot(self.wanted, psi)
        if cells is not None:
            return self._point(psi, cells)
        if near is not None and self.scene.knows:
            cells = self.scene.cells(psi, near.cells)
            if self.scene.excess(cells, near.cells) <= 0.1 * max(self.tol, 1e-10) * self.wanted.min():
                return self._point(psi, cells)
        return self._point(psi, self.scene.cells(psi))

    def _point(self, psi: Array, cells: Diagram) -> Point:
        return Point(psi, cells, float((np.abs(cells.mass - self.wanted) / self.wanted).max()))

    def run(self, start: Point, callback: Callable[[int, Point], bool | None]) -> None:
        """Iterate from cells none of which is empty until the masses are met, or `max_iter` steps are made."""
        self.best = now = start
        self.history.append(now.error)
        self.least = 0.5 * min(float(now.cells.mass.min()), float(self.wanted.min()))
        while True:
            self.converged = now.error <= self.tol
            if callback(self.n_iter, now):
                self.stopped = True
            if self.converged or self.stopped or self.stalled or self.n_iter >= self.max_iter:
                return
            found = self._step(now)
            if found is None:
                self.stalled = True
                return
            self.best = now = found
            self.n_iter += 1
            self.history.append(now.error)

    def _step(self, now: Point) -> Point | None:
        found = None
        if now.error <= NEAR:
            self.even = 0.0
        if not self.even and now.cells.mass.min() >= self.least > 0:
            found = self._damped(now, LEAST_STEP if now.cells.bare is None else SHORTEST)
        if found is None and now.error > NEAR:
            found = self._levelled(now)
        if found is None and now.cells.mass.min() > 0:
            self.least = min(self.least or np.inf, 0.5 * float(now.cells.mass.min()))
            found = self._damped(now, LEAST_STEP)
        return found

    def _damped(self, now: Point, shortest: float) -> Point | None:
        residual = self.wanted - now.cells.mass
        norm = dot(residual, residual) ** 0.5
        smallest = min(float(now.cells.mass.min()), float(self.wanted.min()))
        # errors of the solution must not drown the smallest cells, nor be smaller than the tolerance asks for
        rtol = min(0.1, 0.1 * now.error, 0.1 * smallest * len(residual) ** 0.5 / norm) if norm > 0 else 0.1
        way = self._direction(now, residual, rtol, norm, 1e-3 * min(1.0, now.error))
        tau = first = max(self.tau, shortest)
        while tau >= shortest:
            trial = self.at(now.psi + tau * way, now)
            off = trial.cells.mass - self.wanted
            if trial.cells.mass.min() >= self.least and dot(off, off) <= ((1 - tau / 2) * norm) ** 2:
                self.tau = min(1.0, (8 if tau == first else 2) * tau)  # what had to be halved will have to be again
                return trial
            tau /= 2
        return None

    def _levelled(self, now: Point) -> Point | None:
        """Go uphill, by the system with the least share of the even density that leaves no cell empty."""
        residual, dual = self.wanted - now.cells.mass, now.dual(self.wanted)
        norm = dot(residual, residual) ** 0.5
        even, more = self.even or 1.0, LIKE
        while even < MOST_EVEN:
            way = self._direction(now, residual, min(0.1, 0.1 * now.error), norm, even)
            trial = self.at(now.psi + way, now)
            gain = (trial.dual(self.wanted) - dual) / (0.5 * dot(residual, way))
            if not trial.cells.empty and gain > UPHILL:
                if more == LIKE and gain > FAITHFUL:
                    even /= LIKE
                mass = float(trial.cells.mass.min())
                self.even, self.tau = even, 1.0
                if mass > 0.1 * self.wanted.min() and trial.error < 1 and even < 0.1:
                    self.even, self.least = 0.0, 0.5 * mass
                return trial
            even, more = even * more, more * LIKE
            self.systems.renew = True
        return None

    def _direction(self, now: Point, residual: Array, rtol: float, norm: float, even: float) -> Array:
        enough = 0.1 * self.tol * float(self.wanted.min()) / norm if norm > 0 else 0.1
        return self.systems.direction(now.cells, residual, even, max(rtol, min(enough, 0.1)))
