"""Random numbers: ``rng=`` as in SPEC 7 (None, a seed, or a numpy.random.Generator)."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import errors


def generator(operation: str, rng: Any) -> np.random.Generator:
    """Return the generator that `rng` stands for."""
    if isinstance(rng, np.random.Generator):
        return rng
    try:
        if isinstance(rng, bool | np.bool_):
            raise TypeError
        return np.random.default_rng(rng)
    except (TypeError, ValueError) as error:
        kind = errors.InvalidType if isinstance(error, TypeError) else errors.InvalidValue
        raise kind(
            f"[{operation}] rng: expected None, a nonnegative seed or a numpy.random.Generator, got {rng!r}"
        ) from error
