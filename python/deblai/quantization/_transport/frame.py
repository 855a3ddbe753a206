"""A product of marginals that the start sends sites to."""

from __future__ import annotations

from collections.abc import Callable
from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np

from ..._form import Form
from .diagram import Scene

Array = np.ndarray[Any, Any]

SEEN = 6.0  # standard deviations of a Gaussian that a domain must hold to be as good as the plane


class Frame(NamedTuple):
    """Orthogonal axes, columns, or None for those of the coordinates; and the quantiles of a marginal on each."""

    axes: Array | None
    quantiles: list[Callable[[Array], Array]]


def frame(scene: Scene) -> Frame:
    """Return the product: the marginals of pixels, a Gaussian of the same covariance, or an even box in the domain."""
    low, high = np.array(scene.lower), np.array(scene.upper)
    if scene.density is not None:
        return Frame(None, [_table(strips(scene.density, k), low[k], high[k]) for k in range(len(low))])
    form = scene.form
    if form is not None and form.gaussians is not None and form.corners is None:
        mean, cov = _moments(form)
        reach = SEEN * np.sqrt(np.diag(cov))
        if not ((mean - reach >= low).all() and (mean + reach <= high).all()):  # it would leave the domain
            return Frame(None, [_even(a, b) for a, b in zip(low, high, strict=True)])
        variances, axes = np.linalg.eigh(cov)
        return Frame(axes, [_normal(m, v) for m, v in zip(mean @ axes, variances, strict=True)])
    if form is None or form.corners is None or form.planes is None:
        return Frame(None, [_even(a, b) for a, b in zip(low, high, strict=True)])
    candidates = [np.eye(len(low)), np.linalg.eigh(np.cov(form.corners.T))[1]]
    boxes = [_inside(form.corners, form.planes, axes) for axes in candidates]
    best = max(range(2), key=lambda k: float((boxes[k][1] - boxes[k][0]).prod()))
    return Frame(candidates[best] if best else None, [_even(a, b) for a, b in zip(*boxes[best], strict=True)])


def strips(density: Array, axis: int) -> Array:
    """Return the marginal of one axis, of sum 1; where it is empty there is still a little."""
    sums = density.sum(tuple(k for k in range(density.ndim) if k != axis))
    out: Array = 0.999 * sums / sums.sum() + 0.001 / len(sums)
    return out


def _table(share: Array, low: float, high: float) -> Callable[[Array], Array]:
    sums, edges = np.concatenate([[0], np.cumsum(share)]), np.linspace(low, high, len(share) + 1)
    return lambda rank: np.interp(rank, sums, edges)


def _even(low: float, high: float) -> Callable[[Array], Array]:
    return lambda rank: low + (high - low) * rank


def _normal(mean: float, variance: float) -> Callable[[Array], Array]:
    law = NormalDist(float(mean), float(variance) ** 0.5)
    return lambda rank: np.array([law.inv_cdf(min(max(r, 1e-300), 1 - 2.0**-53)) for r in rank.tolist()])


def _moments(form: Form) -> tuple[Array, Array]:
    assert form.gaussians is not None
    weight = form.gaussians[:, 0] / form.gaussians[:, 0].sum()
    mean = weight @ form.gaussians[:, 1:3]
    off = form.gaussians[:, 1:3] - mean
    return mean, (weight @ form.gaussians[:, [3, 4, 4, 5]]).reshape(2, 2) + (weight[:, None] * off).T @ off


def _inside(corners: Array, sides: Array, axes: Array) -> tuple[Array, Array]:
    """Return corners, along the axes, of the box around a convex domain, shrunk to the corners' mean until inside."""
    at, normals = corners @ axes, sides[:, :-1] @ axes
    middle = at.mean(0)
    low, high = at.min(0) - middle, at.max(0) - middle
    reach = np.maximum(normals * low, normals * high).sum(1)
    shrink = min(1.0, float(((sides[:, -1] - normals @ middle) / reach).min()))
    return middle + shrink * low, middle + shrink * high
