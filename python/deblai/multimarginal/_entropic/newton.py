"""Newton's method on the dual of the complete graph, and the correction of a plan to its marginals.

The marginals m_p of the plan of potentials f change by dm / df = A / epsilon, where A has the m_p on its diagonal and
the plans of pairs beside it: the dual's Hessian, but for the sign. The solution d of A d = a - m is Newton's step in
units of epsilon; and plan * (1 + d_1 + ... + d_N) has the marginals a exactly, since its marginals are m + A d.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from .. import _tuples
from .._problem import Problem
from .._runners import Compiled, Evaluation, Reference

LIMIT = 3000  # unknowns: the matrix and its factors take 24 LIMIT^2 bytes, 216 MB
SWEEPS = 300  # cube of the unknowns over terms of a sum: some twenty sweeps
REACH = 10.0  # of a step of all potentials together, in units of epsilon
FLOOR, CEILING = 1e-12, 1e3  # of the damping
Array = np.ndarray[Any, Any]


def possible(q: Problem) -> bool:
    """Whether the plans of all pairs are at hand and the system is small enough to solve."""
    every = q.n_marginals * (q.n_marginals - 1) // 2
    return sum(q.sizes) <= LIMIT and (q.symmetric or len(q.pairs) == every)


def dear(q: Problem) -> bool:
    """Whether one step costs as much as many sweeps: two large marginals, as a rule."""
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

    def correction(self, missing: Array, damping: float = 0.0) -> Array:
        """Return d with (A + damping diag(m)) d = missing; 0 where the plan has nothing."""
        d = np.zeros_like(self.marginals)
        live = np.flatnonzero((self.marginals > 0) & (self.wanted > 0))
        scale = 1 / np.sqrt(self.marginals[live])
        scaled = self.matrix[np.ix_(live, live)]
        scaled *= scale[:, None]
        scaled *= scale
        # Constants that move between marginals change nothing: the least damping makes the matrix regular.
        scaled.flat[:: len(live) + 1] += max(damping, FLOOR)
        d[live] = np.linalg.solve(scaled, missing[live] * scale) * scale
        return d


def system(q: Problem, plans: list[Any], wanted: Array) -> System:
    """Return the system of an evaluation that made all plans of pairs."""
    host = [np.asarray(q.library.numpy(p), np.float64) for p in plans]
    if q.symmetric:
        plan, m = host[0], host[0].sum(1)
        matrix = (plan + plan.T) * ((q.n_marginals - 1) / 2)
    else:
        at = np.concatenate([[0], np.cumsum(q.sizes)])
        matrix, m = np.zeros((at[-1], at[-1])), np.empty(at[-1])
        for (p, r), plan in zip(q.pairs, host, strict=True):
            rows, columns = slice(at[p], at[p + 1]), slice(at[r], at[r + 1])
            matrix[rows, columns], matrix[columns, rows] = plan, plan.T
            if p == 0:
                m[columns] = plan.sum(0)
                m[rows] = plan.sum(1)
    matrix.flat[:: len(m) + 1] += m
    return System(m, matrix, wanted)


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
        here = system(q, now.plans, wanted)
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
