"""Costs of a pair of points, functions of their distance r.

A name stands for the default object: "coulomb", "log", "sqeuclidean", "repulsive-harmonic". The cost of N points is the
sum over pairs, each counted once; it is never halved.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from . import _validate, errors

__all__ = ["Coulomb", "Harmonic", "Logarithmic", "PairCost", "Riesz"]


@dataclass(frozen=True)
class PairCost:
    """Base class: what the kernels need to know of a cost.

    Attributes
    ----------
    kind : {"riesz", "log", "quadratic"}
        Strength times r^-s, -log r or r^2.
    s : float
        Exponent of "riesz".
    strength : float
        Factor.
    """

    kind: ClassVar[str]
    s: ClassVar[float] = 1.0
    strength: ClassVar[float] = 1.0

    @property
    def convex_decreasing(self) -> bool:
        """Whether the cost is convex and decreasing in r: its optimal maps on the line are then known exactly."""
        return self.kind in ("riesz", "log") and self.strength > 0


@dataclass(frozen=True)
class Riesz(PairCost):
    """The Riesz cost r^-s, infinite where points meet.

    Parameters
    ----------
    s : float
        Exponent, positive.

    Examples
    --------
    >>> import deblai
    >>> deblai.costs.Riesz(2.0)
    Riesz(s=2.0)
    """

    kind = "riesz"
    s: float  # type: ignore[misc]

    def __post_init__(self) -> None:
        s = _validate.real("costs.Riesz", "s", self.s)
        if not s > 0:
            raise errors.InvalidValue(f"[costs.Riesz] s: expected a positive exponent, got {self.s!r}")
        object.__setattr__(self, "s", s)


@dataclass(frozen=True)
class Coulomb(PairCost):
    """The Coulomb cost 1 / r (Hartree for distances in Bohr), infinite where points meet."""

    kind = "riesz"


@dataclass(frozen=True)
class Logarithmic(PairCost):
    """The logarithmic cost -log r, infinite where points meet."""

    kind = "log"


@dataclass(frozen=True)
class Harmonic(PairCost):
    """The harmonic cost strength * r^2: attractive for positive, repulsive for negative strength.

    Parameters
    ----------
    strength : float, default 1

    Examples
    --------
    >>> import deblai
    >>> deblai.costs.Harmonic(-1.0)
    Harmonic(strength=-1.0)
    """

    kind = "quadratic"
    strength: float = 1.0  # type: ignore[misc]

    def __post_init__(self) -> None:
        object.__setattr__(self, "strength", _validate.real("costs.Harmonic", "strength", self.strength))


KINDS = ("riesz", "log", "quadratic")  # as PairCost::Kind in C++
_NAMED = {
    "coulomb": Coulomb(),
    "log": Logarithmic(),
    "sqeuclidean": Harmonic(),
    "repulsive-harmonic": Harmonic(-1.0),
}


def of_kind(kind: str, s: float, strength: float) -> PairCost:
    """Return the cost that the kernels' numbers stand for."""
    return Riesz(s) if kind == "riesz" else Logarithmic() if kind == "log" else Harmonic(strength)


def named(operation: str, cost: Any) -> PairCost:
    """Return the cost that a name or an object stands for."""
    if isinstance(cost, PairCost):
        return cost
    if isinstance(cost, str) and cost in _NAMED:
        return _NAMED[cost]
    kind = errors.InvalidValue if isinstance(cost, str) else errors.InvalidType
    raise kind(
        f"[{operation}] cost: expected one of {', '.join(map(repr, _NAMED))}, a cost of deblai.costs, a matrix or "
        f"matrices by pair, got {cost!r}"
    )
