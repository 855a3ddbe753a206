"""Potentials whose cells all have inner points: where Newton's method begins."""

from __future__ import annotations

from typing import Any

import numpy as np

from .diagram import Scene

Array = np.ndarray[Any, Any]


def start(scene: Scene, wanted: Array) -> Array:
    r"""Return potentials such that no cell is empty, for distinct sites.

    On the torus zeros: cells of Voronoi hold their sites. In a box, each coordinate of the sites is sent to that of the
    density by monotone rearrangement. Its potential v is convex, so z_i = grad v(y_i) lies in the cell of
    psi_i = |y_i|^2 - 2 v(y_i), wherever the sites are; and where both are products of their marginals nothing is left
    to do.
    """
    if scene.periodic:
        return np.zeros(len(wanted))
    psi: Array = (scene.sites**2).sum(1)
    for axis in (0, 1):
        psi -= 2 * _rearranged(scene, wanted, axis)
    return psi


def _rearranged(scene: Scene, wanted: Array, axis: int) -> Array:
    """Return v of one coordinate at the sites: the integral of the monotone map, linear between distinct values."""
    values, inverse = np.unique(scene.sites[:, axis], return_inverse=True)
    mass = np.bincount(inverse, wanted)
    rank = np.cumsum(mass) - 0.5 * mass
    low, high = scene.lower[axis], scene.upper[axis]
    if scene.density is None:
        z = low + (high - low) * rank
    else:
        strips = scene.density.sum(1 - axis)
        share = 0.999 * strips / strips.sum() + 0.001 / len(strips)  # where it is empty the map still grows
        z = np.interp(rank, np.concatenate([[0], np.cumsum(share)]), np.linspace(low, high, len(strips) + 1))
    steps = 0.5 * (z[1:] + z[:-1]) * np.diff(values)
    v: Array = np.concatenate([[0], np.cumsum(steps)])[inverse.ravel()]
    return v


def filled(scene: Scene, wanted: Array, psi: Array, max_iter: int) -> Array:
    """Return potentials whose cells all have mass, from ones whose cells all have inner points.

    Where the density has holes, a share of the uniform one fills them, and falls while Newton's method follows: a cell
    that has its mass under the mixture has some of the density's own once the share is less than what is wanted.
    """
    from .newton import Newton  # its states are this module's

    share, density = 1.0, scene.density
    while density is not None and not scene.cells(psi).mass.min() > 0:
        mixed = (1 - share) * density / density.mean() + share
        stage = Newton(scene._replace(density=mixed), wanted, 0.25, max_iter)
        first = stage.at(psi)
        if not first.cells.mass.min() > 0:
            break
        stage.run(first, lambda *_: None)
        if stage.best is None or not stage.converged:
            break
        psi, share = stage.best.psi, share / 4
    return psi
