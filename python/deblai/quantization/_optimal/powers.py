r"""Mean powers of distances over the cells of Voronoi, for uniform densities of the plane, from their edges alone.

By the divergence theorem, with r = |x - y|, n the outer normal and h the distance of an edge's line from the site,

    integral of r^p over V = sum of h / (p + 2) integral of r^p ds,    gradient = - sum of n integral of r^p ds,

and the second derivatives of fixed cells are sums of p integrals of r^(p-2) (x - y) n^T ds.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .._laguerre import laguerre
from .hessian import blocks, couplings
from .landscape import Array, Domain, Point

CHUNK = 20_000  # edges at once
NODES, WEIGHTS = np.polynomial.legendre.leggauss(16)


class Powers(Domain):
    """E(y) = sum of integrals of |x - y_i|^p over the cells of Voronoi."""

    def at(self, sites: Array, near: Point | None = None) -> Point:
        """Find the cells and go round their edges."""
        c = laguerre(self.home(sites), measure=self.measure, periodic=self.periodic)
        p, n = self.p, len(sites)
        offsets, vertices = np.asarray(c.offsets), np.asarray(c.vertices)
        cell = np.repeat(np.arange(n), np.diff(offsets))
        follower = np.arange(1, len(vertices) + 1)
        full = np.diff(offsets) > 0
        follower[offsets[1:][full] - 1] = offsets[:-1][full]
        density = 1 / float(self.measure.volume)
        e = Edges(vertices - self.home(sites)[cell], (vertices[follower] - self.home(sites)[cell]), p)

        def total(values: Array) -> Array:
            return density * np.bincount(cell, values, minlength=n)

        each = total(e.height * e.whole / (p + 2))
        gradient = -np.stack([total(e.normal[:, k] * e.whole) for k in (0, 1)], 1)
        curvature = max(1.0, p - 1) * total(e.height * e.b0)

        def hessian() -> Any:
            f = c.facets()
            border = density * p * e.first[:, :, None] * e.normal[:, None, :]
            own = np.stack([np.bincount(cell, border[:, i, j], minlength=n) for i in (0, 1) for j in (0, 1)], 1)
            return blocks(
                own.reshape(n, 2, 2), cell, np.asarray(f.across), *couplings(f, e.first, e.second(), density * p)
            )

        mass = np.asarray(c.mass)
        return Point(sites, p, mass / mass.sum(), each, gradient, curvature, hessian)


class Edges:
    """Integrals of r^(p-2) t^k along segments from v0 to v1, t the distance from the foot of the site."""

    def __init__(self, v0: Array, v1: Array, p: float) -> None:
        along = v1 - v0
        size = np.hypot(*along.T)
        self.tangent = along / np.where(size > 0, size, 1.0)[:, None]
        self.normal = np.stack([self.tangent[:, 1], -self.tangent[:, 0]], 1)
        self.height = (v0 * self.normal).sum(1)
        ends = (v0 * self.tangent).sum(1), (v1 * self.tangent).sum(1)
        reach = np.maximum(np.abs(ends[0]), np.abs(ends[1]))
        scale = np.maximum(np.abs(self.height), np.where(reach > 0, 1e-8 * reach, 1.0))
        radius = [np.hypot(self.height, t) for t in ends]
        low, high = (t / scale for t in ends)
        some = [slice(k, k + CHUNK) for k in range(0, len(v0), CHUNK)]
        parts = [_cosh(low[k], high[k], scale[k], p) for k in some]
        self.b0 = np.concatenate(parts)
        self.b1 = (radius[1] ** p - radius[0] ** p) / p
        rise = ends[1] * radius[1] ** p - ends[0] * radius[0] ** p
        self.b2 = (rise - self.height**2 * self.b0) / (1 + p)
        self.whole = self.height**2 * self.b0 + self.b2  # of r^p
        self.first = (self.height * self.b0)[:, None] * self.normal + self.b1[:, None] * self.tangent

    def second(self) -> Array:
        """Return the integrals of r^(p-2) v v^T."""
        n, t, h = self.normal, self.tangent, self.height
        mixed = n[:, :, None] * t[:, None, :]
        return np.asarray(
            (h**2 * self.b0)[:, None, None] * n[:, :, None] * n[:, None, :]
            + (h * self.b1)[:, None, None] * (mixed + mixed.transpose(0, 2, 1))
            + self.b2[:, None, None] * t[:, :, None] * t[:, None, :]
        )


def _cosh(a: Array, b: Array, scale: Array, p: float) -> Array:
    """Return scale^(p-1) times the integral of (1 + u^2)^((p-2)/2) from a to b, by rules of Gauss.

    With u = sinh s it is that of (scale cosh s)^(p-1), in which nothing is larger than the distances.

    The integrand is analytic where |Im s| < pi/2: on pieces of length 2 the error of 16 nodes is below 1e-16.
    """
    low, high = np.arcsinh(a), np.arcsinh(b)
    pieces = max(1, int(np.ceil((high - low).max(initial=0) / 2)))
    half = (high - low) / (2 * pieces)
    total = np.zeros(len(a))
    for k in range(pieces):
        middle = low + (2 * k + 1) * half
        total += (scale[:, None] * np.cosh(middle[:, None] + half[:, None] * NODES)) ** (p - 1) @ WEIGHTS
    return np.asarray(half * total)


def hexagon(p: float) -> float:
    """Return the energy of a regular hexagon of area 1 about its centre: none is below (Fejes Toth)."""
    angle = np.arange(7) * np.pi / 3
    corners = np.sqrt(2 / (3 * np.sqrt(3))) * np.stack([np.cos(angle), np.sin(angle)], 1)
    e = Edges(corners[:-1], corners[1:], p)
    return float((e.height * e.whole).sum() / (p + 2))
