"""Plans of finite cost where infinite entries leave few: what a scaled plan lacks of its marginals goes where it may.

Of two marginals by augmenting paths, from points that lack mass over entries of finite cost and back over entries of
the plan, which always finds a plan if there is one [1]_. Of more, where few tuples have a finite cost, by the linear
program over them, if HiGHS is installed.

.. [1] L. R. Ford, D. R. Fulkerson, "Maximal flow through a network", Canad. J. Math. 1956.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ... import errors
from ..._array import NUMPY
from .. import _tuples
from .._problem import Problem
from .coupling import Coupling

TINY = 1e-15  # mass that may be left over
ENTRIES = 4_000_000  # of a plan of two marginals
SEARCH = 4e9  # entries that the searches for augmenting paths look at: some seconds
TUPLES = 100_000  # listed for a linear program
ROUNDING = 2.0**-48  # of sums
EXPONENT = 50.0  # of the smallest masses that count, in the error of a relative entropy
Array = np.ndarray[Any, Any]


def possible(h: Problem) -> bool:
    """Whether a problem is small enough."""
    if h.n_marginals == 2:
        return h.sizes[0] * h.sizes[-1] <= ENTRIES
    return bool(np.prod([float(n) for n in h.sizes * (h.n_marginals if h.symmetric else 1)]) <= 100 * TUPLES)


def flow(h: Problem, plan: Array, a: Array, b: Array) -> tuple[float, float] | None:
    """Return <c, Q> and KL(Q | a b) of a plan Q of two marginals, near one whose marginals are at most a and b.

    Both with a bound of what masses that are left over can do; None where there is no such plan, or too far off.
    """
    cost = _tuples.block(h, (0, 1))
    free = np.isfinite(cost) & (a[:, None] > 0) & (b > 0)
    q = filled(np.where(free, plan, 0.0), free, cost, a, b)
    if q is None:
        return None
    left = float(np.abs(a - q.sum(1)).sum() + np.abs(b - q.sum(0)).sum())
    live = q > 0
    rows, columns = np.nonzero(live)
    masses, costs = q[live], cost[live]
    range_of = float(np.abs(cost[free]).max())
    logs = np.log(masses / (a[rows] * b[columns]))
    linear = float(masses @ costs + ROUNDING * (masses @ np.abs(costs))) + left * (len(a) + len(b)) * range_of
    return linear, float(masses @ logs + ROUNDING * (masses @ np.abs(logs))) + EXPONENT * left


def filled(q: Array, free: Array, cost: Array, a: Array, b: Array) -> Array | None:
    """Return a plan on the free entries with marginals a and b that is near q, None if it finds none."""
    lack, room = a - q.sum(1), b - q.sum(0)
    if not min(lack.min(), room.min()) >= -TINY:  # too large, or no numbers
        q, lack, room = np.zeros_like(q), a.copy(), b.copy()
    lack, room = np.maximum(lack, 0.0), np.maximum(room, 0.0)
    for i in np.flatnonzero(lack):  # straight, the cheapest first
        at = np.flatnonzero(free[i] & (room > 0))
        at = at[np.argsort(cost[i, at])]
        before = np.cumsum(room[at]) - room[at]
        given = np.clip(lack[i] - before, 0.0, room[at])
        q[i, at] += given
        room[at] -= given
        lack[i] = max(0.0, lack[i] - given.sum())
    for _ in range(int(SEARCH / q.size)):
        if min(lack.sum(), room.sum()) <= TINY:
            return q
        if not _augment(q, free, lack, room):
            return None
    return None


def _augment(q: Array, free: Array, lack: Array, room: Array) -> bool:
    """Move mass along a shortest path from a row that lacks some to a column that has room."""
    came_to_row, came_to_column = np.full(len(lack), -1), np.full(len(room), -1)
    rows = np.flatnonzero(lack > 0)
    seen_rows, seen_columns = lack > 0, np.zeros(len(room), bool)
    end = -1
    while len(rows) and end < 0:
        reach = free[rows] & ~seen_columns
        columns = np.flatnonzero(reach.any(0))
        came_to_column[columns] = rows[reach[:, columns].argmax(0)]
        seen_columns[columns] = True
        open_ones = columns[room[columns] > 0]
        if len(open_ones):
            end = int(open_ones[room[open_ones].argmax()])
            break
        back = (q[:, columns] > 0) & ~seen_rows[:, None]
        rows = np.flatnonzero(back.any(1))
        best = np.where(back[rows], q[np.ix_(rows, columns)], 0.0).argmax(1) if len(columns) else np.empty(0, int)
        came_to_row[rows] = columns[best] if len(columns) else -1
        seen_rows[rows] = True
    if end < 0:
        return False
    steps, column = [], end
    while True:
        row = int(came_to_column[column])
        steps.append((row, column))
        column = int(came_to_row[row])
        if column < 0:
            break
        steps.append((row, column))
    forward, backward = steps[0::2], steps[1::2]
    amount = min([float(lack[row]), float(room[end]), *(float(q[s]) for s in backward)])
    for s in forward:
        q[s] += amount
    for s in backward:
        q[s] = max(0.0, q[s] - amount)
    lack[row] -= amount
    room[end] -= amount
    return True


def program(h: Problem, parts: list[Array], wanted: list[Array]) -> Coupling:
    """Return the cheapest coupling of marginals `parts` of mass 1; of infinite cost where there is none at hand."""
    from .._exact.linear import linear_program

    nothing = Coupling(np.inf, np.inf)
    if h.symmetric:
        given: dict[str, Any] = {"cost": _tuples.block(h, (0, 1)), "weights": parts[0], "n_marginals": h.n_marginals}
    else:
        given = {"cost": {pair: _tuples.block(h, pair) for pair in h.pairs}, "weights": parts}
    try:
        found = linear_program(**given, max_columns=TUPLES)
    except (errors.InvalidValue, errors.OutOfMemory, errors.MissingExtra):
        return nothing
    tuples, masses = np.asarray(NUMPY.numpy(found.tuples)), np.asarray(NUMPY.numpy(found.masses))
    if not np.isfinite(found.upper):
        return nothing
    tuples, masses = tuples[masses > 0], masses[masses > 0]
    own = [0] * h.n_marginals if h.symmetric else range(h.n_marginals)
    with np.errstate(divide="ignore"):
        density = np.log(masses) - sum(np.log(wanted[p][tuples[:, k]]) for k, p in enumerate(own))
    return Coupling(found.upper, float(masses @ density) + EXPONENT * found.marginal_error)
