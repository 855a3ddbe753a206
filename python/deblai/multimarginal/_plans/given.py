"""Some particles held fixed: what the plan says of the others is a problem of the same kind, with fewer marginals."""

from __future__ import annotations

from itertools import combinations
from math import inf, prod
from typing import Any

import numpy as np

from .. import _tuples
from .._entropic.evaluate import Array, pair_plan
from .._problem import Problem


class Host:
    """A problem at given potentials in NumPy, float64: weights, log-weights g = log a + f / epsilon, costs of pairs."""

    def __init__(self, q: Problem, potentials: Array) -> None:
        self.q, self.epsilon, self.problem = q, q.epsilon, _tuples.host(q)
        self.kind = (q.cost.kind, q.cost.s, q.cost.strength)
        self.potentials = np.split(potentials, np.cumsum(q.sizes)[:-1])
        self.points, self.matrices = self.problem.points, self.problem.matrices
        self.weights = _tuples.masses(self.problem)
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
        return _tuples.block(self.problem, (p, r), i) if self.linked(p, r) else np.zeros((len(i), self.size(r)))

    def between(self, p: int, r: int, i: Array, j: Array) -> Array:
        """Return the costs between points i of marginal p and as many points j of marginal r."""
        return _tuples.between(self.problem, (p, r), i, j) if self.linked(p, r) else np.zeros(len(i))

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
