r"""Particles that share a mass in order: the u-th part of it is at :math:`F^{-1}(u + k/N)`, u in [0, 1/N), k < N.

For costs on the line that are convex and decreasing this is the optimal plan (Colombo, De Pascale, Di Marino 2015), and
for any cost it is a plan of N different points. As u grows one particle after the other moves to its next point; from
step to step the tuple, and in the end the potential, changes by what one particle does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray[Any, Any]


class Steps(NamedTuple):
    """Step e moves `particle[e]` from point `point[e]` to the next one, when the part `time[e]` of 1/N has passed."""

    start: Array  # (N,)
    particle: Array  # (n - 1,)
    point: Array
    time: Array

    def positions(self, k: int) -> Array:
        """Return where particle k is before each step, and after the last: (n,)."""
        moved = np.cumsum(self.particle == k)
        return np.asarray(self.start[k] + np.concatenate([[0], moved]))


def steps(weights: Array, count: int, tol: float) -> Steps | None:
    """Return the steps of `count` particles; None where every point of mass has 1/N: then nothing moves.

    Weights have the sum 1 and none is over 1/N; N times the mass below a point is that of another one, or an integer,
    where they differ by less than `tol`. Of steps at one time, those of particles further right come first, so that
    none steps on another.
    """
    below = np.cumsum(np.asarray(weights, np.longdouble))[:-1] * count
    level = np.rint(below).astype(np.int64)
    whole = np.abs(below - level) <= tol
    particle = np.where(whole, level - 1, np.floor(below)).astype(np.int64)
    time = np.where(whole, 1.0, (below - particle).astype(np.float64))
    # A step at an integer may as well be the first of the next particle: it must where no mass would be left over for
    # it at the end.
    occupied = set(particle[~whole].tolist())
    first = count
    while first > 1 and first - 1 not in occupied:
        first -= 1
    if first == 1 and 0 not in occupied:
        return None
    later = whole & ((level >= first) & (level < count) | (level == 0))
    particle, time = np.where(later, level, particle), np.where(later, 0.0, time)
    inner = np.unique(time[~whole])
    if len(inner):
        group = np.concatenate([[0], np.cumsum(np.diff(inner) > tol)])
        leaders = inner[np.searchsorted(group, np.arange(group[-1] + 1))]
        time[~whole] = leaders[group[np.searchsorted(inner, time[~whole])]]
    order = np.lexsort((np.arange(len(time)), -particle, time))
    start = np.searchsorted(np.sort(particle), np.arange(count))
    return Steps(start, particle[order], order, time[order])


def tuples(found: Steps | None, weights: Array, count: int) -> tuple[Array, Array]:
    """Return the tuples (k, N), increasing, and their masses."""
    if found is None:
        heavy = np.sort(np.argsort(weights, kind="stable")[-count:])
        return heavy[None, :], np.ones(1)
    times = np.concatenate([[0.0], found.time, [1.0]])
    passed = np.diff(times)
    kept = passed > 0
    where = np.stack([found.positions(k)[kept] for k in range(count)], axis=1)
    return where, passed[kept] / passed[kept].sum()


def potential(found: Steps | None, weights: Array, x: Array, cost: Callable[[Array], Array], count: int) -> Any:
    """Return the dual potential at sorted points, in long double, and a bound of what rounding did to it.

    A step from one point to the next changes the potential by what it changes the cost: both sides of sum f = c.
    Any order of steps at one time is that of weights a little different, for which the plan is optimal too.
    """
    at = x.astype(np.longdouble)
    eps = float(np.finfo(np.longdouble).eps)
    if found is None:
        held, _ = tuples(found, weights, count)
        mine = at[held[0]]
        between = np.abs(mine[:, None] - mine)
        np.fill_diagonal(between, np.inf)
        each = np.where(np.isinf(between), 0.0, cost(between)).sum(1) / 2
        least = count * (count - 1) / 2 * cost(np.abs(at[-1:] - at[:1]))[0]
        f = np.full(len(x), least - (count - 1) * each.max())
        f[held[0]] = each
        return f, 8 * eps * count**2 * float(np.abs(each).max())
    rise = np.zeros(len(x) - 1, np.longdouble)
    size = np.zeros(len(x) - 1)
    here, there = at[found.point], at[found.point + 1]
    for k in range(count):
        others = found.particle != k
        y = at[found.positions(k)[:-1][others]]
        new, old = cost(np.abs(there[others] - y)), cost(np.abs(here[others] - y))
        rise[others] += new - old
        size[others] += np.abs(new).astype(float) + np.abs(old).astype(float)
    f = np.zeros(len(x), np.longdouble)
    rises = np.empty_like(rise)
    rises[found.point] = rise
    f[1:] = np.cumsum(rises)
    where, masses = tuples(found, weights, count)
    heaviest = where[int(masses.argmax())]
    f += (configuration_cost(at[heaviest][None, :], cost)[0] - f[heaviest].sum()) / count
    rounding = 8 * eps * (count * float(size.sum()) + len(x) * float(np.abs(f).max()))
    return f, rounding


def configuration_cost(positions: Array, cost: Callable[[Array], Array]) -> Array:
    """Return the sum of cost(|x_p - x_q|) over the pairs of each row."""
    total = np.zeros(len(positions), positions.dtype)
    for p in range(positions.shape[1]):
        for q in range(p):
            total += cost(np.abs(positions[:, p] - positions[:, q]))
    return total
