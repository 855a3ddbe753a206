"""A start for many sites: a good quantizer of few, refined again and again by the midpoints of sites that touch."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..._array import NUMPY
from .._draws import draw
from .._laguerre import laguerre
from .._lloyd.samples import SampleSource
from .descent import LBFGS, Descent
from .landscape import OPERATION, Array, Landscape

FEW = 300  # sites that k-means++ chooses
DRAWS = 10  # of each site, among which it does
TOL, STEPS = 1e-2, 100  # of the descent of each level: only the finest has to be stationary


class Halted(KeyboardInterrupt):
    """Ctrl-C on the way to a start: `sites` are as many as there are to be, of what there was."""

    def __init__(self, sites: Array) -> None:
        super().__init__()
        self.sites = sites


def refined(land: Landscape, count: int, rng: np.random.Generator) -> Array:
    r"""Return sites near a quantizer with large regular patches: a descent of N / 2^d sites, and what lies between.

    The midpoints of neighbours in a lattice whose cells are generic are the lattice of half the spacing: a site has
    2 (2^d - 1) of them (Voronoi), each shared by two. The density of sites keeps its shape. Sites that a border lacks
    are put on top of others, from where they are moved into the cells of most energy.
    """
    measure = land.measure
    if count <= FEW:
        return seeds(measure, count, rng)
    few = -(-count // 2**measure.dim)
    descent = Descent(land, TOL, STEPS, rng)
    try:
        start = land.at(land.inside(refined(land, few, rng)))
        assert start is not None
        descent.run(start, LBFGS(land), lambda step, now: None)
    except Halted as stop:
        raise Halted(between(land, land.home(stop.sites), count)) from None
    except KeyboardInterrupt:
        if descent.point is None:
            raise
        raise Halted(between(land, land.home(descent.point.sites), count)) from None
    assert descent.point is not None
    return between(land, land.home(descent.point.sites), count)


def between(land: Landscape, sites: Array, count: int) -> Array:
    """Return the sites and midpoints of their longest facets, as many as there are to be."""
    f = laguerre(sites, measure=land.measure, periodic=land.torus is not None).facets()
    cell, across = np.asarray(f.cell), np.asarray(f.across)
    once = np.flatnonzero(cell < across)
    longest = once[np.argsort(-np.asarray(f.mass)[once], kind="stable")][: count - len(sites)]
    middle = sites[cell[longest]] + np.asarray(f.offset)[longest] / 2
    return near(np.resize(land.home(np.concatenate([sites, middle])), (count, land.measure.dim)))


def near(sites: Array) -> Array:
    """Return the sites in an order of strips, so that those near in space are near in memory."""
    n, d = sites.shape
    pieces, strip, order = max(1, round(n ** (1 / d) / 16)), np.zeros(n, int), np.arange(n)
    for k in range(d):
        order = np.lexsort((sites[:, k], strip))
        strip[order] = np.arange(n) * pieces ** (k + 1) // n
    return sites[order]


def seeds(measure: Any, count: int, rng: np.random.Generator) -> Array:
    """Choose by k-means++ among points of the density."""
    return SampleSource(NUMPY, draw(OPERATION, measure, DRAWS * count, rng), None, count).seeds(count, rng)
