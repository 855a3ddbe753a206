"""A product of marginals that the start sends sites to, and the measures between it and a density."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np

from ..._form import Form
from ...reference import planes
from .diagram import Scene, mesh_mass

Array = np.ndarray[Any, Any]

SEEN = 8.0  # standard deviations that a box must hold to be as good as the plane
BROAD = 10.0  # standard deviations, in sides of a box, of a Gaussian that is all but even there


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
    if form is not None and _of_the_plane(scene, form):
        mean, cov = _moments(form)
        variances, axes = np.linalg.eigh(cov)
        return Frame(axes, [_normal(m, v) for m, v in zip(mean @ axes, variances, strict=True)])
    if form is None or form.corners is None or form.planes is None:
        return Frame(None, [_even(a, b) for a, b in zip(low, high, strict=True)])
    candidates = [np.eye(len(low)), np.linalg.eigh(np.cov(form.corners.T))[1]]
    boxes = [_inside(form.corners, form.planes, axes) for axes in candidates]
    best = max(range(2), key=lambda k: float((boxes[k][1] - boxes[k][0]).prod()))
    return Frame(candidates[best] if best else None, [_even(a, b) for a, b in zip(*boxes[best], strict=True)])


def between(scene: Scene) -> Callable[[float], Scene] | None:
    """Return the scene with a share of the product in its density; None where it is that product, or even."""
    form = scene.form
    if scene.density is not None:
        density, easy = scene.density / scene.density.mean(), _product(scene.density)
        return lambda share: scene._replace(density=(1 - share) * density + share * easy)
    if form is None or (form.gaussians is None and form.triangles is None):
        return None
    low, high = np.array(scene.lower), np.array(scene.upper)
    if form.gaussians is not None:
        if _of_the_plane(scene, form):
            if (form.gaussians[:, 0] > 0).sum() == 1:
                return None
            mean, cov = _moments(form)
        else:
            mean, cov = (low + high) / 2, np.diag((BROAD * (high - low)) ** 2)
        easy_row = np.array([[1.0, *mean, cov[0, 0], cov[0, 1], cov[1, 1]]])
        masses = [planes.total(low, high, replace(form, gaussians=g)) for g in (form.gaussians, easy_row)]

        def gaussians(share: float) -> Scene:
            rows = np.concatenate([form.gaussians, easy_row])
            rows[:-1, 0] *= (1 - share) / masses[0]
            rows[-1, 0] *= share / masses[1]
            return scene._replace(form=replace(form, gaussians=rows))

        return gaussians
    return _over_box(scene, form, low, high)


def _over_box(scene: Scene, form: Form, low: Array, high: Array) -> Callable[[float], Scene]:
    assert form.points is not None
    assert form.triangles is not None
    assert form.values is not None
    points = np.concatenate([form.points, np.array([*itertools.product(*zip(low, high, strict=True))])])
    values = form.values
    n = len(values)
    triangles = np.concatenate([form.triangles, np.array([[0, 2, 3], [0, 3, 1]]) + n]).astype(np.int64)
    level = mesh_mass(form) / float((high - low).prod())

    def mesh(share: float) -> Scene:
        mixed = np.concatenate([(1 - share) * values, np.full(4, share * level)])
        return scene._replace(form=replace(form, points=points, triangles=triangles, values=mixed))

    return mesh


def strips(density: Array, axis: int) -> Array:
    """Return the marginal of one axis, of sum 1; where it is empty there is still a little."""
    sums = density.sum(tuple(k for k in range(density.ndim) if k != axis))
    out: Array = 0.999 * sums / sums.sum() + 0.001 / len(sums)
    return out


def _product(density: Array) -> Array:
    """Return the product of marginals, of mean 1."""
    out: Array = np.ones(density.shape)
    for axis in range(density.ndim):
        share = strips(density, axis)
        out *= (share * len(share)).reshape([-1 if k == axis else 1 for k in range(density.ndim)])
    return out


def _table(share: Array, low: float, high: float) -> Callable[[Array], Array]:
    sums, edges = np.concatenate([[0], np.cumsum(share)]), np.linspace(low, high, len(share) + 1)
    return lambda rank: np.interp(rank, sums, edges)


def _even(low: float, high: float) -> Callable[[Array], Array]:
    return lambda rank: low + (high - low) * rank


def _normal(mean: float, variance: float) -> Callable[[Array], Array]:
    law = NormalDist(float(mean), float(variance) ** 0.5)
    return lambda rank: np.array([law.inv_cdf(min(max(r, 1e-300), 1 - 2.0**-53)) for r in rank.tolist()])


def _of_the_plane(scene: Scene, form: Form) -> bool:
    """Whether the domain is a box that holds all that a mixture has."""
    if form.gaussians is None or form.corners is not None:
        return False
    rows = form.gaussians[form.gaussians[:, 0] > 0]
    reach = SEEN * np.sqrt(rows[:, [3, 5]])
    return bool((rows[:, 1:3] - reach >= scene.lower).all() and (rows[:, 1:3] + reach <= scene.upper).all())


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
