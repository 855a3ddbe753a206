"""Checks that the functions of exact cells share."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import errors
from .._array import JAX, NUMPY, TRACED, Library, gather, library_of
from .._form import Form
from ..measures import Gaussian, Grid, Mixture, PiecewiseLinear, Polytope, UniformBox

BOXES: tuple[type[Any], ...] = (UniformBox, Grid)
FORMS: tuple[type[Any], ...] = (Polytope, Gaussian, Mixture, PiecewiseLinear)


def box(
    operation: str,
    measure: Any,
    periodic: Any,
    dims: tuple[int, ...] = (2,),
    kinds: tuple[type[Any], ...] = BOXES,
    name: str = "measure",
) -> Any:
    """Return the pixels of a measure of these kinds, None for other densities: `form` has what those are."""
    if not isinstance(measure, kinds):
        names = [f"measures.{kind.__name__}" for kind in kinds]
        wanted = ", ".join(names[:-1]) + " or " + names[-1]
        raise errors.InvalidType(f"[{operation}] {name}: expected {wanted}, got {type(measure).__name__}")
    if measure.dim not in dims:
        wanted = " or ".join(map(str, dims))
        raise errors.InvalidValue(f"[{operation}] {name}: expected {wanted} dimensions, got {measure.dim}")
    if measure.dim == 3 and not isinstance(measure, UniformBox | Grid | Polytope):
        raise errors.InvalidValue(
            f"[{operation}] {name}: expected a UniformBox, Grid or Polytope in 3 dimensions, got {measure}"
        )
    sides = [b - a for a, b in zip(measure.lower, measure.upper, strict=True)]
    if not all(1e-100 < v < 1e100 for v in (*sides, *(1 + abs(v) for v in measure.lower))):
        raise errors.InvalidValue(
            f"[{operation}] {name}: expected a box with sides and corners between 1e-100 and 1e100, got {measure}"
        )
    if not isinstance(periodic, bool | np.bool_):
        raise errors.InvalidType(f"[{operation}] periodic: expected True or False, got {periodic!r}")
    if periodic and not isinstance(measure, BOXES):
        raise errors.InvalidValue(
            f"[{operation}] periodic: expected False for a measures.{type(measure).__name__}: only a UniformBox or a "
            "Grid can be a torus"
        )
    return measure.values if isinstance(measure, Grid) else None


def form(measure: Any) -> Form | None:
    """Return what a measure is beyond pixels of a box, for the `form` of a Problem."""
    return None if isinstance(measure, BOXES) else measure._form


def sites(operation: str, y: Any, dim: int = 2) -> None:
    """Check the shape of sites."""
    if y is None:
        raise errors.InvalidType(f"[{operation}] sites: expected an array, got None")
    if y.ndim != 2 or y.shape[1] != dim or y.shape[0] == 0:
        raise errors.InvalidValue(f"[{operation}] sites: expected shape (n, {dim}) with n >= 1, got {tuple(y.shape)}")


def like(operation: str, library: Library, arguments: dict[str, Any], density: Any) -> Any:
    """Return the pixels in the library, dtype and on the device of the arguments, sites and what comes with them."""
    if density is None:
        return None
    y = arguments["sites"]
    compatible = (JAX, NUMPY) if library is TRACED else (library,)
    if library_of(density) in compatible and library.dtype(density) != library.dtype(y):
        density = library.cast(density, y)
    return gather(operation, arguments | {"measure.values": density}, traces=True)[1][-1]
