"""Lloyd's iteration, whatever finds the cells: move the sites to the centroids until the energy stays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import numpy as np

Array = np.ndarray[Any, Any]


class Step(NamedTuple):
    """The cells of some sites: mass and centroid of each (NumPy, float64, of a probability), mean squared distance."""

    mass: Array
    centroid: Array  # of an empty cell: anything finite
    energy: float
    labels: Any  # of samples, in the caller's library; valid until the next step but one


class Source(Protocol):
    """What Lloyd's iteration wants of samples and of measures."""

    def step(self, sites: Array) -> Step:
        """Find the cells of the sites."""

    def move(self, sites: Array, now: Step) -> tuple[Array, bool]:
        """Return the next sites, and whether one of an empty cell was sent elsewhere."""

    def finer(self) -> bool:
        """Look closer, where steps so far were those of a coarser problem; False where there is nothing finer."""

    def shorter(self, before: Array, sites: Array) -> Array | None:
        """Return sites nearer to those before, for a step that led up; None where there is nothing to gain."""


class Progress:
    """Sites and cells so far; each step has less energy than the one before."""

    def __init__(self, tol: float, max_iter: int) -> None:
        self.tol, self.max_iter = tol, max_iter
        self.sites: Any = None
        self.best: Any = None
        self.history: list[float] = []
        self.converged = self.stopped = False

    @property
    def n_iter(self) -> int:
        """How often the sites moved."""
        return max(0, len(self.history) - 1)

    @property
    def last_decrease(self) -> float:
        """Of the energy in the last step, relative to it."""
        before, now = self.history[-2:]
        return (before - now) / now

    def run(self, source: Source, sites: Array, callback: Callable[[int, Array, float], bool | None]) -> None:
        """Iterate until the energy stays, `max_iter` moves are made or the callback returns True."""
        while True:
            now = source.step(sites)
            if self.history and not now.energy < self.history[-1]:
                nearer = source.shorter(self.sites, sites)
                if nearer is not None and not np.array_equal(nearer, sites):
                    sites = nearer
                    continue
                if not source.finer():
                    self.converged = True  # the sites before were as good as these numbers can say
                    return
                sites = self.sites
                now = source.step(sites)
            else:
                self.sites, self.best = sites, now
                self.history.append(now.energy)
                if callback(self.n_iter, sites, now.energy):
                    self.stopped = True
                    return
            moved, relocated = source.move(sites, now)
            while self._settled(sites, moved, relocated):
                if not source.finer():
                    self.converged = True
                    return
                now = source.step(sites)
                moved, relocated = source.move(sites, now)
                if not np.array_equal(moved, sites):
                    break
            if self.n_iter == self.max_iter:
                return
            sites = moved

    def _settled(self, sites: Array, moved: Array, relocated: bool) -> bool:
        """Return whether the last step was small, or the next one is none."""
        if np.array_equal(moved, sites):
            return True
        small = len(self.history) > 1 and self.history[-2] - self.history[-1] <= self.tol * self.history[-1]
        return small and not relocated
