"""Lloyd's algorithm in plain NumPy, float64 throughout, by direct differences."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
BLOCK = 1 << 20  # squared distances that are in memory at a time


def nearest(x: Array, sites: Array) -> tuple[Array, Array]:
    """Return the nearest site of every sample, the lowest index of equals, and the squared distance to it."""
    labels, cost = np.empty(len(x), np.int32), np.empty(len(x))
    step = max(1, BLOCK // len(sites))
    for i in range(0, len(x), step):
        part = slice(i, i + step)
        squared = np.zeros((len(x[part]), len(sites)))
        for k in range(x.shape[1]):
            squared += (x[part, k, None] - sites[None, :, k]) ** 2
        labels[part] = squared.argmin(1)
        cost[part] = squared[np.arange(len(squared)), labels[part]]
    return labels, cost


def assign(
    x: Array, weights: Array | None, sites: Array, p: float = 2, near: float = 0
) -> tuple[Array, Array, Array, float, Array, Array]:
    """Return mass, pulls (k, 2) and sum of each site's samples, the energy, labels and squared distances.

    With r the distance of a sample of weight w, its pull is w r^(p - 2), and sums are of pulls times samples. Those no
    further than `near` have no pull: in column 1 are their weights.

    Parameters
    ----------
    x : array (n, d)
    weights : array (n,) or None
    sites : array (k, d)
    p, near : float
    """
    x, sites = np.asarray(x, np.float64), np.asarray(sites, np.float64)
    w = np.ones(len(x)) if weights is None else np.asarray(weights, np.float64)
    labels, cost = nearest(x, sites)
    mass = np.bincount(labels, w, len(sites))
    near_by = (cost <= near**2) if p != 2 else np.zeros(len(x), bool)
    each = np.where(near_by, 0.0, w * np.where(near_by, 1.0, cost) ** (p / 2 - 1)) if p != 2 else w
    pull = np.stack([np.bincount(labels, v, len(sites)) for v in (each, w * near_by)], axis=1)
    sums = np.stack([np.bincount(labels, each * column, len(sites)) for column in x.T], axis=1)
    return mass, pull, sums, float(w @ cost ** (p / 2)), labels, cost


def seed(x: Array, weights: Array | None, uniforms: Array) -> Array:
    """Return the indices of the samples that k-means++ chooses with the given uniforms, one of each.

    The first is drawn by weight, each further one by weight times squared distance to those chosen; by weight
    again where all samples coincide with chosen ones.
    """
    x = np.asarray(x, np.float64)
    w = np.ones(len(x)) if weights is None else np.asarray(weights, np.float64)
    chosen = np.empty(len(uniforms), np.int32)
    least = np.full(len(x), np.inf)
    for k, u in enumerate(uniforms):
        odds = w if k == 0 or not (w * least).any() else w * least
        below = np.cumsum(odds)
        chosen[k] = min(np.searchsorted(below, u * below[-1], "right"), np.flatnonzero(odds)[-1])
        least = np.minimum(least, ((x - x[chosen[k]]) ** 2).sum(1))
    return chosen
