"""The damped Newton method of semi-discrete transport (Kitagawa, Merigot and Thibert, JEMS 2019, algorithm 1)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from .diagram import Diagram, Scene
from .multigrid import direction, dot

Array = np.ndarray[Any, Any]

LEAST_STEP = 2.0**-30


class Point(NamedTuple):
    """Potentials and their cells."""

    psi: Array
    cells: Diagram
    error: float  # the largest |mass - wanted| / wanted


class Newton:
    """Potentials of the masses `wanted` (n,), positive and of sum 1. `best` and `history` grow as `run` goes."""

    def __init__(self, scene: Scene, wanted: Array, tol: float, max_iter: int) -> None:
        self.scene, self.wanted, self.tol, self.max_iter = scene, wanted, tol, max_iter
        self.best: Point | None = None
        self.history: list[float] = []
        self.converged = self.stopped = self.stalled = False
        self.n_iter = 0

    def at(self, psi: Array) -> Point:
        """Find the cells of psi, moved so that its mean under the wanted masses is 0."""
        psi = psi - dot(self.wanted, psi)
        cells = self.scene.cells(psi)
        return Point(psi, cells, float((np.abs(cells.mass - self.wanted) / self.wanted).max()))

    def run(self, start: Point, callback: Callable[[int, Point], bool | None]) -> None:
        """Iterate from cells that all have mass until the masses are met, or `max_iter` steps are made."""
        self.best = now = start
        self.history.append(now.error)
        least = 0.5 * min(now.cells.mass.min(), self.wanted.min())
        while True:
            self.converged = now.error <= self.tol
            if callback(self.n_iter, now):
                self.stopped = True
            if self.converged or self.stopped or self.stalled or self.n_iter >= self.max_iter:
                return
            found = self._step(now, least)
            if found is None:
                self.stalled = True
                return
            self.best = now = found
            self.n_iter += 1
            self.history.append(now.error)

    def _step(self, now: Point, least: float) -> Point | None:
        residual = self.wanted - now.cells.mass
        norm = dot(residual, residual) ** 0.5
        smallest = min(float(now.cells.mass.min()), float(self.wanted.min()))
        # errors of the solution must not drown the smallest cells
        rtol = min(0.1, 0.1 * now.error, 0.1 * smallest * len(residual) ** 0.5 / norm) if norm > 0 else 0.1
        way = direction(now.cells, residual, now.error, rtol, self.scene.plan.threads)
        tau = 1.0
        while tau >= LEAST_STEP:
            trial = self.at(now.psi + tau * way)
            off = trial.cells.mass - self.wanted
            if trial.cells.mass.min() >= least and dot(off, off) <= ((1 - tau / 2) * norm) ** 2:
                return trial
            tau /= 2
        return None
