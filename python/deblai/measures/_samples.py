"""Measures that are sums of point masses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .. import _validate, errors
from .._array import gather


@dataclass(frozen=True, eq=False, repr=False)
class Samples:
    """A weighted sum of point masses.

    Parameters
    ----------
    x : array (n, d) or (n,)
        Points; a vector is n points of the line.
    weights : array (n,), optional
        Nonnegative, of any positive sum. Equal weights by default.

    Attributes
    ----------
    dim : int
        The dimension.

    Raises
    ------
    InvalidValue
        Shapes that do not fit, NaN or infinite entries, negative weights, zero mass.
    InvalidType
        Mixed libraries, devices or dtypes.

    Examples
    --------
    >>> import numpy as np
    >>> from deblai.measures import Samples
    >>> Samples(np.zeros((10, 2)))
    Samples(n=10, dim=2)
    """

    x: Any
    weights: Any = None

    def __post_init__(self) -> None:
        operation = "measures.Samples"
        _, (x, weights) = gather(operation, {"x": self.x, "weights": self.weights})
        x = _validate.points(operation, "x", x)
        weights = _validate.weights(operation, "weights", weights, x, "x")
        if not bool((x - x == 0).all()):
            raise errors.InvalidValue(f"[{operation}] x: expected finite values, got nan or inf")
        if weights is not None:
            if not bool(((weights >= 0) & (weights - weights == 0)).all()):
                raise errors.InvalidValue(
                    f"[{operation}] weights: expected finite nonnegative weights, got nan, inf or negative"
                )
            if not bool(weights.max() > 0):
                raise errors.InvalidValue(f"[{operation}] weights: expected a positive finite total mass, got 0")
        object.__setattr__(self, "x", x)
        object.__setattr__(self, "weights", weights)

    def __repr__(self) -> str:
        weighted = "" if self.weights is None else ", weighted"
        return f"Samples(n={self.x.shape[0]}, dim={self.dim}{weighted})"

    @property
    def dim(self) -> int:
        """The dimension."""
        return int(self.x.shape[1])
