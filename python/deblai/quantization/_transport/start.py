"""Potentials whose cells all have inner points: where Newton's method begins."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .coarse import smooth
from .diagram import Diagram, Scene
from .frame import frame
from .levels import LOOSE, climb
from .newton import Newton

Array = np.ndarray[Any, Any]

SMALL, RAISED = 1e-3, 0.1  # of the mean, of masses that are very small, and of what they begin with
FALL = 0.01  # of what they begin with, from one time to the next
FAR = 0.6  # sum of the errors of masses from which on levels are worth it


def start(scene: Scene, wanted: Array) -> Array:
    r"""Return potentials such that no cell is empty, for distinct sites.

    On the torus zeros: cells of Voronoi hold their sites. Otherwise each coordinate of the sites, along some axes, is
    sent to that of a product inside of the domain by monotone rearrangement. Its potential v is convex, so z_i = grad
    v(y_i) lies in the cell of psi_i = |y_i|^2 - 2 v(y_i), wherever the sites are; and where both are products of their
    marginals nothing is left to do.
    """
    if scene.periodic:
        return np.zeros(len(wanted))
    psi: Array = (scene.sites**2).sum(1)
    axes, quantiles = frame(scene)
    at = scene.sites if axes is None else scene.sites @ axes
    for axis, quantile in enumerate(quantiles):
        psi -= 2 * _rearranged(at[:, axis], wanted, quantile)
    return psi


def _rearranged(at: Array, wanted: Array, quantile: Callable[[Array], Array]) -> Array:
    """Return v of one coordinate at the sites: the integral of the monotone map, linear between distinct values."""
    values, inverse = np.unique(at, return_inverse=True)
    mass = np.bincount(inverse.ravel(), wanted)
    z = quantile(np.cumsum(mass) - 0.5 * mass)
    steps = 0.5 * (z[1:] + z[:-1]) * np.diff(values)
    v: Array = np.concatenate([[0], np.cumsum(steps)])[inverse.ravel()]
    return v


def filled(scene: Scene, wanted: Array, max_iter: int) -> tuple[Array, Diagram]:
    """Return potentials whose cells are not empty and, where the density varies, near what is wanted; and the cells.

    The start suits a product of marginals. Many sites begin with the smooth potential of a lattice. Where masses are
    far from what is wanted they go through levels of fewer sites, which is for any density with any holes; or on the
    torus through an even density.
    """
    if wanted.min() < SMALL * wanted.mean():
        return _shrunk(scene, wanted, max_iter)
    found = smooth(scene, wanted, max_iter)
    if found is not None:
        return found
    psi = start(scene, wanted)
    cells = scene.cells(psi)
    if scene.uneven and float(np.abs(cells.mass - wanted).sum()) > FAR:
        climbed = _levelled(scene, wanted, max_iter) if scene.periodic else climb(scene, wanted, max_iter)
        if climbed is not None:
            known = scene.cells(climbed)
            if not known.empty:
                return climbed, known
    return psi, cells


def _shrunk(scene: Scene, wanted: Array, max_iter: int) -> tuple[Array, Diagram]:
    """Return the potentials of masses none of which is very small: cells become smaller safely, but not larger."""
    least, found = RAISED * float(wanted.mean()), None
    while least > wanted.min():
        raised = np.maximum(wanted, least)
        raised /= raised.sum()
        psi, cells = filled(scene, raised, max_iter) if found is None else found
        newton = Newton(scene, raised, LOOSE, max_iter)
        first = newton.at(psi, cells=cells)
        if cells.empty:
            return psi, cells
        newton.run(first, lambda *_: None)
        assert newton.best is not None
        found, least = (newton.best.psi, newton.best.cells), least * FALL
    assert found is not None
    return found


def _levelled(scene: Scene, wanted: Array, max_iter: int) -> Array | None:
    """Return the potentials of the even density on the torus, which clusters of sites have left."""
    newton = Newton(scene._replace(density=None), wanted, LOOSE, max_iter)
    newton.run(newton.at(start(scene, wanted)), lambda *_: None)
    return None if newton.best is None else newton.best.psi
