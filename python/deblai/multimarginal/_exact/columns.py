"""Prices of columns of equal marginals: compiled, on the CPU or on CUDA, or the reference."""

from __future__ import annotations

from math import comb
from typing import Any, NamedTuple

import numpy as np

from ... import _backend, _core, _dlpack
from ...reference import columns as reference
from .._problem import Problem

Array = np.ndarray[Any, Any]


class Least(NamedTuple):
    """A lower bound of min c - sum f, whether it is that minimum, and tuples below the threshold."""

    lower: float
    exact: bool
    tuples: Array


class Pricer:
    """Moves of particles on a matrix of costs (n, n)."""

    def __init__(self, operation: str, q: Problem, costs: Array) -> None:
        self.plan = _backend.plan(operation, q.library.device(q.like))
        self.costs, self.q = np.ascontiguousarray(costs), q
        if self.plan.backend == "cuda":
            self.device_costs = q.library.device_array(self.costs, q.like)

    def moves(self, potential: Array, parents: Array) -> tuple[Array, Array]:
        """Return what the best move of each particle of each parent adds to its price, and to which site."""
        if self.plan.backend == "reference":
            return reference.price(self.costs, potential, parents)
        gain, to = np.empty(parents.shape), np.empty(parents.shape, np.int32)
        if self.plan.backend == "cuda":
            return self._on_device(potential, parents, gain, to)
        self._price(potential, parents, False, gain, to)
        return gain, to

    def pairs(self, potential: Array, parents: Array) -> tuple[Array, Array, Array]:
        """Return the parents for which a move of two particles adds something, what, and the children; on the CPU."""
        gain, move = np.empty((len(parents), 1)), np.empty((len(parents), 4), np.int32)
        if self.plan.backend == "reference":
            gain, move = reference.price_pairs(self.costs, potential, parents)
        else:
            self._price(potential, parents, True, gain, move)
        found = np.flatnonzero(move[:, 0] >= 0)
        children = parents[found].copy()
        rows = np.arange(len(found))
        for k in (0, 1):
            children[rows, move[found, k]] = move[found, 2 + k]
        return found, gain[found, 0], children

    def least(self, potential: Array, count: int, threshold: float, budget: int) -> Least:
        """Bound min c - sum f over all multisets from below, by branch and bound on the CPU.

        The reference looks at every multiset, if they are no more than `budget`.
        """
        if self.plan.backend == "reference":
            if comb(len(potential) + count - 1, count) > budget:
                return Least(-np.inf, False, np.empty((0, count), np.int32))
            value, at = reference.least(self.costs, potential, count)
            found = at[None, :].astype(np.int32) if value < threshold else np.empty((0, count), np.int32)
            return Least(min(value, threshold), True, found)
        view, plan = _dlpack.view, self.plan
        problem = ([None], [None], [view(self.costs)], [len(potential)], count, 0, 1.0, 1.0, 1.0, None)
        wanted = (view(np.array(potential), True), budget, threshold, True)
        given: tuple[Any, ...] = (*problem, *wanted, plan.threads, plan.simd)
        lower, _, exact, *_, tuples = _core.multimarginal_minimum(*given)
        return Least(lower, exact, np.array(tuples, np.int32).reshape(-1, count))

    def _price(self, potential: Array, parents: Array, pairs: bool, gain: Array, to: Array) -> None:
        view = _dlpack.view
        given = (view(self.costs), view(np.ascontiguousarray(potential)), view(np.ascontiguousarray(parents)))
        _core.columns_price(*given, pairs, view(gain, True), view(to, True), self.plan.threads)

    def _on_device(self, potential: Array, parents: Array, gain: Array, to: Array) -> tuple[Array, Array]:
        library, like = self.q.library, self.q.like
        put = library.device_array
        given = (self.device_costs, put(potential, like), put(np.ascontiguousarray(parents), like))
        where = (library.stream(like), int(library.device(like).partition(":")[2] or 0))
        _backend.cuda_module().columns_price(
            *map(library.view, given), _dlpack.view(gain, True), _dlpack.view(to, True), *where
        )
        return gain, to
