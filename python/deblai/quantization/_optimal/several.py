"""Restarts: descents of few sites in one call of a kernel, each on a thread of its own."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..._backend import Plan
from .._powers import CONVERGED, EMPTY, Descents, PowerProblem
from .descent import refilled
from .landscape import Array, Landscape
from .refined import FEW, STEPS, TOL, between, seeds

MOST = 20_000  # sites; more keep all threads busy with one descent


def together(land: Landscape, options: Any, count: int, plan: Plan) -> bool:
    """Return whether a kernel knows the method, for free weights, and whether several descents at a time are faster."""
    return plan.backend == "cpu" and options.method == "auto" and count <= MOST and options.restarts > 0


def starts(land: Landscape, periodic: bool, count: int, runs: int, rng: np.random.Generator) -> list[Array]:
    """Return starts as `refined` makes them; those of each level descend at the same time."""
    if count <= FEW:
        return [seeds(land.measure, count, rng) for _ in range(runs)]
    few = -(-count // 2**land.measure.dim)
    found = descend(land, periodic, starts(land, periodic, few, runs, rng), TOL, STEPS, rng)
    if found.stopped is not None:
        raise found.stopped
    return [between(land, land.home(sites), count) for sites in found.sites]


def descend(
    land: Landscape, periodic: bool, starts: list[Array], tol: float, max_iter: int, rng: np.random.Generator
) -> Descents:
    """Descend from all starts, in which no cell is left without mass."""
    points = [land.at(land.inside(v)) for v in starts]
    filled = [refilled(land, v, rng).sites for v in points if v is not None]
    problem = PowerProblem(land.measure, periodic, land.p)
    return problem.descend(np.stack(filled), tol, max_iter, land.invariant)


def ends(found: Descents) -> list[tuple[Array, list[float], bool, bool]]:
    """Return sites, energies, whether they converged and whether a cell has no mass, of descents that began."""
    return [
        (sites, history[: steps + 1].tolist(), bool(end == CONVERGED), bool(end == EMPTY))
        for sites, history, steps, end in zip(found.sites, found.history, found.n_iter, found.end, strict=True)
        if steps >= 0
    ]
