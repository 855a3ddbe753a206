"""Costs of chosen tuples of points, in float64 from the inputs whatever their dtype."""

from __future__ import annotations

from itertools import combinations
from math import inf
from typing import Any

import numpy as np

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


def every_pair(q: Problem) -> list[tuple[int, int]]:
    """Return the pairs whose costs are summed."""
    return list(combinations(range(q.n_marginals), 2)) if q.symmetric else q.pairs


def block(h: Problem, pair: tuple[int, int], rows: Any = slice(None), columns: Any = slice(None)) -> Array:
    """Return the costs of some rows and columns of a pair."""
    p, r = (0, 0) if h.symmetric else pair
    if h.points[p] is None:
        matrix = h.matrices[0 if h.symmetric or h.shared else h.pairs.index(pair)]
        return np.asarray(matrix[rows][:, columns])
    return pair_cost(h.points[p][rows], h.points[r][columns], h.cost.kind, h.cost.s, h.cost.strength)


def costs(h: Problem, at: Array) -> Array:
    """Return the cost of each tuple of `at`, shape (k, N)."""
    total = np.zeros(len(at))
    for p, r in every_pair(h):
        a, b = (0, 0) if h.symmetric else (p, r)
        if h.points[a] is None:
            matrix = h.matrices[0 if h.symmetric or h.shared else h.pairs.index((p, r))]
            total += matrix[at[:, p], at[:, r]]
        else:
            apart = h.points[a][at[:, p]] - h.points[b][at[:, r]]
            origin = np.zeros((1, apart.shape[1]))
            total += pair_cost(apart, origin, h.cost.kind, h.cost.s, h.cost.strength)[:, 0]
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
            matrix = q.matrices[0 if q.symmetric or q.shared else q.pairs.index(pair)]
            part = some(matrix, q.sizes[p])
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
