"""Costs of a pair of points, functions of their distance r.

A name stands for the default object: "coulomb", "log", "euclidean", "sqeuclidean", "repulsive-harmonic". The cost of N
points is the sum over pairs, each counted once; it is never halved.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from . import _validate, errors

__all__ = ["Coulomb", "Harmonic", "Logarithmic", "PairCost", "Power", "Riesz", "SoftCoulomb", "Yukawa"]


class PairCost:
    """Base class: what the kernels need to know of a cost.

    Attributes
    ----------
    kind : {"riesz", "log", "quadratic", "yukawa", "soft", "power"}
        Strength times r^-s, -log r, r^2, exp(-s r) / r, (r^2 + s^2)^-1/2 or r^s.
    s : float
        What the formula of the kind calls s.
    strength : float
        Factor.
    """

    kind: ClassVar[str]
    s: ClassVar[float] = 1.0
    strength: ClassVar[float] = 1.0

    @property
    def convex_decreasing(self) -> bool:
        """Whether the cost is convex and decreasing in r: its optimal maps on the line are then known exactly."""
        if self.kind == "power":
            return self.strength < 0 and self.s <= 1
        return self.kind in ("riesz", "log", "yukawa") and self.strength > 0


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


def _checked(cost: Any, name: str, least: float = 0.0, closed: bool = False) -> float:
    """Return a parameter that is a finite number above `least` (or equal to it where `closed`)."""
    operation = f"costs.{type(cost).__name__}"
    given = getattr(cost, name)
    value = _validate.real(operation, name, given)
    if not (value >= least if closed else value > least):
        wanted = f"a {'nonnegative' if closed else 'positive'} number"
        raise errors.InvalidValue(f"[{operation}] {name}: expected {wanted}, got {given!r}")
    return value


@dataclass(frozen=True)
class Yukawa(PairCost):
    """The Yukawa (screened Coulomb) cost strength * exp(-kappa r) / r, infinite where points meet.

    Parameters
    ----------
    kappa : float
        Inverse screening length, at least 0, which is Coulomb's.
    strength : float, default 1
        Positive.

    Examples
    --------
    >>> import deblai
    >>> deblai.costs.Yukawa(2.0)
    Yukawa(kappa=2.0, strength=1.0)
    """

    kind = "yukawa"
    kappa: float
    strength: float = 1.0  # type: ignore[misc]

    def __post_init__(self) -> None:
        object.__setattr__(self, "kappa", _checked(self, "kappa", closed=True))
        object.__setattr__(self, "strength", _checked(self, "strength"))

    @property
    def s(self) -> float:  # type: ignore[override]
        """The inverse screening length."""
        return self.kappa


@dataclass(frozen=True)
class SoftCoulomb(PairCost):
    """The softened Coulomb cost strength / sqrt(r^2 + a^2), as of electrons in one dimension.

    Parameters
    ----------
    a : float
        The softening length, positive.
    strength : float, default 1
        Negative for attraction.

    Examples
    --------
    >>> import deblai
    >>> deblai.costs.SoftCoulomb(1.0)
    SoftCoulomb(a=1.0, strength=1.0)
    """

    kind = "soft"
    a: float
    strength: float = 1.0  # type: ignore[misc]

    def __post_init__(self) -> None:
        object.__setattr__(self, "a", _checked(self, "a"))
        object.__setattr__(self, "strength", _validate.real("costs.SoftCoulomb", "strength", self.strength))

    @property
    def s(self) -> float:  # type: ignore[override]
        """The softening length."""
        return self.a


@dataclass(frozen=True)
class Power(PairCost):
    """The power strength * r^p of the Euclidean distance: attractive for positive, repulsive for negative strength.

    Parameters
    ----------
    p : float
        Exponent, positive. Where points meet the gradient is taken as 0 for p < 2.
    strength : float, default 1

    Examples
    --------
    >>> import deblai
    >>> deblai.costs.Power(1.0, -1.0)
    Power(p=1.0, strength=-1.0)
    """

    kind = "power"
    p: float
    strength: float = 1.0  # type: ignore[misc]

    def __post_init__(self) -> None:
        object.__setattr__(self, "p", _checked(self, "p"))
        object.__setattr__(self, "strength", _validate.real("costs.Power", "strength", self.strength))

    @property
    def s(self) -> float:  # type: ignore[override]
        """The exponent."""
        return self.p


KINDS = ("riesz", "log", "quadratic", "yukawa", "soft", "power")  # as PairCost::Kind in C++
_NAMED = {
    "coulomb": Coulomb(),
    "log": Logarithmic(),
    "euclidean": Power(1.0),
    "sqeuclidean": Harmonic(),
    "repulsive-harmonic": Harmonic(-1.0),
}


def of_kind(kind: str, s: float, strength: float) -> PairCost:
    """Return the cost that the kernels' numbers stand for."""
    if kind in ("riesz", "log"):
        return Riesz(s) if kind == "riesz" else Logarithmic()
    if kind == "quadratic":
        return Harmonic(strength)
    return {"yukawa": Yukawa, "soft": SoftCoulomb, "power": Power}[kind](s, strength)


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
