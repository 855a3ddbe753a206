"""Problems in float64 NumPy arrays whatever the inputs are: their entries, weights, costs of pairs and of tuples."""

from __future__ import annotations

from itertools import combinations
from math import inf
from typing import Any

import numpy as np

from .. import errors
from .._array import NUMPY
from ..reference.multimarginal import pair_cost
from ._problem import Problem

SAMPLE = 64  # points a marginal that tell the scale of a cost
Array = np.ndarray[Any, Any]


def host(q: Problem) -> Problem:
    """Return the same problem in float64 NumPy arrays."""

    def convert(arrays: list[Any]) -> list[Any]:
        return [None if v is None else np.asarray(q.library.numpy(v), np.float64) for v in arrays]

    return q._replace(library=NUMPY, points=convert(q.points), weights=convert(q.weights), matrices=convert(q.matrices))


def check(operation: str, h: Problem) -> None:
    """Raise for entries of points, weights and matrices that no solver can use."""
    names = ["" if h.symmetric or h.tied else f"[{p}]" for p in range(len(h.sizes))]
    for name, x in zip(names, h.points, strict=True):
        if x is not None and not np.isfinite(x).all():
            raise errors.InvalidValue(f"[{operation}] points{name}: expected finite values, got nan or inf")
    for name, w in zip(names, h.weights, strict=True):
        if w is not None and not (np.isfinite(w).all() and (w >= 0).all() and 0 < w.sum() < inf):
            raise errors.InvalidValue(
                f"[{operation}] weights{name}: expected finite nonnegative weights of positive total mass"
            )
    for c in h.matrices:
        if np.isnan(c).any() or (c == -inf).any():
            raise errors.InvalidValue(f"[{operation}] cost: expected numbers or +inf, got nan or -inf")


def masses(q: Problem) -> list[Array]:
    """Return the weights divided by their sum, equal ones where none are given."""
    parts = []
    for w, n in zip(q.weights, q.sizes, strict=True):
        a = np.ones(n) if w is None else np.ascontiguousarray(q.library.numpy(w), np.float64)
        parts.append(a / a.sum())
    return parts


def every_pair(q: Problem) -> list[tuple[int, int]]:
    """Return the pairs whose costs are summed."""
    return list(combinations(range(q.n_marginals), 2)) if q.symmetric else q.pairs


def matrix(q: Problem, pair: tuple[int, int]) -> Any:
    """Return the matrix that was given for a pair (p, r), rows of p."""
    p, r = pair
    c = q.matrices[0 if q.symmetric or q.shared else q.pairs.index((min(p, r), max(p, r)))]
    return c if p < r else c.T


def block(h: Problem, pair: tuple[int, int], rows: Any = slice(None), columns: Any = slice(None)) -> Array:
    """Return the costs of some rows and columns of a pair."""
    p, r = (0, 0) if h.symmetric else pair
    if h.points[p] is None:
        return np.asarray(matrix(h, pair)[rows][:, columns])
    return pair_cost(h.points[p][rows], h.points[r][columns], h.cost.kind, h.cost.s, h.cost.strength)


def between(h: Problem, pair: tuple[int, int], i: Array, j: Array) -> Array:
    """Return the costs between points i of one of a pair and as many points j of the other."""
    p, r = (0, 0) if h.symmetric else pair
    if h.points[p] is None:
        return np.asarray(matrix(h, pair)[i, j])
    apart = h.points[p][i] - h.points[r][j]
    return pair_cost(apart, np.zeros((1, apart.shape[1])), h.cost.kind, h.cost.s, h.cost.strength)[:, 0]


def costs(h: Problem, at: Array) -> Array:
    """Return the cost of each tuple of `at`, shape (k, N)."""
    total = np.zeros(len(at))
    for p, r in every_pair(h):
        total += between(h, (p, r), at[:, p], at[:, r])
    return total


def least(h: Problem) -> tuple[float, float]:
    """Return lower bounds of the cost of a tuple, and of the sum of the negative ones among its pairs."""
    if h.points[0] is None:
        smallest = [float(m.min()) for m in h.matrices]
        smallest = smallest * (len(every_pair(h)) if h.symmetric or h.shared else 1)
    else:
        low, high = (f([f(x, axis=0) for x in h.points], axis=0) for f in (np.min, np.max))
        ends = np.array([np.zeros_like(low), high - low])  # costs of points are monotone in the distance
        ends = pair_cost(ends, ends[:1], h.cost.kind, h.cost.s, h.cost.strength)
        smallest = [float(ends.min())] * len(every_pair(h))
    return sum(smallest), sum(min(c, 0.0) for c in smallest)


def spread(q: Problem) -> float:
    """Return how far the cost of a tuple typically is from its median: pairs of a few points, finite ones only."""
    total = 0.0
    pairs = q.pairs[:: max(1, len(q.pairs) // 10)]

    def some(v: Any, n: int) -> Any:
        return v[:: max(1, n // SAMPLE)]

    for pair in pairs:
        p, r = (0, 0) if q.symmetric else pair
        if q.points[p] is None:
            part = some(matrix(q, pair), q.sizes[p])
            found = np.asarray(q.library.numpy(some(part.T, q.sizes[r])), np.float64)
        else:
            x, y = (np.asarray(q.library.numpy(some(q.points[k], q.sizes[k])), np.float64) for k in (p, r))
            with np.errstate(all="ignore"):  # bad points are found where they are used
                found = pair_cost(x, y, q.cost.kind, q.cost.s, q.cost.strength)
        found = found[np.isfinite(found)]
        if len(found):
            total += float(np.median(np.abs(found - np.median(found))))
    count = len(every_pair(q))
    return min(total / len(pairs) * count, inf) if pairs else 0.0
