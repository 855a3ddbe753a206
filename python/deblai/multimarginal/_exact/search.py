"""The search of genetic column generation."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from ... import errors
from ...reference.columns import tuple_costs
from ...results import SparseResult
from . import line as _line
from .columns import Least, Pricer
from .host import ROUNDING, Host
from .master import Infeasible, Master, Solved, polished
from .seidl import prove

OPERATION = "multimarginal.genetic"
REPORT_EVERY = 0.1  # seconds
Array = np.ndarray[Any, Any]


class GeneticState(NamedTuple):
    """What the callback of `genetic` sees: programs solved, value and columns of the last, a lower bound or NaN."""

    iteration: int
    value: float
    columns: int
    lower: float


@dataclass
class Settings:
    """Arguments of `genetic` that the search looks at."""

    beta: float
    tol: float
    max_iter: int
    restarts: int
    certify: bool
    budget: int


@dataclass
class Search:
    """Columns of sites with mass, in units of the cost that make the value about 1."""

    h: Host
    settings: Settings
    rng: np.random.Generator
    callback: Callable[[GeneticState], bool | None] | None
    history: list[tuple[float, int]] = field(default_factory=list)
    converged: bool = False
    stopped: bool = False

    def __post_init__(self) -> None:
        self.count = self.h.n_marginals
        self.sites = np.flatnonzero(self.h.weights[0] > 0)
        self.weights = self.h.weights[0][self.sites]
        self.costs = np.ascontiguousarray(self.h.costs[0, 1][np.ix_(self.sites, self.sites)])
        self.heavy = bool((self.weights * self.count > 1 + self.h.tolerance).any())
        x = self.h.points[0]
        self.points = None if x is None else x[self.sites]
        self.proof = None
        if x is not None and x.shape[1] == 1 and self.h.q.cost.convex_decreasing and self.settings.certify:
            self.proof = prove(OPERATION, x[:, 0], self.h.weights[0], self.count, self.h.q.cost, self.h.tolerance)
        self.pricer = Pricer(OPERATION, self.h.q, self.costs)
        self.master = Master(OPERATION, self.count * self.weights)
        self.tuples = np.empty((0, self.count), np.int32)
        self.prices = np.empty(0)  # costs of the tuples
        self.known: set[bytes] = set()
        self.artificial = 0
        self.best: Solved | None = None
        self.carried = (np.empty((0, self.count), np.int32), np.empty(0), np.empty(0))
        self.seen: tuple[int, Least | None] = (0, None)  # the last branch and bound, and after which program it was
        self.last_report = time.monotonic()

    # Columns

    def add(self, tuples: Array, most: int | None = None) -> int:
        """Add tuples that are new and of finite cost, the first `most`; return how many."""
        tuples = np.sort(tuples, axis=1).astype(np.int32)
        fresh: dict[bytes, int] = {}
        for k, row in enumerate(tuples):
            key = row.tobytes()
            if key not in self.known:
                fresh.setdefault(key, k)
                if len(fresh) == most:
                    break
        tuples = tuples[list(fresh.values())]
        costs = tuple_costs(self.costs, tuples)
        finite = np.isfinite(costs)
        tuples, costs = tuples[finite], costs[finite]
        if len(tuples):
            self.clear()  # before, so that none of these goes at once
            self.insert(tuples, costs)
        return len(tuples)

    def insert(self, tuples: Array, costs: Array) -> None:
        """Put new sorted tuples of finite cost into the program."""
        self.known.update(row.tobytes() for row in tuples)
        self.master.add(tuples, costs / self.unit)
        self.tuples, self.prices = np.concatenate([self.tuples, tuples]), np.concatenate([self.prices, costs])

    def clear(self) -> None:
        """Delete the oldest inactive columns where there are more than beta n."""
        spare = self.master.n_columns - int(self.settings.beta * len(self.sites))
        if spare <= 0 or self.best is None:
            return
        old = self.master.inactive()
        old = old[old >= self.artificial][:spare]
        self.master.delete(old)
        gone = old - self.artificial
        self.known.difference_update(row.tobytes() for row in self.tuples[gone])
        self.tuples, self.prices = np.delete(self.tuples, gone, axis=0), np.delete(self.prices, gone)

    # The start

    def passing(self, order: Array) -> Array:
        """Return a plan of N different points: those with the fractions u, u + 1/N, ... of the mass before them."""
        steps = _line.steps(self.weights[order], self.count, self.h.tolerance)
        return np.asarray(order[_line.tuples(steps, self.weights[order], self.count)[0]])

    def start(self, init: Any) -> None:
        """Put columns into the master that meet the marginals; artificial ones where finite tuples cannot."""
        n = len(self.sites)
        first = []
        if isinstance(init, str) and init in ("auto", "random"):
            word = init
        elif isinstance(init, str) or init is None:
            raise errors.InvalidValue(f"[{OPERATION}] init: expected 'auto', 'random' or tuples (k, N), got {init!r}")
        else:
            first.append(self.given(init))
            word = "auto"
        if self.heavy:
            first.append(np.repeat(np.arange(n)[:, None], self.count, axis=1))  # a heavy point sits with itself
        elif word == "random":
            first.append(self.passing(self.rng.permutation(n)))
        elif self.points is None:
            first.append(self.passing(np.arange(n)))
        else:
            first += [self.passing(np.argsort(axis, kind="stable")) for axis in self.points.T[:8]]
        tuples = np.concatenate(first)
        costs = tuple_costs(self.costs, tuples)
        finite = np.isfinite(costs)
        if not finite.all():
            tuples = np.concatenate([tuples[finite], self.grown()])
            costs = tuple_costs(self.costs, tuples)
        typical = float(np.abs(costs).mean()) if len(costs) else 1.0
        self.unit = 2.0 ** np.round(np.log2(typical)) if typical > 0 else 1.0
        if not finite.all():
            self.artificial = n
            dear = 1e3 * self.count * max(float(np.abs(costs).max()) if len(costs) else 1.0, self.unit) / self.unit
            self.master.add(np.arange(n)[:, None], np.full(n, dear))
        if not len(tuples):
            self.nothing()
        self.add(tuples)
        self.first = self.tuples

    def given(self, init: Any) -> Array:
        """Check tuples of the caller, and number them by sites with mass."""
        tuples = np.asarray(getattr(init, "tuples", init))
        n = self.h.q.sizes[0]
        if tuples.ndim != 2 or tuples.shape[1] != self.count or tuples.dtype.kind not in "iu":
            raise errors.InvalidValue(
                f"[{OPERATION}] init: expected integer tuples (k, {self.count}), got shape {tuples.shape}"
            )
        if tuples.size and not (tuples.min() >= 0 and tuples.max() < n):
            raise errors.InvalidValue(f"[{OPERATION}] init: expected indices from 0 to {n - 1}")
        place = np.full(n, -1)
        place[self.sites] = np.arange(len(self.sites))
        tuples = place[tuples]
        return np.asarray(tuples[(tuples >= 0).all(1)])

    def grown(self) -> Array:
        """Return a tuple of finite cost from each site, grown greedily, where that finds one."""
        found = []
        for site in range(len(self.sites)):
            tuple_, held = [site], self.costs[site].copy()
            while len(tuple_) < self.count and np.isfinite(held.min()):
                tuple_.append(int(held.argmin()))
                held += self.costs[tuple_[-1]]
            if len(tuple_) == self.count:
                found.append(tuple_)
        return np.array(found, np.int64).reshape(-1, self.count)

    def nothing(self) -> None:
        raise errors.InvalidValue(
            f"[{OPERATION}] cost: found no plan of finite cost: infinite entries leave too few tuples for these weights"
        )

    # The search

    def solve(self) -> None:
        """Solve the linear program, tell of it, see whether to stop."""
        try:
            best = self.master.solve()
        except Infeasible:  # by rounding, of columns that met the equations to HiGHS' tolerance: the start meets them
            gone = self.first[[row.tobytes() not in self.known for row in self.first]]
            self.insert(gone, tuple_costs(self.costs, gone))
            best = self.master.solve()
        kept = np.flatnonzero(best.masses[self.artificial :] > 1e-14)
        self.carried = (self.tuples[kept], best.masses[self.artificial :][kept], self.prices[kept])
        self.best = best
        value = float(best.value * self.unit)
        self.history.append((value, self.master.n_columns))
        now = time.monotonic()
        if self.callback is not None and now - self.last_report >= REPORT_EVERY:
            self.last_report = now
            lower = self.proof.lower if self.proof is not None else float("nan")
            state = GeneticState(len(self.history), value, self.master.n_columns, lower)
            self.stopped = self.callback(state) is True

    @property
    def potential(self) -> Array:
        """Row duals, in the cost's own units."""
        assert self.best is not None
        return self.best.duals * self.unit

    def run(self) -> None:
        """Add columns that price out until there are none."""
        failed = 0
        while True:
            self.solve()
            value = self.history[-1][0]
            self.bar = self.settings.tol * max(abs(value), self.settings.tol * self.unit)
            if self.proof is not None and value <= self.proof.value + self.bar and not self.artificial_mass():
                self.converged = True
                return
            if self.stopped or len(self.history) == self.settings.max_iter:
                break
            if self.moves() or self.pairs():
                continue
            while failed < self.settings.restarts:
                if self.ascents():
                    break
                failed += 1
            else:
                if not (self.settings.certify and self.proof is None and self.branch()):
                    self.converged = True
                    break
            failed = 0
        if self.artificial_mass() and self.converged:
            self.nothing()

    def artificial_mass(self) -> float:
        """Return what artificial columns still carry, 0 to rounding."""
        assert self.best is not None
        mass = float(self.best.masses[: self.artificial].sum())
        return mass if mass > 1e-9 else 0.0

    def priced(self, tuples: Array, costs: Array) -> Array:
        return np.asarray(self.potential[tuples].sum(1) - costs)

    def accept(self, children: Array, prices: Array) -> bool:
        """Add the best new columns that price out, n at most."""
        good = np.flatnonzero(prices > self.bar)
        good = good[np.argsort(-prices[good], kind="stable")]
        return len(good) > 0 and self.add(children[good], len(self.sites)) > 0

    def moves(self) -> bool:
        """Look at the moves of one particle of the active columns, then of all."""
        assert self.best is not None
        active = self.best.masses[self.artificial :] > 1e-12
        for chosen in (active, ~active):
            parents, costs = self.tuples[chosen], self.prices[chosen]
            if not len(parents):
                continue
            gain, to = self.pricer.moves(self.potential, parents)
            prices = self.priced(parents, costs)[:, None] + gain
            j, k = np.nonzero(prices > self.bar)
            children = parents[j].copy()
            children[np.arange(len(j)), k] = to[j, k]
            if self.accept(children, prices[j, k]):
                return True
        return False

    def pairs(self) -> bool:
        """Look at the moves of two particles of the active columns."""
        assert self.best is not None
        active = self.best.masses[self.artificial :] > 1e-12
        _, _, children = self.pricer.pairs(self.potential, self.tuples[active])
        return self.accept(children, self.priced(children, tuple_costs(self.costs, children)))

    def ascents(self) -> bool:
        """Let random tuples climb in price, by one particle as long as that goes, then by two."""
        n = len(self.sites)
        if self.heavy:
            tuples = self.rng.choice(n, (n, self.count), p=self.weights).astype(np.int32)
        else:
            tuples = self.passing(self.rng.permutation(n)).astype(np.int32)
        tuples = tuples[np.isfinite(tuple_costs(self.costs, tuples))]
        climbing = np.arange(len(tuples))
        while len(climbing):
            below = climbing
            while len(below):
                gain, to = self.pricer.moves(self.potential, tuples[below])
                k = gain.argmax(1)
                up = gain[np.arange(len(below)), k] > self.bar
                below, k, to = below[up], k[up], to[up]
                tuples[below, k] = to[np.arange(len(below)), k]
            at, gain, children = self.pricer.pairs(self.potential, tuples[climbing])
            up = gain > self.bar
            climbing = climbing[at[up]]
            tuples[climbing] = children[up]
        return self.accept(tuples, self.priced(tuples, tuple_costs(self.costs, tuples)))

    def branch(self) -> bool:
        """Look at all tuples, as far as the budget goes."""
        if not self.settings.budget:
            return False
        found = self.pricer.least(self.potential, self.count, -self.bar, self.settings.budget)
        self.seen = (len(self.history), found)
        return self.accept(found.tuples, self.priced(found.tuples, tuple_costs(self.costs, found.tuples)))

    # The end

    def result(self, certify: bool) -> SparseResult:
        """Return the last linear program's plan, with a lower bound where wanted."""
        assert self.best is not None
        q, n = self.h.q, self.h.q.sizes[0]
        tuples, masses, costs = self.carried
        if len(masses) and not self.artificial_mass():
            masses = polished(tuples, masses, self.count * self.weights, 1e-13)
        masses = masses / masses.sum() if len(masses) else masses
        marginal = np.bincount(tuples.ravel(), np.repeat(masses / self.count, self.count), len(self.sites))
        error = float(np.abs(marginal - self.weights).sum())
        value = float(masses @ costs)
        f, lower, certified = self.bound() if certify else (self.spread(self.potential), -np.inf, False)
        largest = float(np.abs(self.potential).max())
        upper = value + self.count * largest * error + ROUNDING * self.count * abs(value)
        if self.artificial_mass():
            value = upper = np.inf
        (scalar,) = q.library.scalars([value], q.like)
        return SparseResult(
            value=scalar,
            potentials=q.library.export(f, q.like),
            tuples=q.library.device_array(self.sites[tuples].astype(np.int64), q.like),
            masses=q.library.export(masses, q.like),
            lower=min(lower, upper),
            upper=upper,
            certified=certified,
            converged=self.converged,
            marginal_error=error,
            n_marginals=self.count,
            n_iter=len(self.history),
            history=np.array(self.history, np.float64).reshape(-1, 2),
            backend=self.pricer.plan.label,
            _sizes=(n,),
            _like=q.like,
        )

    def spread(self, f: Array) -> Array:
        """Return a potential on all points: where there is no mass, so low that no tuple there is below sum f."""
        full = np.empty(self.h.q.sizes[0])
        pairs = self.count * (self.count - 1) / 2
        full[:] = min(pairs * float(self.h.costs[0, 1].min()) - (self.count - 1) * float(f.max()), float(f.min()))
        full[self.sites] = f
        return full

    def bound(self) -> tuple[Array, float, bool]:
        """Return a potential with sum f <= c, or the last one, a lower bound, and whether all tuples were seen."""
        if self.proof is not None:
            return self.proof.potentials, self.proof.lower, True
        f = self.potential
        at, found = self.seen
        if found is None or at != len(self.history):
            found = self.pricer.least(f, self.count, -self.bar, self.settings.budget)
        rounding = ROUNDING * self.count**2 * float(np.abs(f).max())
        f = f + (found.lower - rounding) / self.count if np.isfinite(found.lower) else f
        lower = float(self.count * (self.weights @ f)) if np.isfinite(found.lower) else -np.inf
        if found.exact:
            return self.spread(f), lower, True
        return self.spread(f), max(lower, self.fewer()), False

    def fewer(self) -> float:
        """Return the bound from fewer marginals: each k of N particles cost at least OT_k."""
        n = len(self.sites)
        for k, nodes in ((4, n * n), (3, n), (2, 1)):
            if k >= self.count or 2 * nodes > self.settings.budget:
                continue
            h = self.h._replace(n_marginals=k)
            settings = Settings(self.settings.beta, self.settings.tol, 10_000, 0, True, self.settings.budget)
            search = Search(h, settings, self.rng, None)
            search.start("auto")
            search.run()
            _, lower, certified = search.bound()
            if certified:
                return self.count * (self.count - 1) / (k * (k - 1)) * lower
        return -np.inf
