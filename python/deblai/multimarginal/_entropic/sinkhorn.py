"""Entropic transport of many marginals."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from math import comb, inf, log
from typing import Any, NamedTuple

import numpy as np

from ... import _validate, errors
from ..._array import TORCH, TRACED
from ...results import MultimarginalResult
from .._plans.reading import Reading
from .._problem import Problem, is_batch, problem
from .._runners import OPERATION, runner
from .certify import certify as intervals
from .evaluate import Array, Outcome, Schedule, Stopped, potentials_of, solve
from .newton import LIMIT
from .newton import possible as newton_possible
from .path import Seen, Watch

NAMES = ("points", "weights", "cost")


TERMS = 1e15  # of a sweep: some hours on two cores

METHODS = ("auto", "sinkhorn", "newton")


class SinkhornState(NamedTuple):
    """What the callback of `sinkhorn` sees: steps done, marginal error and dual value of the last, potentials.

    `epsilon` is that of the rung that annealing is on; `gap` the last certified one, NaN before.
    """

    step: int
    marginal_error: float
    value: float
    potentials: Any
    epsilon: float
    gap: float


def sinkhorn(
    points: Any = None,
    weights: Any = None,
    *,
    n_marginals: int | None = None,
    cost: Any = "coulomb",
    graph: Any = None,
    epsilon: float,
    tol: float | None = None,
    max_iter: int = 10_000,
    memory: int = 10,
    method: str = "auto",
    annealing: Any = "auto",
    gap: float | None = None,
    certify: bool = False,
    budget: int | None = None,
    init: Any = None,
    grad: Any = (),
    callback: Callable[[Any], bool | None] | None = None,
) -> MultimarginalResult:
    r"""Entropic optimal transport of N marginals with a cost summed over pairs, in the log domain.

    .. math::
        \min_\pi \langle c, \pi \rangle + \varepsilon \,\mathrm{KL}(\pi \,|\, \mu_1 \otimes \dots \otimes \mu_N),
        \qquad c(x_1, \dots, x_N) = \sum_{(p, q) \in \mathrm{graph}} c_{pq}(x_p, x_q)

    by Sinkhorn's algorithm [1]_ with Anderson acceleration [2]_ and, for systems of at most 3000 potentials, Newton's
    steps on the dual, from large epsilon down to the one wanted. The :math:`n^N` plan is never stored: memory is
    O(N^2 n^2) where all pairs have a cost, O(N n^w) on a graph of treewidth w, and O(N n) on trees and for two
    marginals given as points and ``method="sinkhorn"``.

    Parameters
    ----------
    points : array (n, d) or (n,), or list of arrays, optional
        One array with `n_marginals` for equal marginals (symmetric mode: one potential); a list with one array a
        marginal otherwise. Omitted where `cost` is given as matrices. An array (B, n, d) is a batch of B problems, as
        are weights (B, n) and matrices (B, n, n); what lacks the axis is shared by all. They are solved side by side,
        each with its own stop and to the bit as alone; `sinkhorn_batch` takes problems of different sizes.
    weights : array (n,), or list of arrays or None, optional
        Nonnegative weights of any positive sum: they are divided by it. Equal weights by default.
    n_marginals : int, optional
        The number N >= 2 of equal marginals.
    cost : str, cost of `deblai.costs`, matrix, or dict, default "coulomb"
        "coulomb" (1/r), "log" (-log r), "euclidean" (r), "sqeuclidean" (r^2), "repulsive-harmonic" (-r^2),
        `costs.Riesz`, `Yukawa`, `SoftCoulomb`, `Harmonic`, `Power`; one matrix (n, n) for all pairs (symmetric where
        marginals are equal); or ``{(p, q): matrix (n_p, n_q)}`` for the pairs p < q that have a cost. Infinite entries
        forbid a pair. The cost is not halved.
    graph : {"complete", "chain", "ring", "star"} or list of (p, q), optional
        Which pairs have a cost: all; 0-1-...-(N-1); that and (0, N-1); 0 with each other; or the given ones, connected
        or not. By default the keys of `cost` where it is a dict, else all. One array of points (or one matrix, which
        then need not be symmetric) with `n_marginals` on a graph without some pairs stands for N equal marginals,
        whose N potentials differ; on one with all pairs it is symmetric mode.
    epsilon : float
        The entropic weight, in the cost's units.
    tol : float, optional
        Bound of the marginal error (L1, the largest of all marginals) at which to stop; 1e-6 for float64, 1e-4 for
        float32.
    max_iter : int, default 10000
        Most sweeps over all potentials and Newton steps together; 0 evaluates `init` as it is.
    memory : int, default 10
        How many past sweeps the Anderson acceleration combines; 0 for plain sweeps. A leap that lowers the dual
        value is taken back.
    method : {"auto", "sinkhorn", "newton"}, default "auto"
        "sinkhorn" only sweeps. "auto" also takes Newton's steps where the sweeps are slow, up to 3000 potentials
        (symmetric mode has n, else it is the sum of all sizes), for whose linear system some 200 MB are needed;
        "newton" does the same, or says that it cannot. On a graph the 3000 are those of a block: of an edge, on a tree
        (see Notes).
    annealing : "auto", bool or decreasing sequence of float, default "auto"
        Values of epsilon to pass through before the one wanted. True: halved from a fifth to a tenth of the cost's
        spread on, where epsilon is below that; "auto" is True without `init` and False with it. A run of at most 50
        steps does not anneal.
    gap : float, optional
        Stop when the certified interval of the entropic optimum, `value_upper` - `value_lower`, is at most this wide
        (in the cost's units); `tol` then has to hold only if it is given as well.
    certify : bool, default False
        Certify intervals at the end: see ``MultimarginalResult.certify``.
    budget : int, optional
        Of `certify`: most nodes of the search for the least reduced cost; by default some seconds' worth.
    init : array or list of arrays, optional
        Potentials to start from, as in a result; zeros by default.
    grad : str or sequence of str or bool, default ()
        Gradients of `value` to return in ``result.grad``: any of "points", "weights", "cost" (the matrices), shaped
        like the argument; True for all that were given. Those in weights are of the normalised weights.
    callback : callable, optional
        Called with a state (`step`, `marginal_error`, `value`, `potentials`, `epsilon`, `gap`; of a batch `done`,
        `total`) about ten times a second; True stops. `epsilon` is larger than the one wanted while annealing, and
        error and value are of that; `gap` is the last certified one where it was asked for, else NaN.

    Returns
    -------
    MultimarginalResult, or MultimarginalBatch of a batch
        `value`, `value_linear`, `potentials`, `marginal_error`, `converged`, `n_iter`, `history`, `grad`, `backend`,
        `entropy`; `lower`, `upper`, `value_lower`, `value_upper`, `certified`, `certify()`; without building the plan:
        `pair_marginal(p, q)`, `marginal(p, q, r, ...)`, `sample(k)`, `expectation(f)`, `conditional(p, q)`,
        `conditional_map(p, q)`, `mass_at(tuples)`; `plan()` builds it.
        For PyTorch, `value` and `potentials` are differentiable once in points, weights and matrices. Inside jit, grad
        and vmap of JAX they are likewise; there `history` is None, plans and certificates cannot be asked for,
        `callback` is not allowed, and no warning is given: look at `converged`.

    Warns
    -----
    ConvergenceWarning
        `max_iter` sweeps and steps were not enough; `converged` is False.

    Raises
    ------
    InvalidValue
        Shapes that do not fit, NaN, negative weights, epsilon <= 0, or no plan of finite cost: a point that can meet no
        others, or carries more than 1/N of the mass where its cost with itself is infinite. More than 10^15 tuples to a
        sweep on the complete graph.
    InvalidType
        Mixed libraries, devices or dtypes; anything but float32 and float64.
    OutOfMemory
        The workspace would not fit; on a graph, which marginals come together in its largest table.
    Interrupted
        Ctrl-C; ``.result`` holds the potentials so far (`value_linear` is NaN, and so are `value` and `marginal_error`
        while annealing), or the whole result without intervals if the search of `certify` was interrupted; of a batch
        it is the list of results, None where a problem had not begun.

    Notes
    -----
    A matrix product of stabilised kernels contracts all marginals but two, for the updates of both; what underflow may
    have lost is bounded row by row, and rows whose bound is not negligible are summed again exactly (`exact_rows` says
    how many). A product costs n^N multiplications, in symmetric mode about n^N / (2 (N - 2)!); a plain sweep of general
    mode takes N / 2 of them, one that leaps N / 2 rounded up. Results do not depend on the number of threads, to the
    bit.

    The gradient of `value` is that at fixed potentials. That of `potentials` differentiates the equations that they
    solve; its backward pass solves a dense linear system of n_1 + ... + n_N unknowns (n in symmetric mode) in float64
    on the CPU, 32 bytes an entry. Both are off by about as much as the marginals. Weights of 0, and potentials that
    more than constants can be moved between, have no such gradient: that raises.

    Without some of the pairs, messages pass along a junction tree that a greedy elimination of least fill finds [3]_. A
    sweep follows that tree and costs O(N n^2) on a tree, O(N n^{w+1}) at treewidth w (2 for a ring), on the CPU and on
    a GPU.

    A graph falls apart into blocks at marginals whose removal would disconnect it: the edges of a tree, the cycles of a
    cactus, else the whole. Plans of blocks can be glued at the marginals that they share, which are prescribed, so the
    optima of blocks add up, entropic or not. Newton's steps solve a system a block: they need O(n^3) an edge of a tree,
    O(M^3 n^3) in a block of M marginals, and there the plans of all its pairs; they are taken where those are at most
    9 million entries that cost no more than 100 sweeps. To a marginal error of 1e-8 (random points of the unit square
    and weights, squared distances, seconds of one thread): ring of 4, n = 150, epsilon = 5e-4: 201 steps in 1.1 s, 1074
    sweeps in 4.4 s; star of 60, n = 40, epsilon = 5e-3: 192 in 1.1 s, where 3000 sweeps in 9.4 s leave 2e-5; chain of
    4, n = 300, epsilon = 5e-4: 160 in 0.8 s, 337 sweeps in 0.8 s; at epsilon = 5e-2 about the same time.
    `certify` bounds the optimum of each block from above as that of a complete graph.

    References
    ----------
    .. [1] J.-D. Benamou, G. Carlier, L. Nenna, "A numerical method to solve multi-marginal optimal transport problems
       with Coulomb cost", 2015.
    .. [2] H. F. Walker, P. Ni, "Anderson acceleration for fixed-point iterations", SIAM J. Numer. Anal. 2011.
    .. [3] J. Fan, I. Haasler, J. Karlsson, Y. Chen, "On the complexity of the optimal transport problem with
       graph-structured cost", AISTATS 2022.

    Examples
    --------
    Three electrons on a segment; the cost of strictly correlated ones is 7.5:

    >>> import numpy as np, deblai
    >>> x = (np.arange(60) + 0.5) / 60
    >>> r = deblai.multimarginal.sinkhorn(x, n_marginals=3, cost="coulomb", epsilon=0.05)
    >>> bool(r.converged), round(float(r.value_linear), 1)
    (True, 7.5)
    >>> r.pair_marginal().shape
    (60, 60)

    Five clouds on a ring, each near the next:

    >>> clouds = [np.random.default_rng(k).random((40 + k, 2)) for k in range(5)]
    >>> ring = deblai.multimarginal.sinkhorn(clouds, cost="sqeuclidean", graph="ring", epsilon=0.05)
    >>> bool(ring.converged), ring.pair_marginal(0, 2).shape
    (True, (40, 42))

    The intervals hold the true values, whatever the potentials:

    >>> r = r.certify()
    >>> bool(r.lower <= 7.5 <= r.upper), bool(r.value_upper - r.value_lower < 1e-8), r.certified
    (True, True, True)
    """
    arguments = dict(locals())
    if is_batch(points, weights, cost):
        from .batch import of_arrays

        return of_arrays(arguments)
    q = problem(OPERATION, points, weights, n_marginals, cost, epsilon, graph)
    schedule = _schedule(q, tol, max_iter, memory, method, annealing, gap, init is not None)
    wanted = _wanted(q, grad)
    budget = _budget(OPERATION, budget)
    if not isinstance(certify, bool):
        raise errors.InvalidType(f"[{OPERATION}] certify: expected True or False, got {certify!r}")
    if not (callback is None or callable(callback)):
        raise errors.InvalidType(f"[{OPERATION}] callback: expected a function of a SinkhornState, got {callback!r}")
    start = _start(q, init)
    _require_time(q)
    if q.library is TRACED:
        from ...jax import multimarginal as traced

        if callback is not None:
            raise errors.InvalidType(f"[{OPERATION}] callback: expected None inside jit, grad and vmap of JAX")
        if certify:
            raise errors.InvalidType(f"[{OPERATION}] certify: expected False inside jit, grad and vmap of JAX")
        result, by_name = traced.sinkhorn(q, start, schedule, wanted)
        return replace(result, grad=_shaped(q, by_name, points, cost))
    watch = None if callback is None else _watch(q, callback)
    try:
        if q.library is TORCH:
            from ...torch import multimarginal

            value, outcome = multimarginal.sinkhorn(q, start, schedule, wanted, watch)
        else:
            outcome = solve(q, start, schedule, wanted=wanted, watch=watch)
            (value,) = q.library.scalars([outcome.value], q.like)
    except Stopped as stopped:
        partial = stopped.outcome
        (value,) = q.library.scalars([partial.value], q.like)
        result = _result(q, partial, value, {})
        raise errors.Interrupted(f"[{OPERATION}] interrupted after {result.n_iter} steps", result) from None
    result = _result(q, outcome, value, _shaped(q, outcome.grad, points, cost))
    if q.library is TORCH:
        result = multimarginal.attached(q, outcome.potentials, result)
    if not result.converged and schedule.max_iter <= result.n_iter and schedule.max_iter:
        wanted_of = f"tol {schedule.tol:.2g}" if schedule.gap == 0 else f"gap {schedule.gap:.2g}"
        warnings.warn(
            f"[{OPERATION}] the marginal error is {result.marginal_error:.2g} after {result.n_iter} steps, which does "
            f"not meet {wanted_of}: raise max_iter, epsilon or tol, or start from these potentials (init)",
            errors.ConvergenceWarning,
            stacklevel=2,
        )
    return result.certify(budget=budget) if certify else result


def _require_time(q: Problem) -> None:
    """Raise where one sweep on the complete graph would take hours."""
    N = q.n_marginals
    if q.edges is not None or N < 3:
        return
    if q.symmetric:
        n = q.sizes[0]
        terms = 0.5 * float(n) ** 2 * float(min(comb(n + N - 3, N - 2), 10**200))
    else:
        terms = N / 2 * float(np.exp(min(sum(map(log, q.sizes)), 600.0)))
    if terms > TERMS:
        runner(q)  # what does not fit in memory says so first
        raise errors.InvalidValue(
            f"[{OPERATION}] n_marginals: expected at most {TERMS:.0e} tuples to a sweep on the complete graph, got "
            f"{terms:.1e}, which take hours: fewer points or marginals, a graph, or multimarginal.genetic"
        )


def _budget(operation: str, budget: Any) -> int | None:
    return None if budget is None else _validate.positive_integer(operation, "budget", budget)


def _schedule(
    q: Problem, tol: Any, max_iter: Any, memory: Any, method: Any, annealing: Any, gap: Any, warm: bool
) -> Schedule:
    if tol is None:
        tol = (1e-4 if q.library.dtype(q.like) == "float32" else 1e-6) if gap is None else inf
    else:
        tol = _validate.real(OPERATION, "tol", tol)
    if tol < 0:
        raise errors.InvalidValue(f"[{OPERATION}] tol: expected a nonnegative number, got {tol!r}")
    if gap is not None:
        gap = _validate.real(OPERATION, "gap", gap)
        if not gap > 0:
            raise errors.InvalidValue(f"[{OPERATION}] gap: expected a positive number, got {gap!r}")
    if method not in METHODS:
        raise errors.InvalidValue(f"[{OPERATION}] method: expected one of {METHODS}, got {method!r}")
    if method == "newton" and not newton_possible(q):
        where = "" if q.edges is None else ", in each block of a graph, and few plans of pairs without an edge"
        raise errors.InvalidValue(
            f"[{OPERATION}] method: expected at most {LIMIT} potentials for 'newton'{where}, "
            f"got {sum(q.sizes)}; use 'auto'"
        )
    return Schedule(
        tol,
        _validate.nonnegative_integer(OPERATION, "max_iter", max_iter),
        _validate.nonnegative_integer(OPERATION, "memory", memory),
        method,
        _annealing(q, annealing, warm),
        gap or 0.0,
    )


def _annealing(q: Problem, annealing: Any, warm: bool) -> tuple[float, ...] | None:
    """Return the values of epsilon to pass through; None where the costs tell them."""
    if annealing is False or (isinstance(annealing, str) and annealing == "auto" and warm):
        return ()
    if annealing is True or (isinstance(annealing, str) and annealing == "auto"):
        return None
    if not isinstance(annealing, list | tuple | np.ndarray):
        raise errors.InvalidType(
            f"[{OPERATION}] annealing: expected 'auto', True, False or decreasing numbers, got {annealing!r}"
        )
    rungs = [_validate.real(OPERATION, "annealing", e) for e in annealing]
    if any(a <= b for a, b in pairwise([*rungs, q.epsilon])):
        raise errors.InvalidValue(
            f"[{OPERATION}] annealing: expected numbers that decrease towards epsilon = {q.epsilon:g}, got {rungs}"
        )
    return tuple(rungs)


def _wanted(q: Problem, grad: Any) -> tuple[str, ...]:
    given = tuple(
        name
        for name, arrays in zip(NAMES, (q.points, q.weights, q.matrices), strict=True)
        if any(a is not None for a in arrays)
    )
    return _validate.gradient_names(OPERATION, grad, NAMES, given)


def _start(q: Problem, init: Any) -> Array:
    """Return the potentials to start from, one after the other."""
    if init is None:
        return np.zeros(sum(q.sizes))
    parts = list(init) if isinstance(init, list | tuple) and not q.symmetric else [init]
    if len(parts) != len(q.sizes):
        raise errors.InvalidValue(f"[{OPERATION}] init: expected {len(q.sizes)} potentials, got {len(parts)}")
    host = []
    for p, (part, n) in enumerate(zip(parts, q.sizes, strict=True)):
        try:
            array = np.asarray(q.library.numpy(part) if type(part) is type(q.like) else part, np.float64)
        except (TypeError, ValueError):
            raise errors.InvalidType(
                f"[{OPERATION}] init: expected {n} numbers for marginal {p}, got {part!r}"
            ) from None
        if array.shape != (n,) or not np.isfinite(array).all():
            raise errors.InvalidValue(
                f"[{OPERATION}] init: expected {n} finite values for marginal {p}, got shape {array.shape}"
            )
        host.append(array)
    return np.concatenate(host)


def _watch(q: Problem, callback: Callable[[SinkhornState], bool | None]) -> Watch:
    def watch(seen: Seen) -> bool:
        error, value, epsilon = map(float, seen.history[-1])
        potentials = _potentials(q, seen.potentials)
        state = SinkhornState(len(seen.history), error, value, potentials, epsilon, seen.gap)
        return callback(state) is True

    return watch


def _potentials(q: Problem, flat: Array) -> Any:
    """Return potentials in the caller's library."""
    parts = [q.library.export(f, q.like) for f in potentials_of(q, flat)]
    return parts[0] if q.symmetric else parts


def _shaped(q: Problem, grad: dict[str, list[Any]], points: Any, cost: Any) -> dict[str, Any]:
    """Give gradients the structure of the arguments."""
    shaped: dict[str, Any] = {}
    for name, arrays in grad.items():
        if q.tied and name != "cost" and arrays[0] is not None:
            arrays = [sum(arrays[1:], arrays[0])]
        if name == "points":
            given = [points] if q.symmetric or q.tied else points
            arrays = [g.reshape(-1) if np.ndim(x) == 1 else g for g, x in zip(arrays, given, strict=True)]
        if name == "cost" and isinstance(cost, dict):
            shaped[name] = dict(zip(q.pairs, arrays, strict=True))
        else:
            shaped[name] = arrays[0] if q.symmetric or q.tied or name == "cost" else arrays
    return shaped


class _Plans(Reading):
    """What the result can be asked, made on demand from arguments as they were."""

    def certified(self, budget: Any) -> dict[str, Any]:
        """Return the fields of the intervals that the potentials certify."""
        return intervals(self.q, self.potentials, _budget("multimarginal.certify", budget))._asdict()


def _kept(q: Problem) -> Problem:
    """Return the problem with arrays of its own: a result is of what was solved, whatever becomes of the caller's."""
    copies: dict[int, Any] = {}

    def copied(arrays: list[Any]) -> list[Any]:
        return [None if v is None else copies.setdefault(id(v), q.library.copy(v)) for v in arrays]

    return q._replace(points=copied(q.points), weights=copied(q.weights), matrices=copied(q.matrices))


def _result(q: Problem, outcome: Outcome, value: Any, grad: dict[str, Any]) -> MultimarginalResult:
    (linear,) = q.library.scalars([outcome.value_linear], q.like)
    return MultimarginalResult(
        value=value,
        value_linear=linear,
        potentials=_potentials(q, outcome.potentials),
        marginal_error=outcome.marginal_error,
        converged=outcome.converged,
        n_iter=len(outcome.history),
        history=outcome.history,
        value_lower=outcome.value_lower,
        value_upper=outcome.value_upper,
        epsilon=q.epsilon,
        n_marginals=q.n_marginals,
        grad=grad,
        backend=outcome.backend,
        exact_rows=outcome.exact_rows,
        _plans=_Plans(_kept(q), outcome.potentials),
    )
