"""Points drawn from densities: where descents begin."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..measures import Grid

Array = np.ndarray[Any, Any]


def draw(measure: Any, count: int, rng: np.random.Generator) -> Array:
    """Return independent points (count, d), float64, of a box or of pixels; of others, what their `sample` says."""
    if hasattr(measure, "sample"):
        return np.asarray(measure.sample(count, rng), np.float64)
    at = rng.random((count, measure.dim))
    if isinstance(measure, Grid):
        values = np.asarray(measure.values, np.float64)
        pixels = rng.choice(values.size, count, p=(values / values.sum()).ravel())
        at = (np.stack(np.unravel_index(pixels, values.shape), axis=1) + at) / values.shape
    lower = np.array(measure.lower)
    return np.asarray(lower + np.subtract(measure.upper, lower) * at)
