"""Couplings of masses that need no optimisation: sparse ones along an order of the points, and the product.

The sparse one of marginals with distribution functions F_p along the line is x_p = F_p^-1(u + s_p mod 1), u uniform in
[0, 1): equal marginals and s_p = p / N, as for strictly correlated particles, give N different points wherever no atom
has more than 1 / N of the mass; s_p = 0 is the monotone coupling.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .. import _tuples
from .._problem import Problem

TINY = 1e-15  # pieces of u that rounding makes
PRODUCT = 10_000_000  # pairs of points up to which the product's cost is summed
Array = np.ndarray[Any, Any]


class Coupling(NamedTuple):
    """Cost of a coupling of mass 1, and its relative entropy against the product of the marginals of the problem."""

    cost: float
    entropy: float


def orders(h: Problem) -> list[Array]:
    """Return the points of each distinct marginal in the order of their first coordinates; as given for matrices."""
    return [np.arange(n) if x is None else np.lexsort(x.T[::-1]) for x, n in zip(h.points, h.sizes, strict=True)]


def along(h: Problem, order: list[Array], parts: list[Array], shifted: bool, wanted: list[Array]) -> Coupling:
    """Return the sparse coupling of marginals `parts` of mass 1."""
    count = h.n_marginals
    shifts = np.arange(count) / count if shifted else np.zeros(count)
    tables, cuts = [], [np.zeros(1)]
    for part, by in zip(parts, order, strict=True):
        table = np.cumsum(part[by])
        tables.append(table / table[-1])
    at = [0] * count if h.symmetric else list(range(count))
    for p, shift in zip(at, shifts, strict=True):
        cuts.append(np.mod(tables[p] - shift, 1.0))
    u = np.unique(np.concatenate(cuts))
    length = np.diff(np.append(u, 1.0))
    middle = (u + length / 2)[length > TINY]
    length = length[length > TINY]
    tuples = np.empty((len(middle), count), np.intp)
    for k, (p, shift) in enumerate(zip(at, shifts, strict=True)):
        found = np.searchsorted(tables[p], np.mod(middle + shift, 1.0), side="right")
        tuples[:, k] = order[p][np.minimum(found, len(order[p]) - 1)]
    tuples, which = np.unique(tuples, axis=0, return_inverse=True)  # atoms of more than 1 / N come back
    mass = np.asarray(np.bincount(which.reshape(-1), length)) / length.sum()
    density = np.log(mass) - sum(np.log(wanted[p][tuples[:, k]]) for k, p in enumerate(at))
    return Coupling(float(mass @ _tuples.costs(h, tuples)), float(mass @ density))


def product(h: Problem, parts: list[Array], wanted: list[Array]) -> Coupling:
    """Return the product of marginals `parts` of mass 1; of infinite cost where that would take too long to sum."""
    at = [0] * h.n_marginals if h.symmetric else list(range(h.n_marginals))
    entropy = sum(_relative(parts[p], wanted[p]) for p in at)
    pairs = h.pairs
    cost = 0.0
    for p, r in pairs:
        x, y = (parts[0], parts[0]) if h.symmetric else (parts[p], parts[r])
        if len(x) * len(y) > PRODUCT:
            return Coupling(np.inf, np.inf)
        live, beside = np.flatnonzero(x), np.flatnonzero(y)
        for begin in range(0, len(live), 256):
            rows = live[begin : begin + 256]
            if not np.isfinite(cost):
                return Coupling(np.inf, np.inf)
            cost += float(x[rows] @ (_tuples.block(h, (p, r), rows, beside) @ y[beside]))
    return Coupling(cost * (len(_tuples.every_pair(h)) if h.symmetric else 1), entropy)


def _relative(part: Array, whole: Array) -> float:
    live = part > 0
    return float(part[live] @ np.log(part[live] / whole[live]))
