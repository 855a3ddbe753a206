"""Measures of the line as quantizers see them: integrals over half cells, densities, quantiles, a first guess."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np

from .quadrature import Array, Segments

OPERATION = "quantization.quantize"


class Halves(NamedTuple):
    """Integrals over the half cells left and right of each site; rho is the density, r the distance from the site."""

    left: Array  # of p r^(p-1) rho
    right: Array
    energy: Array  # of r^p rho, over the whole cell
    curvature: Array  # of p (p-1) r^(p-2) rho, over the whole cell; 2 rho(site) for p = 1


class Line(Protocol):
    """What a measure of the line knows."""

    lower: float
    upper: float
    unique: bool  # whether the density is known to be log-concave

    def halves(self, sites: Array, edges: Array, p: float) -> Halves:
        """Integrate over half cells of ordered sites, with an edge between each two."""

    def density(self, x: Array) -> Array:
        """Return the density."""

    def quantiles(self, below: Array, above: Array) -> Array:
        """Return where the masses lie; the smaller of both says it more precisely."""

    def guess(self, n: int, p: float) -> Array:
        """Return sites of density about rho^(1/(1+p))."""


def segments(sites: Array, edges: Array, breaks: Array) -> Segments:
    """Cut the line at sites, edges and breaks, from the first to the last of them."""
    points = np.concatenate([sites, edges, breaks])
    points.sort(kind="stable")
    keep = np.flatnonzero(points[1:] > points[:-1])
    low, high = points[keep], points[keep + 1]
    middle = low + (high - low) / 2
    cell = np.searchsorted(edges, middle)
    site = sites[cell]
    right = low >= site
    near, far = np.where(right, low - site, site - high), np.where(right, high - site, site - low)
    return Segments(cell + len(sites) * right, site, np.where(right, 1.0, -1.0), near, far)
