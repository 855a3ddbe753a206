"""Points drawn from densities: where descents begin."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..measures import Grid, UniformBox

Array = np.ndarray[Any, Any]


def draw(measure: Any, count: int, rng: np.random.Generator) -> Array:
    """Return points (count, d), float64: independent draws of a box or of pixels.

    Of other measures, draws of the cells of sites spread at random in their box, each a normal law with the mean of its
    cell and its mean square.
    """
    if not isinstance(measure, UniformBox | Grid):
        return _of_cells(measure, count, rng)
    at = rng.random((count, measure.dim))
    if isinstance(measure, Grid):
        values = np.asarray(measure.values, np.float64)
        pixels = rng.choice(values.size, count, p=(values / values.sum()).ravel())
        at = (np.stack(np.unravel_index(pixels, values.shape), axis=1) + at) / values.shape
    lower = np.array(measure.lower)
    return np.asarray(lower + np.subtract(measure.upper, lower) * at)


def _of_cells(measure: Any, count: int, rng: np.random.Generator) -> Array:
    from ._laguerre import laguerre  # which knows all measures

    low, high = np.array(measure.lower), np.array(measure.upper)
    sites = low + (high - low) * rng.random((min(count, 10_000) + 1000, measure.dim))
    cells = laguerre(sites, measure=measure)
    mass, centre = np.asarray(cells.mass), np.asarray(cells.centroid)
    chosen = rng.choice(len(mass), count, p=mass / mass.sum())
    spread = np.asarray(cells.second_moment)[chosen] / mass[chosen] - ((sites - centre)[chosen] ** 2).sum(1)
    size = np.sqrt(np.maximum(spread, 0) / measure.dim)[:, None]
    at: Array = centre[chosen] + size * rng.standard_normal((count, measure.dim))
    return np.clip(at, low, high)
