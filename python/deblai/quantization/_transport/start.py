"""Potentials whose cells all have inner points: where Newton's method begins."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .coarse import smooth
from .diagram import Scene
from .frame import between, frame

Array = np.ndarray[Any, Any]

SHARES = [1.0, 0.5, 0.2] + [0.2 / 4**k for k in range(1, 25)]
LOOSE = 0.25  # of the masses, on the way
THIN = 0.1  # of its mass, of a cell that is next to empty


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


def filled(scene: Scene, wanted: Array, psi: Array, max_iter: int) -> Array:
    """Return potentials whose cells all have mass and are near what is wanted, from ones with inner points.

    The start suits a product of marginals, whatever the density is. Newton's method follows as the density goes from
    that product to its own: first cells are made equal where that is local, then they are moved. Where the density has
    holes the share of the product, which has none, falls until it is less than what is wanted: a cell that has its mass
    under the mixture has some of the density's own then. Many sites begin with the smooth potential of a few.
    """
    from .newton import Newton  # its states are this module's

    mixed = between(scene)
    if mixed is None:
        return psi
    found = smooth(scene, wanted, max_iter)
    if found is not None:
        return found
    enough = 0 if scene.form is None else THIN * wanted
    for share in SHARES:
        if share < SHARES[2] and (scene.cells(psi).mass > enough).all():
            break
        stage = Newton(mixed(share), wanted, LOOSE, max_iter)
        first = stage.at(psi)
        if not first.cells.mass.min() > 0:
            break
        stage.run(first, lambda *_: None)
        if stage.best is None or not stage.converged:
            break
        psi = stage.best.psi
    return psi
