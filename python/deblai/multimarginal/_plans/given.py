"""Some particles held fixed: what the plan says of the others is a problem of the same kind, with fewer marginals."""

from __future__ import annotations

from itertools import combinations
from math import inf, prod
from typing import Any

import numpy as np

from ...reference.multimarginal import distance_cost, pair_cost
from .._entropic.evaluate import Array, pair_plan
from .._problem import Problem


class Host:
    """A problem at given potentials in NumPy, float64: weights, log-weights g = log a + f / epsilon, costs of pairs."""

    def __init__(self, q: Problem, potentials: Array) -> None:
        def host(v: Any) -> Any:
            return None if v is None else np.asarray(q.library.numpy(v), np.float64)

        self.q, self.epsilon = q, q.epsilon
        self.kind = (q.cost.kind, q.cost.s, q.cost.strength)
        self.potentials = np.split(potentials, np.cumsum(q.sizes)[:-1])
        self.points, self.matrices = [host(x) for x in q.points], [host(c) for c in q.matrices]
        weights = [np.ones(n) if w is None else host(w) for w, n in zip(q.weights, q.sizes, strict=True)]
        self.weights = [w / w.sum() for w in weights]
        with np.errstate(divide="ignore"):
            self.logs: list[Array] = [
                np.log(w) + f / q.epsilon for w, f in zip(self.weights, self.potentials, strict=True)
            ]

    def own(self, p: int) -> int:
        """Return where the arrays of marginal p are."""
        return 0 if self.q.symmetric else p

    def size(self, p: int) -> int:
        """Return the number of points of marginal p."""
        return self.q.sizes[self.own(p)]

    def log_weights(self, p: int) -> Array:
        """Return g of marginal p."""
        return self.logs[self.own(p)]

    def linked(self, p: int, r: int) -> bool:
        """Return whether the pair has a cost."""
        return self.q.symmetric or (min(p, r), max(p, r)) in self.q.pairs

    def rows(self, p: int, r: int, i: Array) -> Array:
        """Return the costs between points i of marginal p and all points of marginal r, shape (k, n)."""
        if not self.linked(p, r):
            return np.zeros((len(i), self.size(r)))
        if self.matrices:
            return np.asarray(self._matrix(p, r)[i])
        return pair_cost(self.points[self.own(p)][i], self.points[self.own(r)], *self.kind)

    def between(self, p: int, r: int, i: Array, j: Array) -> Array:
        """Return the costs between points i of marginal p and as many points j of marginal r."""
        if not self.linked(p, r):
            return np.zeros(len(i))
        if self.matrices:
            return np.asarray(self._matrix(p, r)[i, j])
        gap = self.points[self.own(p)][i] - self.points[self.own(r)][j]
        return distance_cost(np.sqrt((gap**2).sum(-1)), *self.kind)

    def _matrix(self, p: int, r: int) -> Array:
        if self.q.symmetric or self.q.shared:
            c: Array = self.matrices[0]
        else:
            c = self.matrices[self.q.pairs.index((min(p, r), max(p, r)))]
        return c if p < r else c.T

    def log_mass(self, tuples: Array) -> Array:
        """Return the logarithm of the plan at tuples of indices, shape (k, N)."""
        total = np.zeros(len(tuples))
        for p in range(tuples.shape[1]):
            total += self.log_weights(p)[tuples[:, p]]
        for p, r in combinations(range(tuples.shape[1]), 2):
            total -= self.between(p, r, tuples[:, p], tuples[:, r]) / self.epsilon
        return total


def given(host: Host, fixed: dict[int, int]) -> tuple[Problem, Array] | None:
    """Return the problem of the other particles and potentials whose plan is that slice of the whole; None if empty.

    Each potential loses what its points cost with the fixed ones. In symmetric mode at least two particles are left.
    """
    q, epsilon = host.q, host.epsilon
    held = np.array([list(fixed.values())])
    scale = sum(float(host.log_weights(p)[i]) for p, i in fixed.items())
    for (p, i), (r, j) in combinations(fixed.items(), 2):
        scale -= float(host.between(p, r, np.array([i]), np.array([j]))[0]) / epsilon
    if scale == -inf:
        return None
    left = [p for p in range(q.n_marginals) if p not in fixed]
    distinct = left[:1] if q.symmetric else left
    shifted = []
    for p in distinct:
        cost = sum(host.rows(k, p, held[0, n : n + 1])[0] for n, k in enumerate(fixed))
        shifted.append(host.potentials[host.own(p)] - cost + epsilon * scale / len(left))
    rest = q._replace(n_marginals=len(left))
    if not q.symmetric:
        kept = [k for k, (p, r) in enumerate(q.pairs) if p in left and r in left]
        edges = None if q.edges is None else [(left.index(q.pairs[k][0]), left.index(q.pairs[k][1])) for k in kept]
        rest = rest._replace(
            points=[q.points[p] for p in left],
            weights=[q.weights[p] for p in left],
            sizes=[q.sizes[p] for p in left],
            matrices=q.matrices if q.shared or not q.matrices else [q.matrices[k] for k in kept],
            edges=edges,
        )
    return rest, np.concatenate(shifted)


def pair_given(host: Host, fixed: dict[int, int], pair: tuple[int, int]) -> Any:
    """Return the slice of the plan of a pair p < q (as numbered among the others) at fixed others; None if empty."""
    part = given(host, fixed)
    if part is None:
        return None
    rest, potentials = part
    if rest.edges != []:
        return np.asarray(host.q.library.numpy(pair_plan(rest, potentials, pair)), np.float64)
    weights = [host.weights[p] for p in range(host.q.n_marginals) if p not in fixed]
    free = np.split(potentials, np.cumsum(rest.sizes)[:-1])
    lines = [a * np.exp(f / host.epsilon) for a, f in zip(weights, free, strict=True)]
    others = prod(float(v.sum()) for k, v in enumerate(lines) if k not in pair)
    return others * lines[pair[0]][:, None] * lines[pair[1]]
