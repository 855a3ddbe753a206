"""Continuous laws of the line, as scipy.stats has them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import errors

Array = np.ndarray[Any, Any]
OPERATION = "measures.Law"


@dataclass(frozen=True, eq=False, repr=False)
class Law:
    """A continuous probability on the line, given by its distribution function and its quantiles.

    Parameters
    ----------
    distribution : frozen distribution of scipy.stats
        Anything with methods ``cdf`` and ``ppf`` (or ``icdf``) that take arrays: ``scipy.stats.norm(0, 2)``, a
        ``scipy.stats.rv_histogram``, an object of your own. Where it has ``sf`` and ``isf`` (``ccdf``, ``iccdf``), the
        upper tail is as precise as the lower one. SciPy itself is not imported.

    Attributes
    ----------
    dim : int
        1.

    Raises
    ------
    InvalidValue
        A discrete law, or one whose median has not half of the mass below it.
    InvalidType
        Something without those methods, or with parameters missing.

    Examples
    --------
    >>> from scipy import stats
    >>> from deblai.measures import Law
    >>> law = Law(stats.norm(1.0, 2.0))
    >>> float(law.quantile(0.5))
    1.0
    """

    distribution: Any

    def __post_init__(self) -> None:
        law = self.distribution
        if hasattr(law, "pmf") and not hasattr(law, "pdf"):
            raise errors.InvalidValue(
                f"[{OPERATION}] distribution: expected a continuous law, got a discrete one (use points and weights)"
            )
        try:
            middle = np.asarray(self.quantile(np.array([0.5])), np.float64)
            below = np.asarray(self.cdf(middle), np.float64)
        except (AttributeError, TypeError) as error:
            raise errors.InvalidType(
                f"[{OPERATION}] distribution: expected a frozen distribution of scipy.stats, got {law!r}"
            ) from error
        if middle.shape != (1,) or not np.isfinite(middle).all() or not abs(float(below[0]) - 0.5) < 1e-6:
            raise errors.InvalidValue(
                f"[{OPERATION}] distribution: expected one continuous law, got {law!r} with cdf(median) = {below}"
            )

    def __repr__(self) -> str:
        name = getattr(getattr(self.distribution, "dist", None), "name", None)
        return f"Law({name or type(self.distribution).__name__})"

    @property
    def dim(self) -> int:
        """The dimension, 1."""
        return 1

    def cdf(self, x: Any) -> Any:
        """Return the mass below x."""
        return self.distribution.cdf(x)

    def quantile(self, q: Any) -> Any:
        """Return where the mass q lies below."""
        law = self.distribution
        return law.ppf(q) if hasattr(law, "ppf") else law.icdf(q)

    def upper_quantile(self, q: Any) -> Any:
        """Return where the mass q lies above."""
        law = self.distribution
        for name in ("isf", "iccdf"):
            if hasattr(law, name):
                return getattr(law, name)(q)
        return self.quantile(1 - np.asarray(q, np.float64))
