"""Entropic multi-marginal transport in plain NumPy, float64, on the whole tensor: n^N entries.

The plan of potentials f_p is exp((f_1 + ... + f_N - c) / epsilon) times the product of the marginals; an update makes
one of its marginals right. See Benamou, Carlier and Nenna, "A numerical method to solve multi-marginal optimal
transport problems with Coulomb cost" (2015).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray[Any, Any]
Pairs = dict[tuple[int, int], Array]


class Evaluation(NamedTuple):
    """What potentials say: dual value, <c, plan>, mass of the plan, its marginals and those of pairs."""

    value: float
    value_linear: float
    mass: float
    marginals: list[Array]
    pairs: Pairs


def distance_cost(r: Array, kind: str, s: float = 1.0, strength: float = 1.0) -> Array:
    """Return the costs at distances r.

    Strength times r^-s ("riesz"), -log r ("log"), r^2 ("quadratic"), exp(-s r) / r ("yukawa"), (r^2 + s^2)^-1/2
    ("soft") or r^s ("power").
    """
    with np.errstate(divide="ignore"):
        if kind == "riesz":
            h = r**-s
        elif kind == "log":
            h = -np.log(r)
        elif kind == "quadratic":
            h = r * r
        elif kind == "yukawa":
            h = np.exp(-s * r) / r
        else:
            h = 1 / np.sqrt(r * r + s * s) if kind == "soft" else r**s
    return np.asarray(strength * h)


def pair_cost(x: Array, y: Array, kind: str, s: float = 1.0, strength: float = 1.0) -> Array:
    """Return the matrix of costs between points, see `distance_cost`."""
    r2 = ((x[:, None, :] - y[None, :, :]) ** 2).sum(-1)
    return strength * r2 if kind == "quadratic" else distance_cost(np.sqrt(r2), kind, s, strength)


def pair_slope(x: Array, y: Array, kind: str, s: float = 1.0, strength: float = 1.0) -> Array:
    """Return g with dc/dx = g (x - y) for each pair; 0 where points meet at an infinite cost or at a kink."""
    r2 = ((x[:, None, :] - y[None, :, :]) ** 2).sum(-1)
    r = np.sqrt(r2)
    apart = np.where(r > 0, r, np.inf)
    if kind == "riesz":
        g = -s * apart ** (-s - 2)
    elif kind == "log":
        g = -(apart**-2)
    elif kind == "quadratic":
        g = np.full_like(r, 2.0)
    elif kind == "yukawa":
        g = np.where(r > 0, -np.exp(-s * r) * (1 + s * r) * apart**-3, 0.0)
    elif kind == "soft":
        g = -((r2 + s * s) ** -1.5)
    else:
        g = np.where(r > 0, s * np.where(r > 0, r, 1.0) ** (s - 2), 2.0 * (s == 2))
    return np.asarray(strength * g)


def _along(v: Array, p: int, n_marginals: int) -> Array:
    return v.reshape([-1 if k == p else 1 for k in range(n_marginals)])


def tensor(costs: Pairs, n_marginals: int) -> Array:
    """Return the sum of the pair costs as an array with one axis a marginal, of length 1 where it is in no pair."""
    total: Array = np.zeros([1] * n_marginals)
    for (p, q), c in costs.items():
        shape = [1] * n_marginals
        shape[p], shape[q] = c.shape
        total = total + c.reshape(shape)
    return total


def _log_sum(z: Array, keep: int) -> Array:
    """Return the log of the sum of exp(z) over all axes but one."""
    axes = tuple(k for k in range(z.ndim) if k != keep)
    top = z.max(axis=axes, keepdims=True)
    top = np.where(np.isfinite(top), top, 0.0)
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(np.exp(z - top).sum(axis=axes)) + top.reshape(-1))


def sinkhorn(
    costs: Pairs,
    weights: Sequence[Array],
    epsilon: float,
    tol: float,
    max_iter: int,
    symmetric: bool,
    potentials: Sequence[Array],
) -> tuple[list[Array], list[float]]:
    """Return the potentials and the marginal error seen in each sweep.

    General mode updates one potential after the other, f_p <- f_p + epsilon log(a_p / m_p). Symmetric mode has one
    potential f and its update T(f): f <- ((N - 1) f + T(f)) / N; it stops before an update, so that the last error is
    that of the potentials returned.
    """
    count = len(weights)
    scaled = np.broadcast_to(-tensor(costs, count) / epsilon, [len(w) for w in weights])
    with np.errstate(divide="ignore"):
        logs = [np.log(w) for w in weights]
    f = [np.array(v, np.float64) for v in potentials]
    errors: list[float] = []

    def updated(p: int) -> Array:
        z = scaled
        for k in range(count):
            if k != p:
                z = z + _along(logs[k] + f[k] / epsilon, k, count)
        return -epsilon * _log_sum(z, p)

    for step in range(max_iter):
        error = 0.0
        for p in range(1 if symmetric else count):
            new = updated(p)
            new = np.where((weights[p] > 0) | np.isfinite(new), new, f[p])  # points that can meet no others
            with np.errstate(over="ignore"):
                error = max(error, float(np.abs(weights[p] * np.expm1((f[p] - new) / epsilon)).sum()))
            if not symmetric:
                f[p] = new
        errors.append(error)
        if error <= tol or (symmetric and step == max_iter - 1):
            break
        if symmetric:
            f = [((count - 1) * f[0] + new) / count] * count
    return f, errors


def plan(costs: Pairs, weights: Sequence[Array], epsilon: float, potentials: Sequence[Array]) -> Array:
    """Return the plan, one axis a marginal."""
    count = len(weights)
    z = -tensor(costs, count) / epsilon
    for k in range(count):
        with np.errstate(divide="ignore"):
            z = z + _along(potentials[k] / epsilon + np.log(weights[k]), k, count)
    return np.asarray(np.exp(z))


def minimum(costs: Pairs, counts: Sequence[Array], potentials: Sequence[Array]) -> tuple[float, list[int]]:
    """Return the least cost less potentials, among points that count, and where it is; nowhere for infinity."""
    z = tensor(costs, len(potentials))
    for k, (f, counted) in enumerate(zip(potentials, counts, strict=True)):
        z = z + _along(np.where(counted, -f, np.inf), k, len(potentials))
    value = float(z.min())
    return value, [int(i) for i in np.unravel_index(z.argmin(), z.shape)] if value < np.inf else []


def evaluate(costs: Pairs, weights: Sequence[Array], epsilon: float, potentials: Sequence[Array]) -> Evaluation:
    """Return the dual value sum_p <a_p, f_p> - epsilon (mass - 1) and what goes with it."""
    count = len(weights)
    pi = plan(costs, weights, epsilon, potentials)
    mass = float(pi.sum())
    value = sum(float(w @ f) for w, f in zip(weights, potentials, strict=True)) - epsilon * (mass - 1.0)
    marginals = [pi.sum(axis=tuple(k for k in range(count) if k != p)) for p in range(count)]
    pairs = {(p, q): pi.sum(axis=tuple(k for k in range(count) if k not in (p, q))) for p, q in costs}
    linear = sum(float((pairs[key][pairs[key] > 0] * costs[key][pairs[key] > 0]).sum()) for key in costs)
    return Evaluation(value, linear, mass, marginals, pairs)
