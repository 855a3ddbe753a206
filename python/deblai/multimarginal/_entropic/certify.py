"""Certified intervals, in float64 from the inputs: OT_0 of the unregularised problem, OT_epsilon of the entropic one.

Any potentials f bound both from below: sum_p <a_p, f_p> + min (c - sum_p f_p) <= OT_0, and the dual value is at most
OT_epsilon. Plans with the marginals a bound them from above; two kinds are made from the plan pi of f, whose marginals
are m:

- pi (1 + d_1 + ... + d_N), where the system of `newton` gives d: it has the marginals a, and is positive where the
  sum of d is above -1. As log(1 + x) <= x, its value is at most sum_p <a_p, f_p + epsilon d_p>: the gap between the
  bounds of OT_epsilon is the Newton decrement, of second order in the marginal error;
- pi scaled by min(1, a_p / m_p), less a share of it, and a coupling of what is left of the marginals (`coupling`).

Where infinite entries leave neither, plans are searched for (`repair`). A graph is bounded from above block by block
(`blocks`): all plans of blocks are restrictions of one of the whole, whose cost and relative entropy are their sums.

Sums are float64, on the device of the arrays (`place`). What rounding can move is allowed for: 2^-48 of the sizes of
what is summed, times N^2.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from math import inf
from typing import Any, NamedTuple

import numpy as np

from ... import _backend, errors
from .. import _tuples
from .._problem import Problem
from .._runners import OPERATION
from . import blocks as _blocks
from . import coupling as _coupling
from . import newton as _newton
from . import repair as _repair
from .place import Place, host

ROUNDING = 2.0**-48
SMALL = 600  # points up to which triples are solved where N marginals are too many
WORK = 2.0**34  # of a search whose budget is not given: terms, some seconds of one thread
Array = np.ndarray[Any, Any]


class Interval(NamedTuple):
    """Bounds of OT_0 and of OT_epsilon; `certified`: the least reduced cost is exact and the upper bound finite."""

    lower: float
    upper: float
    value_lower: float
    value_upper: float
    certified: bool


class _Bounds:
    """A problem in float64 on the CPU, and what its potentials say; its sums run at `place`."""

    def __init__(self, h: Problem, potentials: Array, place: Place) -> None:
        self.h, self.f, self.place = h, potentials, place
        self.a = _newton.masses(self.h)
        self.run: Any = place.runner(h)
        self.parts = None if h.edges is None else _blocks.pieces(h, potentials, self.a)  # None: of one block
        self.newton = self.parts is None and _newton.possible(self.h)
        self.e = self.run.evaluate(potentials, False, self.newton)
        self.count = self.h.n_marginals if self.h.symmetric else 1
        self.least, negative = _tuples.least(self.h)
        live = np.where(self.a > 0, np.abs(potentials), 0.0)
        self.size = float(self.count * sum(v.max() for v in self.split(live)) + 50 * self.h.epsilon - 2 * negative)
        self.slack = ROUNDING * self.h.n_marginals**2 * self.size
        self.margin = self.slack / self.h.epsilon  # exponents are that wrong, and so are the marginals, relatively

    def split(self, v: Array) -> list[Array]:
        return np.split(v, np.cumsum(self.h.sizes)[:-1])

    def dual(self, a: Array, f: Array) -> float:
        """Return sum_p <a_p, f_p>."""
        live = a > 0
        return self.count * float(a[live] @ f[live])

    def outwards(self, bound: float, from_plan: bool = True) -> float:
        """Return an upper bound moved by what rounding of its sums, and of the plan's marginals, can do to it."""
        moved = ROUNDING * self.h.n_marginals**2 * abs(bound)
        if from_plan:
            moved += self.slack + 2 * self.margin * max(abs(bound), self.dual(self.a, np.abs(self.f)))
        return bound + moved

    def value_lower(self) -> float:
        found = self.e.value - self.slack
        return found if found == found else -inf

    def corrected(self) -> tuple[float, float]:
        """Return upper bounds of OT_0 and OT_epsilon from the corrected plan; inf where it is not positive."""
        if not self.newton or not np.isfinite(self.e.marginals).all():
            return inf, inf
        system = _newton.system(self.h, self.run, self.f, self.e, self.a)
        assert isinstance(system, _newton.System)
        d, left = np.zeros_like(self.a), self.a - system.marginals
        for _ in range(2):  # what rounding and the damping of the first solution leave
            d += system.correction(left)
            left = self.a - system.marginals - system.matrix @ d
        # Where the plan falls apart, large constants cancel in d: what rounding leaves of them counts.
        low, high = _newton.extent(self.h, d)
        rounding = ROUNDING * self.h.n_marginals * float(np.abs(d).max())
        found, count = float(np.abs(left).sum()), len(self.h.sizes)
        off = found + max(self.margin, ROUNDING) * float((system.matrix @ np.abs(d)).sum())
        if not (low - rounding > -1 and found <= 1e-12 * count and off <= 1e-9 * count):
            return inf, inf
        off, high = 2 * self.size * off, max(high, 0.0) + rounding
        mass, linear = self.e.mass, self.e.value_linear
        upper = linear + high * (linear - self.least * mass) + self.least * (1 - mass)
        off_linear = off + (1 + high) * self.margin * (abs(linear) + abs(self.least) * mass)
        value_upper = self.dual(self.a, self.f + self.h.epsilon * d)
        off += ROUNDING * self.h.n_marginals * self.h.epsilon * self.dual(self.a, np.abs(d))
        return self.outwards(upper + off_linear), self.outwards(value_upper + off)

    def shrunk(self) -> Array:
        """Return potentials whose plan has marginals of at most those wanted."""
        with np.errstate(divide="ignore", invalid="ignore"):
            scale = np.where(self.a > 0, np.minimum(1.0, self.a / self.e.marginals), 1.0) * (1 - min(self.margin, 0.5))
        scale = np.where(np.isfinite(scale) & (scale > 0), scale, 1.0)
        return np.asarray(self.f + self.h.epsilon * np.log(scale))

    def scaled(self) -> tuple[float, float]:
        """Return upper bounds of OT_0 and OT_epsilon from mixtures of the scaled plan and couplings of the rest."""
        h, a = self.h, self.a
        f = self.shrunk()
        e = self.run.evaluate(f, False, False)
        rest = a - e.marginals
        usable = bool(np.isfinite(e.marginals).all() and np.isfinite(e.value_linear) and (rest >= 0).all())
        parts, wanted = self.split(rest), self.split(a)
        missing = float(parts[0].sum()) if usable else 1.0
        order = _coupling.orders(h)
        best, best_value = inf, inf
        mass = 1 - missing
        inner = (self.dual(e.marginals, f) - e.value_linear) / h.epsilon if usable else 0.0
        inner -= mass * np.log(mass) if mass > 0 else 0.0
        shares = sorted({min(1.0, missing * 10.0**k) for k in range(12)} | {0.0, 1.0}) if usable else [1.0]
        for share in shares:
            total = missing + share * mass
            if not total > 0:
                continue
            mixed = [(r + share * (w - r)) / total for r, w in zip(parts, wanted, strict=True)] if usable else wanted
            mixed = [v / v.sum() for v in mixed]
            found = [_coupling.along(h, order, mixed, shifted, wanted) for shifted in (True, False)]
            if share in (0.0, 1.0):
                found.append(_coupling.product(h, mixed, wanted))
            for c in found:
                if not np.isfinite(c.cost):
                    continue
                kept = (1 - share) * e.value_linear if share < 1 else 0.0
                cost = kept + total * c.cost
                entropy = total * c.entropy + ((1 - share) * inner if share < 1 else 0.0)
                best = min(best, self.outwards(cost, share < 1))
                best_value = min(best_value, self.outwards(cost + h.epsilon * entropy, share < 1))
        return best, best_value

    def upper(self, sharp: bool) -> tuple[float, float]:
        """Return upper bounds of OT_0 and OT_epsilon; `sharp`: of all plans, not of the first that gives any."""
        if self.parts is not None:
            each = [_Bounds(part, f, self.place).upper(sharp) for part, f in self.parts]
            sums = sum(float(u) for u, _ in each), sum(float(v) for _, v in each)
            return self.outwards(sums[0], False), self.outwards(sums[1], False)
        found = first = self.corrected()
        if sharp or not np.isfinite(found[1]):
            other = self.scaled()
            found = min(found[0], other[0]), min(found[1], other[1])
        if sharp and not np.isfinite(first[1]) and _repair.cheap(self.h):
            other = self.repaired()
            found = min(found[0], other[0]), min(found[1], other[1])
        if sharp and not np.isfinite(found[1]):
            found = self.polished(1.0)
        if sharp and not np.isfinite(found[1]):
            found = self.repaired()
        for factor in (10.0, 100.0) if sharp else ():
            if not np.isfinite(found[1]):
                found = self.polished(factor)
        return min(found), found[1]  # OT_0 <= OT_epsilon

    def polished(self, factor: float) -> tuple[float, float]:
        """Return upper bounds from the corrected plan of better potentials, of epsilon times a factor."""
        from .evaluate import Schedule, solve

        if not self.newton:
            return inf, inf
        part = self.h._replace(epsilon=factor * self.h.epsilon)  # OT_epsilon grows with epsilon
        schedule = Schedule(1e-9, 300, 10, annealing=() if factor == 1 else None)
        better = solve(self.place.problem(part), self.f, schedule)
        return _Bounds(part, better.potentials, self.place).corrected()

    def repaired(self) -> tuple[float, float]:
        """Return upper bounds from plans of finite cost that are searched for, of small problems."""
        h = self.h
        if not _repair.possible(h):
            return inf, inf
        if h.n_marginals == 2:
            plan = np.asarray(self.run.evaluate(self.shrunk(), False, True).plans[0])
            found = [_repair.flow(h, plan, self.a[: h.sizes[0]], self.a[-h.sizes[-1] :])]
        else:
            found = _repair.programs(h, self.split(self.shrunk()), self.split(self.a), 2 * self.size)
        upper = min((self.outwards(c.cost, False) for c in found), default=inf)
        return upper, min((self.outwards(c.cost + h.epsilon * c.entropy, False) for c in found), default=inf)


def entropic(q: Problem, potentials: Array) -> tuple[float, float]:
    """Return bounds of OT_epsilon."""
    h, place = host(q)
    with _where_arrays_are():
        bounds = _Bounds(h, potentials, place)
        return bounds.value_lower(), bounds.upper(sharp=False)[1]


def certify(q: Problem, potentials: Array, budget: int | None) -> Interval:
    """Return the intervals that potentials certify, searching for the least reduced cost within `budget` nodes."""
    h, place = host(q)
    with _where_arrays_are():
        return _certify(h, potentials, budget, place)


def _certify(h: Problem, potentials: Array, budget: int | None, place: Place) -> Interval:
    bounds = _Bounds(h, potentials, place)
    if h.n_marginals > 2:
        _backend.require_memory(OPERATION, 8 * sum(_size(h, p) * _size(h, r) for p, r in h.pairs))
    nodes = int(max(1000, WORK / max(h.sizes) ** 2)) if budget is None else budget
    found = bounds.run.minimum(potentials, nodes)
    if found.exact and found.best == inf:
        raise errors.InvalidValue(f"[{OPERATION}] cost: expected a tuple of points of finite cost, got none")
    lower = bounds.dual(bounds.a, potentials) + found.value
    lower -= bounds.slack + ROUNDING * h.n_marginals**2 * abs(found.value)
    lower = lower if lower == lower else -inf
    if not found.exact:
        lower = max(lower, _from_fewer(h, potentials, place))
    upper, value_upper = bounds.upper(sharp=True)
    value_lower = max(bounds.value_lower(), lower)
    return Interval(lower, upper, value_lower, value_upper, found.exact and upper < inf)


def _from_fewer(h: Problem, potentials: Array, place: Place) -> float:
    """Return the bound OT_N >= N (N - 1) / (k (k - 1)) OT_k of equal marginals, the better of k = 2 and 3.

    A plan of N has marginals of k, and its cost is what they pay, times the number of pairs over that of theirs.
    """
    from .evaluate import Schedule, solve

    best = -inf
    pairs = h.n_marginals * (h.n_marginals - 1)
    for k in (2, 3) if h.symmetric else ():
        if k < h.n_marginals and (k == 2 or h.sizes[0] <= SMALL):
            part = h._replace(n_marginals=k)
            start = potentials * ((k - 1) / (h.n_marginals - 1))
            found = solve(place.problem(part), start, Schedule(1e-4, 1000, 10))
            best = max(best, _certify(part, found.potentials, None, place).lower * pairs / (k * (k - 1)))
    return best


def _size(h: Problem, p: int) -> int:
    return h.sizes[0 if h.symmetric else p]


def _where_arrays_are() -> AbstractContextManager[None]:
    """Work on the host and on the device of the arrays, also where the caller asked for CUDA."""
    now = _backend.settings()
    return _backend.restored(now._replace(backend="auto" if now.backend == "cuda" else now.backend))
