"""Sliced Wasserstein in plain NumPy, float64 throughout.

W_p^p of two weighted samples of the line is the integral over t in (0, 1) of |F^-1(t) - G^-1(t)|^p: a sum over the
intervals between the merged breakpoints of both cumulative masses.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def _cumulative(weights: Array | None, order: Array, other: int) -> tuple[Array, Array, float]:
    """Return cumulative and single masses in sorted order with their total; integers when weights are equal."""
    if weights is None:
        masses = np.full(len(order), other, dtype=np.int64)
        return np.cumsum(masses), masses, float(len(order) * other)
    cumulative = np.cumsum(weights[order])
    return cumulative / cumulative[-1], weights[order] / cumulative[-1], 1.0


def _power(d: Array, p: float) -> tuple[Array, Array]:
    """Return |d|^p and its derivative in d."""
    return np.abs(d) ** p, p * np.abs(d) ** (p - 1) * np.sign(d)


def _potential(x: Array, y: Array, A: Array, B: Array, p: float) -> Array:
    """Return a dual potential at sorted x: f_{i+1} - f_i is the change of cost against the y at the mass A_i.

    Where a quantile of y ends exactly there, the two neighbours' mean is taken.
    """
    before = np.minimum(np.searchsorted(B, A[:-1], "left"), len(y) - 1)
    after = np.minimum(np.searchsorted(B, A[:-1], "right"), len(y) - 1)
    step = np.zeros(len(A) - 1)
    for j in (before, after):
        step += 0.5 * (_power(x[1:] - y[j], p)[0] - _power(x[:-1] - y[j], p)[0])
    return np.concatenate([[0.0], np.cumsum(step)])


def one_direction(
    x: Array, y: Array, a: Array | None, b: Array | None, p: float
) -> tuple[float, Array, Array, Array, Array]:
    """Return W_p^p of points of the line and its gradients in x, y, a and b (of the normalised weights)."""
    order_x, order_y = np.argsort(x, kind="stable"), np.argsort(y, kind="stable")
    xs, ys = x[order_x], y[order_y]
    if a is None and b is None:
        A, mass_x, total = _cumulative(None, order_x, len(y))
        B, mass_y, _ = _cumulative(None, order_y, len(x))
    else:
        ones_x, ones_y = (np.ones(len(x)) if a is None else a), (np.ones(len(y)) if b is None else b)
        A, mass_x, total = _cumulative(ones_x, order_x, 1)
        B, mass_y, _ = _cumulative(ones_y, order_y, 1)
    ends = np.unique(np.concatenate([A, B]))
    mass = np.diff(ends, prepend=0) / total
    i, j = np.searchsorted(A, ends), np.searchsorted(B, ends)
    cost, slope = _power(xs[i] - ys[j], p)
    grads = [np.zeros_like(x), np.zeros_like(y), np.zeros_like(x), np.zeros_like(y)]
    grads[0][order_x] = np.bincount(i, mass * slope, len(x))
    grads[1][order_y] = -np.bincount(j, mass * slope, len(y))
    for k, (s, t, S, T, m, order, w) in enumerate(
        [(xs, ys, A, B, mass_x, order_x, a), (ys, xs, B, A, mass_y, order_y, b)]
    ):
        potential = _potential(s, t, S, T, p)
        centred = potential - (potential @ m) / m.sum()
        grads[2 + k][order] = centred / (1.0 if w is None else w.sum())
    return float(mass @ cost), grads[0], grads[1], grads[2], grads[3]


def wasserstein(
    x: Array, y: Array, a: Array | None, b: Array | None, directions: Array, p: float
) -> tuple[Array, Array, Array, Array, Array]:
    """Return W_p^p of every direction, and the gradients of its mean in x, y, a and b.

    Parameters
    ----------
    x, y : array (n, d), (m, d)
    a, b : array (n,), (m,) or None
    directions : array (L, d)
    p : float
    """
    x, y, directions = (np.asarray(v, np.float64) for v in (x, y, directions))
    a, b = (None if w is None else np.asarray(w, np.float64) for w in (a, b))
    costs = np.zeros(len(directions))
    grad_x, grad_y, grad_a, grad_b = np.zeros_like(x), np.zeros_like(y), np.zeros(len(x)), np.zeros(len(y))
    for k, theta in enumerate(directions):
        costs[k], gx, gy, ga, gb = one_direction(x @ theta, y @ theta, a, b, p)
        grad_x += np.outer(gx, theta) / len(directions)
        grad_y += np.outer(gy, theta) / len(directions)
        grad_a += ga / len(directions)
        grad_b += gb / len(directions)
    return costs, grad_x, grad_y, grad_a, grad_b
