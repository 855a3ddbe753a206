"""Descents of the energy: Lloyd, Anderson, L-BFGS, and the loop that all share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np

from .landscape import Array, Landscape, Point, dot, scaled

MEMORY = 7


class Method(Protocol):
    """How to go on from a point."""

    def next(self, now: Point) -> Point | None:
        """Return a better point, None where there is none to be found."""

    def forget(self) -> None:
        """Drop what was learnt: the sites were moved by others."""


class Descent:
    """One run: `point` and `history` grow as it goes."""

    def __init__(self, land: Landscape, tol: float, max_iter: int, rng: np.random.Generator) -> None:
        self.land, self.tol, self.max_iter, self.rng = land, tol, max_iter, rng
        self.point: Point | None = None
        self.history: list[float] = []
        self.converged = self.stopped = False

    @property
    def n_iter(self) -> int:
        """How often the sites moved."""
        return max(0, len(self.history) - 1)

    def run(self, start: Point, method: Method, callback: Callable[[int, Point], bool | None]) -> None:
        """Go on until the sites are stationary, nothing lowers the energy, or the callback returns True."""
        point: Point | None = refilled(self.land, start, self.rng)
        while point is not None:
            self.point = point
            self.history.append(point.energy)
            if callback(self.n_iter, point):
                self.stopped = True
                return
            self.converged = point.settled(self.tol)
            if self.converged or self.n_iter == self.max_iter:
                return
            new = method.next(point)
            if new is None:  # rounding of several neighbours
                self.converged = point.settled(self.tol, 16.0)
                return
            if new.empty.any():
                new = refilled(self.land, new, self.rng)
                method.forget()
            point = new


def refilled(land: Landscape, point: Point, rng: np.random.Generator) -> Point:
    """Move the sites of cells without mass into the cells with most energy, which lowers it.

    Each goes to the mean distance from the site there, in a direction drawn at random.
    """
    for _ in range(8):
        lost = np.flatnonzero(point.empty)
        if not len(lost) or not point.energy > 0:
            break
        lost = lost[: len(point.mass) - len(lost)]
        dearest = np.argsort(-point.each, kind="stable")[: len(lost)]
        way = rng.standard_normal((len(lost), point.sites.shape[1]))
        way /= np.sqrt((way**2).sum(1))[:, None]
        sites = point.sites.copy()
        sites[lost] = sites[dearest] + point.radius[dearest, None] * way
        new = land.at(land.inside(sites))
        if new is None:
            break
        if new.energy <= point.energy:
            point = new
    return point


def lowered(land: Landscape, now: Point, way: Array, shortest: float = 1e-6) -> Point | None:
    """Return a point along a direction that is lower by Armijo's rule, or flatter where energies are rounding."""
    length = 1.0
    while length > shortest:
        new = land.at(land.inside(now.sites + length * way), now)
        if new is not None:
            slope = float((now.gradient * (new.sites - now.sites)).sum())
            if new.energy <= now.energy + 1e-4 * slope and slope < 0 and new.better(now):
                return new
            if abs(slope) < 1e-9 * now.energy and new.better(now):
                return new
        length /= 2 if length > 0.2 else 4
    return None


class Lloyd:
    """To the centres of the cells, step by step."""

    def __init__(self, land: Landscape) -> None:
        self.land = land

    def next(self, now: Point) -> Point | None:
        """Step."""
        return lowered(self.land, now, now.step)

    def forget(self) -> None:
        """Nothing is kept."""


class Anderson:
    """Anderson's acceleration of Lloyd's iteration, which goes back to it where the energy would rise.

    Y. Peng et al., "Anderson acceleration for geometry optimization and physics simulation", ACM Trans. Graph. 37,
    2018, arXiv 1805.10638.
    """

    def __init__(self, land: Landscape) -> None:
        self.land = land
        self.sites: list[Array] = []
        self.steps: list[Array] = []

    def next(self, now: Point) -> Point | None:
        """Mix the last steps so that their sum, in the metric of the curvatures, is least."""
        root = np.sqrt(now.curvature)[:, None]
        self.sites, self.steps = [*self.sites[-MEMORY:], now.sites], [*self.steps[-MEMORY:], now.step]
        if len(self.sites) > 1:
            moves = np.stack([(v - now.sites).ravel() for v in self.sites[:-1]], 1)
            changes = np.stack([(v - now.step) for v in self.steps[:-1]], -1)
            weighted = (root[:, :, None] * changes).reshape(-1, len(self.steps) - 1)
            size = np.sqrt(np.einsum("ij,ij->j", weighted, weighted))
            weighted /= np.where(size > 0, size, 1.0)
            gram = np.einsum("ij,ik->jk", weighted, weighted) + 1e-13 * np.eye(len(size))
            share = np.linalg.solve(gram, -np.einsum("ij,i->j", weighted, (root * now.step).ravel()))
            mix = share / np.where(size > 0, size, 1.0)
            way = now.step + ((moves + changes.reshape(moves.shape)) @ mix).reshape(now.step.shape)
            new = self.land.at(self.land.inside(now.sites + way), now)
            if new is not None and new.better(now):
                return new
            self.forget()
        return lowered(self.land, now, now.step)

    def forget(self) -> None:
        """Begin anew."""
        self.sites, self.steps = [], []


class LBFGS:
    """Quasi-Newton steps of memory 7, preconditioned by the curvatures of fixed cells.

    J. Nocedal, S. Wright, "Numerical optimization", 2006, algorithm 7.4.
    """

    def __init__(self, land: Landscape) -> None:
        self.land = land
        self.pairs: list[tuple[Array, Array, float]] = []

    def next(self, now: Point) -> Point | None:
        """Step."""
        new = lowered(self.land, now, self.direction(now), 1e-3) if self.pairs else None
        if new is None:
            self.forget()
            new = lowered(self.land, now, now.step)
        if new is not None:
            s, y = new.sites - now.sites, new.gradient - now.gradient
            product = dot(s, y)
            if product > 1e-10 * float(np.sqrt(dot(s, s) * dot(y, y))):
                self.pairs = [*self.pairs[1 - MEMORY :], (s, y, product)]
        return new

    def direction(self, now: Point) -> Array:
        """Return - H^-1 gradient by two loops."""
        q, shares = now.gradient.copy(), []
        for s, y, product in reversed(self.pairs):
            shares.append(dot(s, q) / product)
            q -= shares[-1] * y
        s, y, product = self.pairs[-1]
        q = product / dot(y, scaled(y, now.curvature)) * scaled(q, now.curvature)
        for (s, y, product), share in zip(self.pairs, reversed(shares), strict=True):
            q += (share - dot(y, q) / product) * s
        return -q

    def forget(self) -> None:
        """Begin anew."""
        self.pairs = []
