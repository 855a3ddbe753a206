"""The density along the edges of cells in plain NumPy: every edge is cut by every line of the grid."""

from __future__ import annotations

import itertools
from typing import Any, NamedTuple

import numpy as np

from .._form import Form
from . import planes
from .laguerre import Polygons, domain, moments, wrap

Array = np.ndarray[Any, Any]


class Facets(NamedTuple):
    """One row for each edge, cell by cell; see `deblai.results.Facets`."""

    cell: Array
    across: Array
    mass: Array
    first: Array
    second: Array
    offset: Array


def facets(
    p: Polygons,
    sites: Array,
    psi: Array | None,
    lower: Any,
    upper: Any,
    periodic: bool,
    density: Array | None,
    form: Form | None = None,
) -> Facets:
    """Return the integrals over the edges of `p`, the polygons of these sites and psi, relative to the sites."""
    low, high = np.asarray(lower, np.float64), np.asarray(upper, np.float64)
    at = np.asarray(sites, np.float64)
    at = wrap(at, low, high) if periodic else at
    weight = np.zeros(len(at)) if psi is None else np.asarray(psi, np.float64)
    k = np.arange(p.x.shape[1])
    cell, edge = np.nonzero(k < p.size[:, None])
    follower = np.where(edge + 1 < p.size[cell], edge + 1, 0)
    a = np.stack([p.x[cell, edge], p.y[cell, edge]], 1)
    b = np.stack([p.x[cell, follower], p.y[cell, follower]], 1)
    across = p.label[cell, edge]
    mass, first, second = np.zeros(len(a)), np.zeros((len(a), 2)), np.zeros((len(a), 2, 2))
    dense = form is not None and (form.gaussians is not None or form.triangles is not None)
    whole = planes.total(low, high, form) if dense and form is not None else 1.0
    even = 1 / float(moments(domain(low, high, form))[0, 0])
    for row in range(len(a)):
        if dense and form is not None:
            t, m = planes.along(at[cell[row]], a[row], b[row], whole, form)
            v = a[row] + t[:, None] * (b[row] - a[row])
            mass[row], first[row], second[row] = m.sum(), m @ v, (m[:, None] * v).T @ v
            continue
        pieces = _pieces(at[cell[row]], a[row], b[row], low, high, periodic, density, even)
        for t0, t1, rho in pieces:
            u, v = a[row] + t0 * (b[row] - a[row]), a[row] + t1 * (b[row] - a[row])
            m = rho * (t1 - t0) * np.hypot(*(b[row] - a[row]))
            mass[row] += m
            first[row] += m * (u + v) / 2
            middle = (u + v) / 2  # Simpson's rule is exact
            second[row] += m * (np.outer(u, u) + 4 * np.outer(middle, middle) + np.outer(v, v)) / 6
    return Facets(cell, across, mass, first, second, _offsets(at, weight, high - low, periodic, cell, across, a, b))


def _pieces(
    site: Array, a: Array, b: Array, low: Array, high: Array, periodic: bool, density: Array | None, even: float
) -> list[tuple[float, float, float]]:
    """Return shares of the segment with the density on each; the mean of both sides along a line of the grid."""
    if density is None:
        return [(0.0, 1.0, even)]
    step = (high - low) / density.shape
    cuts = [0.0, 1.0]
    for axis in (0, 1):
        m = density.shape[axis]
        lines = low[axis] + step[axis] * np.arange(-m if periodic else 0, (2 * m if periodic else m) + 1) - site[axis]
        if a[axis] != b[axis]:
            t = (lines - a[axis]) / (b[axis] - a[axis])
            cuts += list(t[(t > 0) & (t < 1)])
    cuts.sort()
    weight = density / (density.sum() * step.prod())
    pieces = []
    for t0, t1 in itertools.pairwise(cuts):
        u = (site + a + (t0 + t1) / 2 * (b - a) - low) / step
        near = np.abs(u - np.round(u)) < 1e-9
        sides = [
            (int(np.round(v)) - 1, int(np.round(v))) if on else (int(np.floor(v)),)
            for v, on in zip(u, near, strict=True)
        ]
        values = []
        for i in sides[0]:
            for j in sides[1]:
                at = np.array([i, j])
                at = at % density.shape if periodic else np.clip(at, 0, np.array(density.shape) - 1)
                values.append(weight[at[0], at[1]])
        pieces.append((t0, t1, float(np.mean(values))))
    return pieces


def _offsets(
    at: Array, psi: Array, box: Array, periodic: bool, cell: Array, across: Array, a: Array, b: Array
) -> Array:
    """Return y_j - y_i to the image on whose bisector each edge lies; 0 at the border."""
    offset = np.zeros((len(cell), 2))
    inner = across >= 0
    best = np.full(len(cell), np.inf)
    shifts = [(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1)] if periodic else [(0, 0)]
    for shift in shifts:
        d = at[across] - at[cell] + np.array(shift) * box
        norm = np.hypot(*d.T)
        with np.errstate(invalid="ignore", divide="ignore"):
            h = (norm**2 + psi[cell] - psi[across]) / 2
            off = np.maximum(np.abs((a * d).sum(1) - h), np.abs((b * d).sum(1) - h)) / norm
        outward = d[:, 0] * (b - a)[:, 1] - d[:, 1] * (b - a)[:, 0] >= 0
        better = inner & (norm > 0) & (outward | ~np.array(periodic)) & (off < best)
        best[better] = off[better]
        offset[better] = d[better]
    return offset
