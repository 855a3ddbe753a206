"""The multi-marginal linear program, exactly."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ... import _validate, errors
from ...results import SparseResult
from .._entropic.evaluate import potentials_of
from . import line as _line
from . import listing as _listing
from .host import ROUNDING, Host, checked, require_light_points
from .master import Master, Solved, polished

OPERATION = "multimarginal.linear_program"
REPORT_EVERY = 0.1  # seconds
TOLERANCE = 1e-10  # of the value: reduced costs that count as 0
Array = np.ndarray[Any, Any]


class ProgramState(NamedTuple):
    """What the callback of `linear_program` sees: programs so far, value, columns and lower bound of the last."""

    iteration: int
    value: float
    columns: int
    lower: float


def linear_program(
    points: Any = None,
    weights: Any = None,
    *,
    n_marginals: int | None = None,
    cost: Any = "coulomb",
    graph: Any = None,
    max_columns: int = 2_000_000,
    callback: Callable[[ProgramState], bool | None] | None = None,
) -> SparseResult:
    r"""Optimal transport of N marginals without regularisation: the linear program over all tuples of finite cost.

    .. math::
        \min_{\pi \ge 0} \langle c, \pi \rangle \quad \text{with marginals } \mu_1, \dots, \mu_N,
        \qquad c(x_1, \dots, x_N) = \sum_{p<q} c_{pq}(x_p, x_q)

    by the simplex method of HiGHS [1]_. The tuples are listed, but the program holds a few of them: it is solved, all
    are priced by its potentials, and those that would lower its value join it, until none would.

    Parameters
    ----------
    points : array (n, d) or (n,), or list of arrays, optional
        One array with `n_marginals` for equal marginals; a list with one array a marginal otherwise. Omitted where
        `cost` is given as matrices.
    weights : array (n,), or list of arrays or None, optional
        Nonnegative weights of any positive sum: they are divided by it. Equal weights by default.
    n_marginals : int, optional
        The number N >= 2 of equal marginals.
    cost : str, cost of `deblai.costs`, matrix, or dict, default "coulomb"
        As for `sinkhorn`: a name, an object, one matrix (n, n) for all pairs, or ``{(p, q): matrix (n_p, n_q)}``.
        Infinite entries forbid a pair.
    graph : {"complete", "chain", "ring", "star"} or list of (int, int), optional
        The pairs that cost anything. All by default, or those that a dict of matrices has.
    max_columns : int, default 2000000
        Most tuples of finite cost that are listed: n^N, or for equal marginals on the complete graph, where order does
        not matter, C(n + N - 1, N). They take 4 N + 24 bytes each, twice that while they are listed.
    callback : callable, optional
        Called with a state (`iteration`, `value`, `columns`, `lower`) about ten times a second; True stops.

    Returns
    -------
    SparseResult
        `value`, `potentials`, `tuples`, `masses`, `lower`, `upper`, `certified`, `pair_marginal(p, q)`, `plan()`,
        `sample(k, rng)`. Always certified, but for what an interrupt or the callback cuts short. Equal marginals
        on a graph that is not complete have a potential each. Not differentiable.

    Raises
    ------
    InvalidValue
        Shapes that do not fit, NaN, negative weights, a bad graph; no plan of finite cost: a point with more than 1/N
        of the mass where its cost with itself is infinite, or marginals that tuples of finite cost cannot have.
    InvalidType
        Mixed libraries, devices or dtypes; anything but float32 and float64.
    OutOfMemory
        More than `max_columns` tuples.
    MissingExtra
        HiGHS is not installed: ``pip install 'deblai[exact]'``.
    Interrupted
        Ctrl-C; ``.result`` is the best plan so far, None before there is one.

    Notes
    -----
    `lower` is sum_p <mu_p, f_p> + min(c - sum f) over the whole list, less a bound of the rounding of these sums.
    `upper` is <c, plan> and N max|f| `marginal_error`, which is what HiGHS leaves of the equations: mostly rounding.

    References
    ----------
    .. [1] Q. Huangfu, J. A. J. Hall, "Parallelizing the dual revised simplex method", Math. Program. Comput. 10, 2018.

    Examples
    --------
    Three electrons on seven points, 473/60:

    >>> import numpy as np, deblai
    >>> r = deblai.multimarginal.linear_program((np.arange(7) + 0.5) / 7, n_marginals=3)
    >>> round(60 * float(r.value), 9), r.certified
    (473.0, True)

    A chain of three different marginals, attracted to each other:

    >>> x, y, z = np.linspace(0, 1, 5), np.linspace(0, 2, 4), np.linspace(1, 3, 6)
    >>> r = deblai.multimarginal.linear_program([x, y, z], cost="sqeuclidean", graph="chain")
    >>> r.pair_marginal(0, 2).shape
    (5, 6)
    """
    most = _validate.positive_integer(OPERATION, "max_columns", max_columns)
    if not (callback is None or callable(callback)):
        raise errors.InvalidType(f"[{OPERATION}] callback: expected a function of a ProgramState, got {callback!r}")
    h = checked(OPERATION, points, weights, n_marginals, cost, graph)
    require_light_points(OPERATION, h)
    program: _Program | None = None
    try:
        tuples, costs = _listing.listed(OPERATION, h.costs, h.q.sizes, h.n_marginals, most)
        program = _Program(h, tuples, costs, callback)
        program.run()
        return program.result()
    except KeyboardInterrupt:
        if program is None:
            raise errors.Interrupted(f"[{OPERATION}] interrupted while tuples were listed") from None
        raise errors.Interrupted(
            f"[{OPERATION}] interrupted after {len(program.history)} linear programs",
            program.result() if program.solved is not None and not program.artificial_mass() else None,
        ) from None


class _Program:
    """All tuples, and a program over some of them."""

    def __init__(
        self, h: Host, tuples: Array, costs: Array, callback: Callable[[ProgramState], bool | None] | None
    ) -> None:
        self.h, self.tuples, self.costs, self.callback = h, tuples, costs, callback
        self.offsets = np.concatenate([[0], np.cumsum(h.q.sizes)[:-1]])
        share = h.n_marginals if h.symmetric else 1
        self.rhs = np.concatenate([share * w for w in h.weights])
        self.master = Master(OPERATION, self.rhs)
        self.history: list[tuple[float, int]] = []
        self.solved: Solved | None = None
        self.lower = -np.inf
        self.potential = np.zeros(len(self.rhs))
        self.converged = self.stopped = False
        self.chosen = np.empty(0, np.int64)
        self.artificial = len(self.rhs)
        self.last_report = time.monotonic()

    def rows(self, chosen: Array) -> Array:
        """Return the equations that tuples are in."""
        return np.asarray(self.tuples[chosen] + (0 if self.h.symmetric else self.offsets.astype(np.int32)))

    def run(self) -> None:
        """Solve; first with dear artificial columns, and if they stay, to find out whether they can be spared."""
        if not len(self.costs):
            raise errors.InvalidValue(f"[{OPERATION}] cost: expected tuples of finite cost, got none")
        scale = float(np.abs(self.costs).min()) if len(self.costs) else 1.0
        typical = max(float(np.median(np.abs(self.costs))), scale)
        self.unit = 2.0 ** np.round(np.log2(typical)) if typical > 0 else 1.0
        every = np.arange(self.artificial)
        self.master.add(every[:, None], np.full(self.artificial, 8.0))
        self.start()
        self.improve(self.costs)
        if self.artificial_mass() and not self.stopped:
            self.master.price(np.concatenate([np.ones(self.artificial), np.zeros(len(self.chosen))]))
            self.improve(np.zeros(len(self.costs)))
            if self.artificial_mass() and not self.stopped:
                raise errors.InvalidValue(f"[{OPERATION}] {self.why()}")
            self.master.close(self.artificial)
            self.master.price(np.concatenate([np.zeros(self.artificial), self.costs[self.chosen] / self.unit]))
            self.improve(self.costs)
        self.converged = not self.stopped

    def start(self) -> None:
        """Add the tuples of a plan that passes through the points in order, as far as their cost is finite."""
        h, sizes = self.h, self.h.q.sizes * (self.h.n_marginals if self.h.symmetric else 1)
        if float(np.prod(np.array(sizes, float))) > 2.0**62:
            return
        if h.symmetric and (h.weights[0] * h.n_marginals <= 1 + h.tolerance).all():
            plan = _line.tuples(_line.steps(h.weights[0], h.n_marginals, h.tolerance), h.weights[0], h.n_marginals)[0]
        else:
            below = [np.cumsum(w) for w in h.weights] * (h.n_marginals if h.symmetric else 1)
            ends = np.unique(np.concatenate([[0.0], *below]))
            middle = (ends[1:] + ends[:-1]) / 2
            plan = np.stack([np.minimum(np.searchsorted(b, middle), len(b) - 1) for b in below], axis=1)
        keys, wanted = (np.ravel_multi_index(tuple(t.T), sizes) for t in (self.tuples, plan))
        at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
        self.chosen = np.unique(at[keys[at] == wanted])
        if len(self.chosen):
            self.master.add(self.rows(self.chosen), self.costs[self.chosen] / self.unit)

    def improve(self, costs: Array) -> None:
        """Solve and add tuples until none would lower the value."""
        real = costs is self.costs
        batch = 2 * len(self.rhs)
        while not self.stopped:
            self.solved = self.master.solve()
            value, f = self.solved.value * self.unit, self.solved.duals * self.unit
            reduced = self.reduced(costs, f)
            least = float(reduced.min())
            self.potential = f
            self.lower = float(self.rhs @ f) + least if real else -np.inf
            self.history.append((value if real and not self.artificial_mass() else np.inf, self.master.n_columns))
            self.tell(value)
            bar = TOLERANCE * max(abs(value), TOLERANCE * self.unit)
            good = np.flatnonzero(reduced < -bar)
            if len(good) > batch:
                good = good[np.argpartition(reduced[good], batch)[:batch]]
            good = np.setdiff1d(good, self.chosen)
            if not len(good):
                return
            self.master.add(self.rows(good), costs[good] / self.unit)
            self.chosen = np.concatenate([self.chosen, good])

    def reduced(self, costs: Array, f: Array) -> Array:
        """Return c - sum f of all tuples."""
        left: Array = costs.copy()
        for p in range(self.h.n_marginals):
            left -= f[self.tuples[:, p] + (0 if self.h.symmetric else self.offsets[p])]
        return left

    def tell(self, value: float) -> None:
        now = time.monotonic()
        if self.callback is not None and now - self.last_report >= REPORT_EVERY:
            self.last_report = now
            state = ProgramState(len(self.history), value, self.master.n_columns, self.lower)
            self.stopped = self.callback(state) is True

    def artificial_mass(self) -> float:
        """Return what artificial columns still carry, 0 to rounding."""
        assert self.solved is not None
        mass = float(self.solved.masses[: self.artificial].sum())
        return mass if mass > 1e-9 else 0.0

    def why(self) -> str:
        """Say why no plan has a finite cost."""
        for p, w in enumerate(self.h.weights):
            met = np.zeros(len(w), bool)
            met[self.tuples.ravel() if self.h.symmetric else self.tuples[:, p]] = True
            alone = np.flatnonzero((w > 0) & ~met)
            if len(alone):
                name = "weights" if self.h.symmetric else f"weights[{p}]"
                return f"{name}: expected no mass at point {alone[0]}, which is in no tuple of finite cost"
        return "cost: infinite entries leave too few tuples: no plan of finite cost has these marginals"

    def result(self) -> SparseResult:
        """Return the plan of the last program and the bounds that its potentials prove."""
        assert self.solved is not None
        h, q = self.h, self.h.q
        carried = self.solved.masses[self.artificial :]
        kept = np.flatnonzero(carried > 1e-14)
        chosen, masses = self.chosen[kept], carried[kept]
        if len(kept) and not self.artificial_mass():
            masses = polished(self.rows(chosen), masses, self.rhs, 1e-13)
        masses = masses / masses.sum() if len(kept) else masses
        value = float(masses @ self.costs[chosen]) if not self.artificial_mass() else np.inf
        error = 0.0
        for p, w in enumerate(h.weights):
            at = self.tuples[chosen].ravel() if h.symmetric else self.tuples[chosen, p]
            spread = np.repeat(masses / h.n_marginals, h.n_marginals) if h.symmetric else masses
            error = max(error, float(np.abs(np.bincount(at, spread, len(w)) - w).sum()))
        largest = float(np.abs(self.potential).max())
        rounding = ROUNDING * h.n_marginals**2 * largest
        lower = self.lower - rounding
        f = self.potential.copy()
        if np.isfinite(lower):
            f += (lower - float(self.rhs @ f)) / h.n_marginals
        parts = [q.library.export(v, q.like) for v in potentials_of(q, f)]
        (scalar,) = q.library.scalars([value], q.like)
        upper = value + h.n_marginals * largest * error + ROUNDING * h.n_marginals * abs(value)
        return SparseResult(
            value=scalar,
            potentials=parts[0] if h.symmetric else parts,
            tuples=q.library.device_array(self.tuples[chosen].astype(np.int64), q.like),
            masses=q.library.export(masses, q.like),
            lower=min(lower, upper),
            upper=upper,
            certified=bool(np.isfinite(lower)),
            converged=self.converged,
            marginal_error=error,
            n_marginals=h.n_marginals,
            n_iter=len(self.history),
            history=np.array(self.history, np.float64).reshape(-1, 2),
            backend="highs",
            _sizes=tuple(q.sizes),
            _like=q.like,
        )
