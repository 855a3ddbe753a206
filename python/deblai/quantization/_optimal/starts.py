"""Where descents begin: drawn points, k-means++, lattices."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

from ... import errors
from .._draws import draw
from .landscape import OPERATION, Array, Landscape
from .refined import FEW as FEW
from .refined import refined, seeds

MANY = 10_000  # sites; more are drawn at random, k-means++ takes time in their square

Site = tuple[float, ...]
CELLS: dict[
    str, tuple[list[Site], Site]
] = {  # sites of a cell of the lattice, in shares of its sides; what the sides are for the best of them
    "square": ([(0.5, 0.5)], (1.0, 1.0)),
    "triangular": ([(0.25, 0.25), (0.75, 0.75)], (1.0, np.sqrt(3))),
    "sc": ([(0.5, 0.5, 0.5)], (1.0, 1.0, 1.0)),
    "bcc": ([(0.25, 0.25, 0.25), (0.75, 0.75, 0.75)], (1.0, 1.0, 1.0)),
    "fcc": ([(0.25, 0.25, 0.25), (0.75, 0.75, 0.25), (0.75, 0.25, 0.75), (0.25, 0.75, 0.75)], (1.0, 1.0, 1.0)),
}


def names(dim: int) -> tuple[str, ...]:
    """Return the starts that have a name in a dimension."""
    return ("random", "k-means++", "refined", *(name for name, (cell, _) in CELLS.items() if len(cell[0]) == dim))


def starter(land: Landscape, count: int, init: str | None, free: bool) -> Callable[[np.random.Generator], Array]:
    """Return what makes starts of a name; the default depends on how many sites there are."""
    measure = land.measure
    if init in CELLS:
        sites = lattice(measure, count, init)
        return lambda rng: sites
    if init == "refined" and not free:
        raise errors.InvalidValue(f"[{OPERATION}] init: expected weights='free' for init='refined'")
    if init == "refined" or (init is None and free and count > FEW):
        return lambda rng: refined(land, count, rng)
    plain = init == "random" or (init is None and count > MANY)
    return lambda rng: draw(OPERATION, measure, count, rng) if plain else seeds(measure, count, rng)


def lattice(measure: Any, count: int, name: str) -> Array:
    """Return a lattice of so many sites that fits in the box, stretched as little as may be."""
    cell, shape = CELLS[name]
    corners = getattr(measure, "lower", None), getattr(measure, "upper", None)
    if corners[0] is None or corners[1] is None:
        raise errors.InvalidValue(f"[{OPERATION}] init: expected a measure of a box for a lattice, got {measure!r}")
    size = np.subtract(corners[1], corners[0])
    each = len(cell)
    if count % each:
        raise errors.InvalidValue(
            f"[{OPERATION}] init: expected a multiple of {each} sites for init={name!r}, got n_sites = {count}"
        )
    best, counts, sides = np.inf, np.ones(len(size), int), np.array(shape)
    turns = {shape, shape[::-1]}
    for found in _factors(count // each, len(size)):
        for turn in sorted(turns):
            stretch = np.log(size / found / turn)
            if np.ptp(stretch) < best - 1e-12:
                best, counts, sides = float(np.ptp(stretch)), np.array(found), np.array(turn)
    corner = np.stack(np.meshgrid(*(np.arange(m) for m in counts), indexing="ij"), -1).reshape(-1, 1, len(size))
    inner = np.array(cell) if tuple(sides) == shape else np.array(cell)[:, ::-1]
    at = (corner + inner).reshape(-1, len(size))
    return np.asarray(np.array(corners[0]) + size * at / counts)


def _factors(n: int, parts: int) -> list[tuple[int, ...]]:
    """Return all ways to write n as an ordered product."""
    divisors = [k for k in range(1, int(n**0.5) + 1) if n % k == 0]
    divisors = sorted({*divisors, *(n // k for k in divisors)})
    return [(*v, n // int(np.prod(v))) for v in itertools.product(divisors, repeat=parts - 1) if n % np.prod(v) == 0]
