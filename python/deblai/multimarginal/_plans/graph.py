"""Exact samples of a plan on a graph of pairs."""

from __future__ import annotations

import numpy as np

from ... import _backend, _core
from .._entropic.evaluate import Array
from .._problem import Problem
from .given import Host


def sample_graph(q: Problem, potentials: Array, k: int, rng: np.random.Generator) -> Array:
    """Return k independent tuples of the plan of potentials (one after the other), as indices (k, N).

    Sums over the marginals in the order of elimination, then draws them in the opposite one, each given those of its
    neighbours that are drawn [1]_. Exact, in float64; where the plan's mass is not 1, of the plan divided by it.

    .. [1] D. Koller, N. Friedman, "Probabilistic Graphical Models", 2009, section 12.3.
    """
    return _Sampler(q, potentials).draw(k, rng)


class _Sampler:
    """Messages in NumPy: `up[v]` has one axis for each of the neighbours of v that outlive it."""

    entries = 1 << 22  # of one temporary array

    def __init__(self, q: Problem, potentials: Array) -> None:
        self.q, self.host = q, Host(q, np.asarray(potentials, np.float64))
        self.bags = _core.multimarginal_bags(q.sizes, q.pairs)
        tables = sum(float(np.prod([float(q.sizes[u]) for u in bag[1:]])) for bag in self.bags)
        _backend.require_memory("multimarginal.sample", int(min(8 * tables + 64 * self.entries, 2**62)))
        self.lines = self.host.logs
        self.up: dict[int, Array] = {}
        self.children: dict[int, list[int]] = {bag[0]: [] for bag in self.bags}
        self.others = {bag[0]: bag[1:] for bag in self.bags}
        when = {bag[0]: step for step, bag in enumerate(self.bags)}
        for v, *others in self.bags:
            self.up[v] = self._up(v, others)
            if others:
                self.children[min(others, key=when.__getitem__)].append(v)

    def _exponents(self, p: int, at: Array, r: int) -> Array | None:
        """Return -cost / epsilon of points `at` of p (rows) with all of r, None where the pair has no cost."""
        return -self.host.rows(p, r, at) / self.q.epsilon if self.host.linked(p, r) else None

    def _up(self, v: int, others: list[int]) -> Array:
        """Return the log of the sum over v and all that was eliminated into it."""
        sizes = [self.q.sizes[u] for u in others]
        n = self.q.sizes[v]
        if not others:
            return np.asarray(_log_sum(self._with(v, others, [])))
        rest = max(1, self.entries // max(1, n * int(np.prod(sizes[1:], dtype=np.int64))))
        parts: list[Array] = []
        for begin in range(0, sizes[0], rest):
            first = np.arange(begin, min(sizes[0], begin + rest))
            parts.append(_log_sum(self._with(v, others, [first, *(np.arange(m) for m in sizes[1:])])))
        return np.asarray(np.concatenate(parts))

    def _with(self, v: int, others: list[int], at: list[Array]) -> Array:
        """Return the exponents of v (last axis) for all combinations of indices of others (an axis each)."""
        total: Array = self.lines[v].reshape([1] * len(others) + [-1])
        for axis, u in enumerate(others):
            block = self._exponents(u, at[axis], v)
            if block is not None:
                shape = [1] * len(others) + [block.shape[1]]
                shape[axis] = len(at[axis])
                total = total + block.reshape(shape)
        grid = dict(zip(others, np.ix_(*at), strict=True)) if others else {}
        for c in self.children[v]:
            total = total + self._heard(c, v, grid)
        return np.asarray(total)

    def _heard(self, c: int, v: int, at: dict[int, Array]) -> Array:
        """Return what c tells, with v as the last axis, at indices of the others."""
        scope = self.others[c]
        turned = np.moveaxis(self.up[c], scope.index(v), -1)
        return np.asarray(turned[tuple(at[u] for u in scope if u != v)])

    def draw(self, k: int, rng: np.random.Generator) -> Array:
        """Return k tuples."""
        drawn = np.zeros((k, self.q.n_marginals), np.int64)
        for v, *others in reversed(self.bags):
            block = max(1, self.entries // self.q.sizes[v])
            for begin in range(0, k, block):
                rows = slice(begin, min(k, begin + block))
                given = {u: drawn[rows, u] for u in others}
                z = np.broadcast_to(self.lines[v], (rows.stop - begin, self.q.sizes[v]))
                for u in others:
                    add = self._exponents(u, given[u], v)
                    z = z if add is None else z + add
                for c in self.children[v]:
                    z = z + self._heard(c, v, given)
                below = np.cumsum(np.exp(z - z.max(axis=1, keepdims=True)), axis=1)
                drawn[rows, v] = (below > rng.random((len(z), 1)) * below[:, -1:]).argmax(axis=1)
        return drawn


def _log_sum(z: Array) -> Array:
    """Return the log of the sum of exp(z) over the last axis."""
    top = z.max(axis=-1)
    top = np.where(np.isfinite(top), top, 0.0)
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(np.exp(z - top[..., None]).sum(-1)) + top)
