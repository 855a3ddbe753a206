"""Problems of the exact solvers, in NumPy and float64: they run on the CPU whatever library the arguments are of."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ... import _backend, errors
from ..._array import TRACED
from .. import _tuples
from .._problem import Problem, problem

Array = np.ndarray[Any, Any]
ROUNDING = 64 * float(np.finfo(np.float64).eps)


class Host(NamedTuple):
    """Checked arguments: weights of sum 1, one a distinct marginal; matrices by pair, (0, 1) alone if symmetric."""

    q: Problem
    points: list[Array | None]
    weights: list[Array]
    costs: dict[tuple[int, int], Array]
    n_marginals: int

    @property
    def symmetric(self) -> bool:
        """Whether all marginals are the same."""
        return len(self.weights) == 1

    @property
    def tolerance(self) -> float:
        """How far N times a mass may be from what it stands for: rounding of the inputs."""
        return self.n_marginals * (1e-13 if self.q.library.dtype(self.q.like) == "float64" else 1e-6)


def checked(operation: str, points: Any, weights: Any, n_marginals: Any, cost: Any, graph: Any = None) -> Host:
    """Check shapes, libraries and entries, and bring everything into float64; costs of the pairs of the graph."""
    q = problem(operation, points, weights, n_marginals, cost, 1.0, graph)
    if q.library is TRACED:
        raise errors.InvalidType(f"[{operation}] points: expected arrays with values, got tracers inside jit of JAX")

    dim = max((x.shape[1] for x in q.points if x is not None), default=0)
    entries = sum(q.sizes[a] * q.sizes[0 if q.symmetric else b] for a, b in q.pairs)
    _backend.require_memory(operation, 8 * (3 * entries + dim * max(q.sizes) ** 2))
    h = _tuples.host(q)
    _tuples.check(operation, h)
    if h.matrices and q.symmetric and not np.array_equal(h.matrices[0], h.matrices[0].T):
        raise errors.InvalidValue(f"[{operation}] cost: expected a symmetric matrix for equal marginals")
    costs = {pair: _tuples.block(h, pair) for pair in q.pairs}
    return Host(q, h.points, _tuples.masses(h), costs, q.n_marginals)


def require_light_points(operation: str, h: Host) -> None:
    """Raise where a point is heavier than 1/N and infinitely dear with itself, of equal marginals."""
    if not h.symmetric:
        return
    alone = np.isinf(np.diagonal(h.costs[0, 1]))
    heavy = np.flatnonzero(alone & (h.weights[0] * h.n_marginals > 1 + h.tolerance))
    if len(heavy):
        i = int(heavy[h.weights[0][heavy].argmax()])
        raise errors.InvalidValue(
            f"[{operation}] weights: expected at most 1/{h.n_marginals} of the mass where a point's cost with itself "
            f"is infinite, got {h.weights[0][i]:.6g} at point {i}: no plan has a finite cost"
        )
