"""Entries of small arrays that measures keep: float64 of NumPy, finite."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import errors
from .._array import library_of

Array = np.ndarray[Any, Any]


def host(operation: str, name: str, x: Any, integers: bool = False) -> Array:
    """Return a C-ordered copy as float64 (int64), whichever library it comes from."""
    library = library_of(x)
    if x is None or isinstance(x, str):
        raise errors.InvalidType(f"[{operation}] {name}: expected an array of numbers, got {x!r}")
    try:
        given = library.numpy(x) if library else np.asarray(x)
    except (TypeError, ValueError, NotImplementedError) as error:  # the last of tensors without entries
        raise errors.InvalidType(
            f"[{operation}] {name}: expected an array of numbers, got {type(x).__name__}"
        ) from error
    if given.dtype.kind not in ("iu" if integers and given.size else "iuf"):
        kind = "integers" if integers else "real numbers"
        raise errors.InvalidType(f"[{operation}] {name}: expected an array of {kind}, got {given.dtype}")
    values = np.array(given, np.int64 if integers else np.float64, order="C")
    if not np.isfinite(values).all():
        raise errors.InvalidValue(f"[{operation}] {name}: expected finite values, got nan or inf")
    return values
