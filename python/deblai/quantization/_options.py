"""Checks of the arguments of `quantize` that do not depend on the dimension."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import errors
from .._array import gather

Array = np.ndarray[Any, Any]

OPERATION = "quantization.quantize"


def choice(name: str, value: Any, known: tuple[str, ...]) -> None:
    """Check that a name is among those known."""
    if not isinstance(value, str):
        raise errors.InvalidType(f"[{OPERATION}] {name}: expected one of {known}, got {value!r}")
    if value not in known:
        raise errors.InvalidValue(f"[{OPERATION}] {name}: expected one of {known}, got {value!r}")


def vector(name: str, value: Any, count: int) -> Array:
    """Return finite numbers, one a site."""
    library, (given,) = gather(OPERATION, {name: value})
    if given is None or tuple(given.shape) != (count,):
        shape = None if given is None else tuple(given.shape)
        raise errors.InvalidValue(f"[{OPERATION}] {name}: expected shape ({count},) to match n_sites, got {shape}")
    array = np.asarray(library.numpy(given), np.float64)
    if not np.isfinite(array).all():
        raise errors.InvalidValue(f"[{OPERATION}] {name}: expected finite values, got nan or inf")
    return array


def masses(weights: Any, count: int) -> Array | None:
    """Return given weights, of sum 1, or None where they are free."""
    if weights is None:
        raise errors.InvalidType(f"[{OPERATION}] weights: expected 'free', 'uniform' or an array, got None")
    if isinstance(weights, str):
        choice("weights", weights, ("free", "uniform"))
        return None if weights == "free" else np.full(count, 1 / count)
    mass = vector("weights", weights, count)
    if not (mass > 0).all():
        raise errors.InvalidValue(f"[{OPERATION}] weights: expected positive weights, got {mass.min():g}")
    return np.asarray(mass / mass.max() / (mass / mass.max()).sum())
