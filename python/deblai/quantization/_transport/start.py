"""Potentials whose cells all have inner points: where Newton's method begins."""

from __future__ import annotations

from typing import Any

import numpy as np

from .diagram import Scene

Array = np.ndarray[Any, Any]

SHARES = [1.0, 0.5, 0.2] + [0.2 / 4**k for k in range(1, 25)]
LOOSE = 0.25  # of the masses, on the way


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
    for axis in range(len(scene.lower)):
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
        share = _strips(scene.density, axis)
        z = np.interp(rank, np.concatenate([[0], np.cumsum(share)]), np.linspace(low, high, len(share) + 1))
    steps = 0.5 * (z[1:] + z[:-1]) * np.diff(values)
    v: Array = np.concatenate([[0], np.cumsum(steps)])[inverse.ravel()]
    return v


def filled(scene: Scene, wanted: Array, psi: Array, max_iter: int) -> Array:
    """Return potentials whose cells all have mass and are near what is wanted, from ones with inner points.

    The start suits a product of marginals, whatever the density is. Newton's method follows as the density goes from
    that product to its own: first cells are made equal where that is local, then they are moved. Where the density has
    holes the share of the product, which has none, falls until it is less than what is wanted: a cell that has its mass
    under the mixture has some of the density's own then.
    """
    from .newton import Newton  # its states are this module's

    density = scene.density
    if density is None:
        return psi
    easy = _product(density)
    for share in SHARES:
        if share < SHARES[2] and scene.cells(psi).mass.min() > 0:
            break
        mixed = (1 - share) * density / density.mean() + share * easy
        stage = Newton(scene._replace(density=mixed), wanted, LOOSE, max_iter)
        first = stage.at(psi)
        if not first.cells.mass.min() > 0:
            break
        stage.run(first, lambda *_: None)
        if stage.best is None or not stage.converged:
            break
        psi = stage.best.psi
    return psi


def _product(density: Array) -> Array:
    """Return the product of marginals, of mean 1, as `_rearranged` takes them."""
    out: Array = np.ones(density.shape)
    for axis in range(density.ndim):
        strips = _strips(density, axis)
        out *= (strips * len(strips)).reshape([-1 if k == axis else 1 for k in range(density.ndim)])
    return out


def _strips(density: Array, axis: int) -> Array:
    """Return the marginal of one axis, of sum 1; where it is empty there is still a little."""
    strips = density.sum(tuple(k for k in range(density.ndim) if k != axis))
    out: Array = 0.999 * strips / strips.sum() + 0.001 / len(strips)
    return out
