"""Gaussians and their mixtures, on the whole space or restricted to a box or a polytope."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from .. import errors
from .._form import Form
from ._entries import host
from ._polytope import Polytope

Array = np.ndarray[Any, Any]
FAR = 39.0  # standard deviations: the density is below 1e-330 of its peak beyond, which is 0 in float64


class _Restricted:
    """What Gaussians and mixtures share: where they live."""

    domain: Any

    def _parts(self) -> tuple[Array, list[Gaussian]]:
        raise NotImplementedError

    @cached_property
    def _box(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        if self.domain is not None:
            return tuple(self.domain.lower), tuple(self.domain.upper)
        _, parts = self._parts()
        reach = [FAR * np.sqrt(np.diag(g.cov)) for g in parts]
        low = np.min([g.mean - r for g, r in zip(parts, reach, strict=True)], axis=0)
        high = np.max([g.mean + r for g, r in zip(parts, reach, strict=True)], axis=0)
        return tuple(low.tolist()), tuple(high.tolist())

    @property
    def lower(self) -> tuple[float, ...]:
        """The least coordinates of the domain; of the whole space, 39 standard deviations below every mean."""
        return self._box[0]

    @property
    def upper(self) -> tuple[float, ...]:
        """The largest coordinates of the domain; of the whole space, 39 standard deviations above every mean."""
        return self._box[1]

    @cached_property
    def _form(self) -> Form:
        weights, parts = self._parts()
        corners = planes = None
        if isinstance(self.domain, Polytope):
            corners, planes = self.domain._form.corners, self.domain._form.planes
        upper = np.triu_indices(len(parts[0].mean))
        rows = [[w, *g.mean, *g.cov[upper]] for w, g in zip(weights, parts, strict=True)]
        return Form(corners=corners, planes=planes, gaussians=np.array(rows, np.float64))


@dataclass(frozen=True, eq=False, repr=False)
class Gaussian(_Restricted):
    """A normal law, on the whole space or restricted to a convex domain.

    Parameters
    ----------
    mean : array (d,)
        The mean. Any library; kept as float64 of NumPy.
    cov : array (d, d) or float, default 1.0
        The covariance, symmetric and positive definite; a number is a multiple of the identity.
    domain : UniformBox or Polytope, optional
        Where it lives: it is restricted to the domain and divided by its mass there. By default the whole space.

    Attributes
    ----------
    dim : int
        The dimension.
    lower, upper : tuple of float
        The box of the domain. That of the whole space ends 39 standard deviations from the mean, beyond which the
        density is 0 in float64: nothing is lost.

    Raises
    ------
    InvalidValue
        Shapes that do not fit, NaN or infinite entries, a covariance that is not symmetric and positive definite.
    InvalidType
        Anything but numbers; other domains.

    Examples
    --------
    >>> from deblai.measures import Gaussian
    >>> Gaussian([0.0, 1.0], [[2.0, 0.5], [0.5, 1.0]])
    Gaussian(mean=[0.0, 1.0], cov=[[2.0, 0.5], [0.5, 1.0]])
    """

    mean: Any
    cov: Any = 1.0
    domain: Any = None

    def __post_init__(self) -> None:
        operation = "measures.Gaussian"
        mean, cov = host(operation, "mean", self.mean), host(operation, "cov", self.cov)
        if mean.ndim != 1 or len(mean) == 0:
            raise errors.InvalidValue(f"[{operation}] mean: expected shape (d,), got {tuple(mean.shape)}")
        if cov.ndim == 0:
            cov = float(cov) * np.eye(len(mean))
        if cov.shape != 2 * mean.shape:
            raise errors.InvalidValue(
                f"[{operation}] cov: expected a number or shape {2 * mean.shape} to match mean, got {tuple(cov.shape)}"
            )
        scale = np.sqrt(np.abs(np.diag(cov)))
        if not (np.abs(cov - cov.T) <= 1e-12 * np.outer(scale, scale)).all():
            raise errors.InvalidValue(f"[{operation}] cov: expected a symmetric matrix, got {cov.tolist()}")
        cov = (cov + cov.T) / 2
        unit = cov / np.where(scale > 0, np.outer(scale, scale), 1.0)
        if not ((np.diag(cov) > 1e-200).all() and (cov < 1e200).all() and np.linalg.eigvalsh(unit).min() > 1e-12):
            raise errors.InvalidValue(f"[{operation}] cov: expected a positive definite matrix, got {cov.tolist()}")
        object.__setattr__(self, "mean", mean)
        object.__setattr__(self, "cov", cov)
        _check_domain(operation, self.domain, len(mean))

    def __repr__(self) -> str:
        inside = "" if self.domain is None else f", domain={self.domain}"
        return f"Gaussian(mean={self.mean.tolist()}, cov={self.cov.tolist()}{inside})"

    @property
    def dim(self) -> int:
        """The dimension."""
        return len(self.mean)

    def _parts(self) -> tuple[Array, list[Gaussian]]:
        return np.ones(1), [self]


@dataclass(frozen=True, eq=False, repr=False)
class Mixture(_Restricted):
    """A mixture of normal laws, on the whole space or restricted to a convex domain.

    Parameters
    ----------
    components : sequence of Gaussian
        Of one dimension and without domains of their own.
    weights : array (c,), optional
        Nonnegative, of any positive sum; equal weights by default.
    domain : UniformBox or Polytope, optional
        Where it lives, as for a `Gaussian`: the restriction of the sum, not the sum of restrictions.

    Attributes
    ----------
    dim : int
        The dimension.
    lower, upper : tuple of float
        The box of the domain; that of the whole space holds those of all components.

    Raises
    ------
    InvalidValue
        No components, different dimensions, weights that are negative, NaN, infinite or without mass.
    InvalidType
        Components that are no Gaussians; other domains.

    Examples
    --------
    >>> from deblai.measures import Gaussian, Mixture
    >>> Mixture([Gaussian([-2.0, 0.0]), Gaussian([2.0, 0.0], 0.25)], [1, 3])
    Mixture(components=2, dim=2)
    """

    components: Sequence[Gaussian]
    weights: Any = None
    domain: Any = None

    def __post_init__(self) -> None:
        operation = "measures.Mixture"
        try:
            parts = tuple(self.components)
        except TypeError as error:
            raise errors.InvalidType(
                f"[{operation}] components: expected a sequence of measures.Gaussian, got {self.components!r}"
            ) from error
        if not parts:
            raise errors.InvalidValue(f"[{operation}] components: expected at least one, got none")
        for k, g in enumerate(parts):
            if not isinstance(g, Gaussian):
                raise errors.InvalidType(
                    f"[{operation}] components[{k}]: expected measures.Gaussian, got {type(g).__name__}"
                )
            if g.domain is not None:
                raise errors.InvalidValue(
                    f"[{operation}] components[{k}]: expected no domain; give the mixture's as domain="
                )
            if g.dim != parts[0].dim:
                raise errors.InvalidValue(
                    f"[{operation}] components[{k}]: expected {parts[0].dim} dimensions to match the first, got {g.dim}"
                )
        weights = np.ones(len(parts)) if self.weights is None else host(operation, "weights", self.weights)
        if weights.shape != (len(parts),):
            raise errors.InvalidValue(
                f"[{operation}] weights: expected {len(parts)} values to match components, got shape "
                f"{tuple(weights.shape)}"
            )
        total = float(weights.sum())
        if not ((weights >= 0).all() and 0 < total < np.inf):
            raise errors.InvalidValue(
                f"[{operation}] weights: expected nonnegative weights with a positive finite sum, got "
                f"{weights.min():g} to {weights.max():g}"
            )
        object.__setattr__(self, "components", parts)
        object.__setattr__(self, "weights", weights / total)
        _check_domain(operation, self.domain, parts[0].dim)

    def __repr__(self) -> str:
        inside = "" if self.domain is None else f", domain={self.domain}"
        return f"Mixture(components={len(self.components)}, dim={self.dim}{inside})"

    @property
    def dim(self) -> int:
        """The dimension."""
        return self.components[0].dim

    def _parts(self) -> tuple[Array, list[Gaussian]]:
        return self.weights, list(self.components)


def _check_domain(operation: str, domain: Any, dim: int) -> None:
    from ._boxes import UniformBox

    if domain is None:
        return
    if not isinstance(domain, UniformBox | Polytope):
        raise errors.InvalidType(
            f"[{operation}] domain: expected None, measures.UniformBox or measures.Polytope, got "
            f"{type(domain).__name__}"
        )
    if domain.dim != dim:
        raise errors.InvalidValue(f"[{operation}] domain: expected {dim} dimensions, got {domain.dim}")
