"""A smooth convex potential for many sites: that of the few points of a lattice, by splines."""

from __future__ import annotations

from typing import Any

import numpy as np

from .diagram import Diagram, Scene

Array = np.ndarray[Any, Any]

LEAST = 4096  # sites for which a lattice is worth it
SITES, MOST = 8, 96
EVEN = 0.05  # of the mass of the lattice is even, that no point has none
ENOUGH = 0.05  # of their masses, of the lattice
DRAWN = (0.004, 0.016, 0.064)  # to the middle
THIN = 1e-3  # of its mass, of a cell that is next to empty


def smooth(scene: Scene, wanted: Array, max_iter: int) -> tuple[Array, Diagram] | None:
    """Return potentials whose cells all have mass, and nearly what is wanted seen from afar; None where it found none.

    The sites are replaced by a square lattice that has their masses, smoothed. Its potential v at the lattice points
    gives cubic B-splines their coefficients: v is smooth, and the noise of the sites is left to Newton's steps, which
    are fast from there. Where its gradient leaves the domain it is drawn to the middle, by as little as is enough.
    """
    if len(scene.lower) != 2 or scene.periodic or not scene.uneven or len(wanted) < LEAST:
        return None
    v = _potential(scene, wanted, max_iter)
    if v is None:
        return None
    middle = _middle(scene)
    for share in DRAWN:
        psi = (scene.sites**2).sum(1) - 2 * ((1 - share) * v + share * (scene.sites @ middle))
        cells = scene.cells(psi)
        if (cells.mass > THIN * wanted).all():
            return np.asarray(psi), cells
    return None


def _middle(scene: Scene) -> Array:
    form = scene.form
    if form is not None and form.corners is not None:
        return np.asarray(form.corners.mean(0))
    if form is not None and form.gaussians is not None:
        low, high = np.array(scene.lower), np.array(scene.upper)
        mean = form.gaussians[:, 0] @ form.gaussians[:, 1:3] / form.gaussians[:, 0].sum()
        return np.asarray(np.clip(mean, low, high))
    return np.add(scene.lower, scene.upper) / 2


def _potential(scene: Scene, wanted: Array, max_iter: int) -> Array | None:
    """Return v at the sites."""
    from .newton import Newton
    from .start import filled

    k = min(MOST, int((len(wanted) / SITES) ** 0.5))
    low, high = scene.sites.min(0), scene.sites.max(0)
    if not (high > low).all():
        return None
    at = (scene.sites - low) * (k / (high - low)) - 0.5
    x, y = (low[a] + (np.arange(k) + 0.5) * ((high - low)[a] / k) for a in (0, 1))
    lattice = np.stack(np.meshgrid(x, y, indexing="ij"), 2).reshape(-1, 2)
    bins = np.clip(np.rint(at).astype(np.int64), 0, k - 1)
    mass = np.bincount(bins[:, 0] * k + bins[:, 1], wanted, k * k).reshape(k, k)
    for _ in range(2):
        mass = _blurred(mass).T
    masses = (1 - EVEN) * mass.ravel() / mass.sum() + EVEN / k**2
    few = scene._replace(sites=lattice)
    newton = Newton(few, masses, ENOUGH, max_iter)
    psi, cells = filled(few, masses, max_iter)
    first = newton.at(psi, cells=cells)
    if cells.empty:
        return None
    newton.run(first, lambda *_: None)
    if newton.best is None or not newton.converged:
        return None
    v = ((lattice**2).sum(1) - newton.best.psi).reshape(k, k) / 2
    return _spline(v, at)


def _blurred(v: Array) -> Array:
    padded = np.pad(v, ((1, 1), (0, 0)), "edge")
    return np.asarray((padded[:-2] + 2 * v + padded[2:]) / 4)


def _spline(coefficients: Array, at: Array) -> Array:
    """Return the sum of cubic B-splines at places (n, 2), in steps of the lattice; beyond it goes on as a parabola."""
    v = coefficients
    for _ in range(2):
        for _ in range(2):
            v = np.concatenate([[3 * v[0] - 3 * v[1] + v[2]], v, [3 * v[-1] - 3 * v[-2] + v[-3]]])
        v = v.T
    base = np.floor(at).astype(np.int64)
    t = at - base
    weights = [(1 - t) ** 3 / 6, (3 * t**3 - 6 * t**2 + 4) / 6, (-3 * t**3 + 3 * t**2 + 3 * t + 1) / 6, t**3 / 6]
    out = np.zeros(len(at))
    for i in range(4):
        for j in range(4):
            out += weights[i][:, 0] * weights[j][:, 1] * v[base[:, 0] + 1 + i, base[:, 1] + 1 + j]
    return out
