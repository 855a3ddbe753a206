"""Points drawn from densities: where descents begin."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import _extras, errors
from ..measures import Gaussian, Grid, Mixture, PiecewiseLinear, Polytope, UniformBox

Array = np.ndarray[Any, Any]
MOST_TRIES = 100_000  # of a draw that is to fall into the domain of a Gaussian


def draw(operation: str, measure: Any, count: int, rng: np.random.Generator) -> Array:
    """Return independent draws (count, d), float64, of a measure of `deblai.measures` with a density."""
    if isinstance(measure, UniformBox | Grid):
        return _boxes(measure, count, rng)
    if isinstance(measure, Polytope):
        return _polytope(operation, measure, count, rng)
    if isinstance(measure, PiecewiseLinear):
        return _linear(measure, count, rng)
    return _gaussians(operation, measure, count, rng)


def _boxes(measure: UniformBox | Grid, count: int, rng: np.random.Generator) -> Array:
    at = rng.random((count, measure.dim))
    if isinstance(measure, Grid):
        values = np.asarray(measure.values, np.float64)
        pixels = rng.choice(values.size, count, p=(values / values.sum()).ravel())
        at = (np.stack(np.unravel_index(pixels, values.shape), axis=1) + at) / values.shape
    lower = np.array(measure.lower)
    return np.asarray(lower + np.subtract(measure.upper, lower) * at)


def _polytope(operation: str, measure: Polytope, count: int, rng: np.random.Generator) -> Array:
    """Draw from simplices of its corners, each as often as its volume says."""
    spatial = _extras.require("scipy.spatial", operation, "quantization")
    simplex = measure.vertices[spatial.Delaunay(measure.vertices).simplices]
    volume = np.abs(np.linalg.det(simplex[:, 1:] - simplex[:, :1]))
    shares = rng.dirichlet(np.ones(measure.dim + 1), count)
    at: Array = np.einsum("nk,nkd->nd", shares, simplex[rng.choice(len(volume), count, p=volume / volume.sum())])
    return at


def _linear(measure: PiecewiseLinear, count: int, rng: np.random.Generator) -> Array:
    """Draw from triangles: a linear density is a mixture of Dirichlet laws of the shares of the corners."""
    corner, value = measure.points[measure.triangles], measure.values[measure.triangles]
    p, q = corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0]
    mass = np.abs(p[:, 0] * q[:, 1] - p[:, 1] * q[:, 0])[:, None] * value
    chosen = rng.choice(mass.size, count, p=(mass / mass.sum()).ravel())
    shares = rng.standard_gamma(1.0 + (np.arange(3) == (chosen % 3)[:, None]))
    at: Array = np.einsum("nk,nkd->nd", shares / shares.sum(1, keepdims=True), corner[chosen // 3])
    return at


def _gaussians(operation: str, measure: Gaussian | Mixture, count: int, rng: np.random.Generator) -> Array:
    """Draw until enough are in the domain."""
    weights, parts = measure._parts()
    means = np.array([g.mean for g in parts])
    roots = np.array([np.linalg.cholesky(g.cov) for g in parts])
    found: list[Array] = []
    missing, tries = count, 0
    while missing > 0:
        size = max(missing + missing // 4, 1000)
        part = rng.choice(len(parts), size, p=weights)
        at = means[part] + np.einsum("nij,nj->ni", roots[part], rng.standard_normal((size, measure.dim)))
        found.append(at[_inside(measure.domain, at)][:missing])
        missing -= len(found[-1])
        tries += size
        if tries > MOST_TRIES * (count - missing + 1):
            raise errors.InvalidValue(
                f"[{operation}] init: expected sites, as {measure} has hardly any mass in its domain: got too few in "
                f"{tries} draws"
            )
    return np.concatenate(found)


def _inside(domain: Any, at: Array) -> Any:
    if domain is None:
        return np.ones(len(at), bool)
    if isinstance(domain, UniformBox):
        return ((at >= domain.lower) & (at <= domain.upper)).all(1)
    return (at @ domain.normals.T <= domain.offsets).all(1)
