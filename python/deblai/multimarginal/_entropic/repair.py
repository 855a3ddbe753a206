"""Plans of finite cost where infinite entries leave few: what a scaled plan lacks of its marginals goes where it may.

Of two marginals by augmenting paths, from points that lack mass over entries of finite cost and back over entries of
the plan, which always finds a plan if there is one [1]_. Of more, where few tuples have a finite cost, by linear
programs over them, if HiGHS is installed.

.. [1] L. R. Ford, D. R. Fulkerson, "Maximal flow through a network", Canad. J. Math. 1956.
"""

from __future__ import annotations

from math import lgamma
from typing import Any

import numpy as np

from ... import errors
from .. import _tuples
from .._problem import Problem
from .._runners import OPERATION
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
    return _terms(h) <= (ENTRIES if h.n_marginals == 2 else 100 * TUPLES)


def cheap(h: Problem) -> bool:
    """Whether there are infinite entries, and a search takes no longer than all else."""
    if _terms(h) > (ENTRIES if h.n_marginals == 2 else TUPLES / 10):
        return False
    return not all(np.isfinite(_tuples.block(h, pair)).all() for pair in h.pairs)


def _terms(h: Problem) -> float:
    return float(np.prod([float(n) for n in h.sizes * (h.n_marginals if h.symmetric else 1)]))


def flow(h: Problem, plan: Array, a: Array, b: Array) -> Coupling:
    """Return a coupling of two marginals, near a plan whose marginals are at most a and b.

    With a bound of what masses that are left over can do; of infinite cost where there is none, or none near enough.
    """
    cost = _tuples.block(h, (0, 1))
    free = np.isfinite(cost) & (a[:, None] > 0) & (b > 0)
    q = filled(np.where(free, plan, 0.0), free, cost, a, b)
    if q is None:
        return Coupling(np.inf, np.inf)
    left = float(np.abs(a - q.sum(1)).sum() + np.abs(b - q.sum(0)).sum())
    live = q > 0
    rows, columns = np.nonzero(live)
    masses, costs = q[live], cost[live]
    range_of = float(np.abs(cost[free]).max())
    logs = np.log(masses / (a[rows] * b[columns]))
    linear = float(masses @ costs + ROUNDING * (masses @ np.abs(costs))) + left * (len(a) + len(b)) * range_of
    return Coupling(linear, float(masses @ logs + ROUNDING * (masses @ np.abs(logs))) + EXPONENT * left)


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


def programs(h: Problem, f: list[Array], a: list[Array], size: float) -> list[Coupling]:
    """Return couplings of more marginals by linear programs: that nearest the plan of potentials, and the cheapest.

    `size` bounds what a unit of mass that is missing from the marginals can do. None where HiGHS is not there, the
    tuples of finite cost are too many, or no coupling is found.
    """
    from .._exact.listing import listed
    from .._exact.master import Infeasible, Master

    try:
        costs = {pair: _tuples.block(h, pair) for pair in h.pairs}
        tuples, cost = listed(OPERATION, costs, h.sizes, h.n_marginals, TUPLES)
        own = [0] * h.n_marginals if h.symmetric else list(range(h.n_marginals))
        live = np.all([a[p][tuples[:, k]] > 0 for k, p in enumerate(own)], axis=0)
        tuples, cost = tuples[live], cost[live]
        if not len(cost):
            return []
        logs = np.sum([np.log(a[p][tuples[:, k]]) for k, p in enumerate(own)], axis=0) + _orders(h, tuples)
        with np.errstate(over="ignore"):
            exponents = (np.sum([f[p][tuples[:, k]] for k, p in enumerate(own)], axis=0) - cost) / h.epsilon
            kept = np.exp(np.minimum(exponents + logs, 0.0))
        share = h.n_marginals if h.symmetric else 1
        offsets = np.zeros(1, int) if h.symmetric else np.concatenate([[0], np.cumsum(h.sizes)[:-1]])
        rows, rhs = tuples + offsets, np.concatenate(a) * share
        unit = max(float(np.abs(cost).max()), np.finfo(float).tiny)
        found = []
        for near in (True, False):
            master = Master(OPERATION, rhs)
            master.add(rows, cost / unit + 4.0 * near)
            if near:
                master.add(rows, np.zeros(len(cost)))
                every = np.arange(len(cost), 2 * len(cost), dtype=np.int32)
                master.model.changeColsBounds(len(cost), every, np.zeros(len(cost)), kept)
            masses = master.solve().masses.reshape(-1, len(cost)).sum(0)
            found.append(_evaluated(rows, masses, rhs, cost, logs, size))
    except (errors.DeblaiError, Infeasible):
        return []
    return found


def _orders(h: Problem, tuples: Array) -> Array:
    """Return the log of how many orders each tuple stands for: of equal marginals sorted ones are listed alone."""
    if not h.symmetric:
        return np.zeros(len(tuples))
    total, run = np.full(len(tuples), lgamma(h.n_marginals + 1)), np.ones(len(tuples))
    for k in range(1, h.n_marginals):  # less the log of the factorial of how often each point comes
        run = np.where(tuples[:, k] == tuples[:, k - 1], run + 1, 1.0)
        total -= np.log(run)
    return total


def _evaluated(rows: Array, q: Array, rhs: Array, cost: Array, logs: Array, size: float) -> Coupling:
    """Return what masses of tuples say, once they meet the equations to rounding."""
    for _ in range(3):  # q (1 + the sum of y) does
        live = q > 0
        q, rows, cost, logs = q[live], rows[live], cost[live], logs[live]
        missing = rhs - np.bincount(rows.ravel(), np.repeat(q, rows.shape[1]), len(rhs))
        if np.abs(missing).sum() > TINY:
            matrix = np.zeros((len(rhs), len(rhs)))
            for k in range(rows.shape[1]):
                for j in range(rows.shape[1]):
                    np.add.at(matrix, (rows[:, k], rows[:, j]), q)
            y = np.linalg.lstsq(matrix, missing, rcond=1e-13)[0]
            q = np.maximum(q * (1 + y[rows].sum(1)), 0.0)
    live = q > 0
    q, rows, cost, logs = q[live], rows[live], cost[live], logs[live]
    left = float(np.abs(rhs - np.bincount(rows.ravel(), np.repeat(q, rows.shape[1]), len(rhs))).sum())
    density = np.log(q) - logs
    linear = float(q @ cost + ROUNDING * (q @ np.abs(cost))) + left * (size + len(rhs) * float(np.abs(cost).max()))
    entropy = float(q @ density + ROUNDING * (q @ np.abs(density))) + EXPONENT * left
    return Coupling(linear, entropy) if left <= 1e-10 else Coupling(np.inf, np.inf)
