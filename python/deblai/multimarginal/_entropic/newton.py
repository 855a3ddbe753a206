"""Newton's method on the dual, and the correction of a plan to its marginals.

The marginals m_p of the plan of potentials f change by dm / df = A / epsilon, where A has the m_p on its diagonal and
the plans of pairs beside it: the dual's Hessian, but for the sign. The solution d of A d = a - m is Newton's step in
units of epsilon; and plan * (1 + d_1 + ... + d_N) has the marginals a exactly, since its marginals are m + A d.

On a graph the inverse of A is the sum of those of its blocks (`blocks`), less (k_p - 1) diag(1 / m_p) where marginal p
is in k_p of them, as for any Markov field that separates at single variables [1]_: on a tree, systems of two marginals
each. Within a block plans of all pairs are needed, edges or not.

.. [1] P.-L. Loh, M. J. Wainwright, "Structure estimation for discrete graphical models", Ann. Statist. 2013.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np

from ... import _core
from .. import _tuples
from .._problem import Problem
from .._runners import Compiled, Evaluation, Reference
from .blocks import Block, blocks

LIMIT = 3000  # unknowns: the matrix and its factors take 24 LIMIT^2 bytes, 216 MB
SWEEPS = 300  # cube of the unknowns over terms of a sum: some twenty sweeps
PAIRS = 100  # sweeps that sum up as much as the plans of the pairs without an edge
REACH = 10.0  # of a step of all potentials together, in units of epsilon
FLOOR, CEILING = 1e-12, 1e3  # of the damping
Array = np.ndarray[Any, Any]


def possible(q: Problem) -> bool:
    """Whether the plans of all pairs (of each block) are at hand, and the systems small enough to solve."""
    if q.edges is None:
        return sum(q.sizes) <= LIMIT
    every = blocks(q.n_marginals, q.edges)
    entries = sum(float(q.sizes[p]) * q.sizes[r] for block in every for p, r in combinations(block.at, 2))
    if entries > LIMIT**2 or any(sum(q.sizes[p] for p in block.at) > LIMIT for block in every):
        return False
    unlinked = [([q.edges[k] for k in block.edges], pair) for block in every for pair in beside(block, q.edges)]
    left = PAIRS * _terms(q, q.edges) if unlinked else 0.0
    for linked, pair in unlinked:
        left -= _terms(q, [*linked, pair])
        if left < 0:
            return False
    return True


def _terms(q: Problem, edges: list[tuple[int, int]]) -> float:
    """Return how many terms the sums over a graph have."""
    bags = _core.multimarginal_bags(q.sizes, edges)
    return float(sum(np.prod([float(q.sizes[p]) for p in bag]) for bag in bags if len(bag) > 1))


def beside(block: Block, edges: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the pairs of a block that no edge links."""
    linked = {edges[k] for k in block.edges}
    return [pair for pair in combinations(block.at, 2) if pair not in linked]


def dear(q: Problem) -> bool:
    """Whether one step costs as much as many sweeps: two large marginals, as a rule, and graphs."""
    if q.edges is not None:  # measured: 3 to 20 of them
        return True
    terms = np.prod([float(q.sizes[0 if q.symmetric else p]) for p in range(q.n_marginals)])
    return bool(float(sum(q.sizes)) ** 3 > SWEEPS * terms)


def masses(q: Problem) -> Array:
    """Return the marginals, one after the other, in float64."""
    return np.concatenate(_tuples.masses(q))


class System(NamedTuple):
    """Marginals of the plan of some potentials, how they change, and what they should be."""

    marginals: Array
    matrix: Array
    wanted: Array
    first: int = 0  # size of the first of two marginals

    def correction(self, missing: Array, damping: float = 0.0) -> Array:
        """Return d with (A + damping diag(m)) d = missing; 0 where the plan has nothing."""
        if self.first:
            plan = self.matrix[: self.first, self.first :]
            return _of_two(plan, self.marginals, self.wanted, missing, damping)
        d = np.zeros_like(self.marginals)
        live = np.flatnonzero((self.marginals > 0) & (self.wanted > 0))
        scale = 1 / np.sqrt(self.marginals[live])
        scaled = self.matrix[np.ix_(live, live)]
        with np.errstate(invalid="ignore"):  # subnormal marginals have no inverse
            scaled *= scale[:, None]
            scaled *= scale
        # Constants that move between marginals change nothing: the least damping makes the matrix regular.
        scaled.flat[:: len(live) + 1] += max(damping, FLOOR)
        try:
            with np.errstate(invalid="ignore"):
                d[live] = np.linalg.solve(scaled, missing[live] * scale) * scale
        except np.linalg.LinAlgError:  # marginals so far off that a row is nothing but zeros
            d[live] = np.nan
        return d


class Joined(NamedTuple):
    """The systems of the blocks of a graph: where their unknowns are, and the plans that they are made of."""

    marginals: Array
    wanted: Array
    parts: list[tuple[Array, list[int], dict[tuple[int, int], Array], Array]]  # with marginals of their own rounding
    shared: Array  # in how many blocks beyond one

    def correction(self, missing: Array, damping: float = 0.0) -> Array:
        """Return d as `System` does."""
        d = np.zeros_like(self.marginals)
        live = np.flatnonzero((self.marginals > 0) & (self.wanted > 0))
        d[live] = -self.shared[live] * missing[live] / (self.marginals[live] * (1 + max(damping, FLOOR)))
        for at, sizes, plans, m in self.parts:
            if len(sizes) == 2:
                d[at] += _of_two(plans[0, 1], m, self.wanted[at], missing[at], damping)
            else:
                d[at] += System(m, _matrix(sizes, plans, m), self.wanted[at]).correction(missing[at], damping)
        return d


def _of_two(plan: Array, m: Array, wanted: Array, missing: Array, damping: float) -> Array:
    """Return d of two marginals, from the unknowns of the smaller one alone."""
    rows, columns = slice(0, len(plan)), slice(len(plan), None)
    if len(plan) < plan.shape[1]:
        plan, rows, columns = plan.T, columns, rows
    live = (m > 0) & (wanted > 0)
    scale = np.where(live, 1 / np.sqrt(np.where(live, m, 1.0)), 0.0)
    scaled = plan * scale[rows, None] * scale[columns]
    b = missing * scale
    diagonal = 1 + max(damping, FLOOR)
    rest = scaled.T @ scaled / -diagonal
    rest.flat[:: len(rest) + 1] += diagonal
    d = np.empty_like(m)
    d[columns] = np.linalg.solve(rest, b[columns] - scaled.T @ b[rows] / diagonal)
    d[rows] = (b[rows] - scaled @ d[columns]) / diagonal
    return np.asarray(d * scale)


def system(q: Problem, run: Compiled | Reference, potentials: Array, e: Evaluation, wanted: Array) -> System | Joined:
    """Return the system of potentials and their evaluation, which made the plans of all pairs that have a cost."""
    host = [np.asarray(q.library.numpy(p), np.float64) for p in e.plans]
    if q.symmetric:
        plan, m = host[0], host[0].sum(1)
        matrix = (plan + plan.T) * ((q.n_marginals - 1) / 2)
        matrix.flat[:: len(m) + 1] += m
        return System(m, matrix, wanted)
    at = np.concatenate([[0], np.cumsum(q.sizes)])
    every = blocks(q.n_marginals, q.pairs)
    m, shared = e.marginals.copy(), np.full(at[-1], -1.0)
    parts = []
    for block in every:
        plans = {q.pairs[k]: host[k] for k in block.edges}
        for pair in beside(block, q.pairs):
            plans[pair] = np.asarray(q.library.numpy(run.pair(potentials, pair)), np.float64)
        for (p, r), plan in reversed(plans.items()):
            m[at[p] : at[p + 1]], m[at[r] : at[r + 1]] = plan.sum(1), plan.sum(0)
        rows = np.concatenate([np.arange(at[p], at[p + 1]) for p in block.at])
        shared[rows] += 1
        where = {p: k for k, p in enumerate(block.at)}
        by_place = {(where[p], where[r]): plan for (p, r), plan in plans.items()}
        parts.append((rows, [q.sizes[p] for p in block.at], by_place, m[rows]))
    if len(every) == 1 and len(every[0].at) == q.n_marginals:
        return System(m, _matrix(q.sizes, parts[0][2], m), wanted, q.sizes[0] if q.n_marginals == 2 else 0)
    return Joined(m, wanted, parts, shared)


def _matrix(sizes: list[int], plans: dict[tuple[int, int], Array], m: Array) -> Array:
    at = np.concatenate([[0], np.cumsum(sizes)])
    matrix = np.zeros((at[-1], at[-1]))
    for (p, r), plan in plans.items():
        rows, columns = slice(at[p], at[p + 1]), slice(at[r], at[r + 1])
        matrix[rows, columns], matrix[columns, rows] = plan, plan.T
    matrix.flat[:: len(m) + 1] += m
    return matrix


def extent(q: Problem, d: Array) -> tuple[float, float]:
    """Return bounds of d_1 + ... + d_N over all points."""
    parts = np.split(d, np.cumsum(q.sizes)[:-1])
    count = q.n_marginals if q.symmetric else 1
    return count * float(sum(v.min() for v in parts)), count * float(sum(v.max() for v in parts))


Seen = Callable[[Array, Evaluation], bool]  # potentials and what they say; True stops


def ascend(q: Problem, run: Compiled | Reference, potentials: Array, tol: float, steps: int, seen: Seen) -> None:
    """Step on the potentials, in place, until the marginal error is at most tol or steps no longer help.

    A step is damped (Levenberg and Marquardt) until it stays within `REACH` and raises the dual value as it should, or
    halves the marginal error where rounding hides the rise.
    """
    wanted = masses(q)
    now, damping, idle = run.evaluate(potentials, False, True), FLOOR, 0
    best = now.marginal_error
    for _ in range(steps):
        if not now.marginal_error > tol or idle >= 3:
            return
        here = system(q, run, potentials, now, wanted)
        missing = wanted - here.marginals
        while True:
            d = here.correction(missing, damping)
            far = max(map(abs, extent(q, d)))
            if far <= REACH:
                rise = q.epsilon * float(d @ missing) * (q.n_marginals if q.symmetric else 1)
                there = potentials + q.epsilon * d
                then = run.evaluate(there, False, True)
                if then.value >= now.value + 0.1 * rise or then.marginal_error <= 0.5 * now.marginal_error:
                    break
            if damping >= CEILING or not np.isfinite(far):
                return
            damping = max(10 * damping, 1e-9)
        potentials[:], now = there, then
        idle = 0 if now.marginal_error < 0.9 * best else idle + (damping <= 1e-9)
        best = min(best, now.marginal_error)
        damping = max(damping / 30, FLOOR)
        if seen(potentials, now):
            return
