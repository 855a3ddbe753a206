"""The damped Newton method of semi-discrete transport (Kitagawa, Merigot and Thibert, JEMS 2019, algorithm 1)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from .diagram import Diagram, Scene
from .multigrid import Systems, dot

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
        self.systems = Systems(scene.plan.threads)
        self.best: Point | None = None
        self.history: list[float] = []
        self.converged = self.stopped = self.stalled = False
        self.n_iter, self.tau = 0, 1.0

    def at(self, psi: Array, near: Point | None = None) -> Point:
        """Find the cells of psi, moved so that its mean under the wanted masses is 0.

        Where those of a psi near it are given, their neighbours come first: cells that hold the true ones. They are the
        true ones where their areas or masses add up to that of the whole, to an accuracy at which
        no mass can be off by more than
        a tenth of the tolerance.
        """
        psi = psi - dot(self.wanted, psi)
        if near is not None and self.scene.knows:
            cells = self.scene.cells(psi, near.cells)
            if self.scene.excess(cells, near.cells) <= 0.1 * max(self.tol, 1e-10) * self.wanted.min():
                return self._point(psi, cells)
        return self._point(psi, self.scene.cells(psi))

    def _point(self, psi: Array, cells: Diagram) -> Point:
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
        # errors of the solution must not drown the smallest cells, nor be smaller than the tolerance asks for
        rtol = min(0.1, 0.1 * now.error, 0.1 * smallest * len(residual) ** 0.5 / norm) if norm > 0 else 0.1
        enough = 0.1 * self.tol * float(self.wanted.min()) / norm if norm > 0 else 0.1
        way = self.systems.direction(now.cells, residual, now.error, max(rtol, min(enough, 0.1)))
        tau = first = self.tau
        while tau >= LEAST_STEP:
            trial = self.at(now.psi + tau * way, now)
            off = trial.cells.mass - self.wanted
            if trial.cells.mass.min() >= least and dot(off, off) <= ((1 - tau / 2) * norm) ** 2:
                self.tau = min(1.0, (8 if tau == first else 2) * tau)  # what had to be halved will have to be again
                return trial
            tau /= 2
        return None
