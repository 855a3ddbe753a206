"""The same problem down a ladder of epsilons: what it costs, how fast that falls, and which plan the limit selects."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from itertools import permutations
from math import nan
from typing import Any, NamedTuple

import numpy as np

from ... import _validate, errors
from ...results import EpsilonPath, MultimarginalResult
from .._problem import detached, is_batch
from .evaluate import Array
from .sinkhorn import SinkhornState, sinkhorn

OPERATION = "multimarginal.epsilon_path"


class PathState(NamedTuple):
    """What the callback of `epsilon_path` sees: the rung and its epsilon, then as `SinkhornState`."""

    rung: int
    epsilon: float
    step: int
    marginal_error: float
    value: float
    potentials: Any


def epsilon_path(
    points: Any = None,
    weights: Any = None,
    *,
    n_marginals: int | None = None,
    cost: Any = "coulomb",
    graph: Any = None,
    epsilons: Sequence[float],
    tuples: Any = None,
    limit: float | None = None,
    tol: float | None = None,
    max_iter: int = 10_000,
    memory: int = 10,
    init: Any = None,
    callback: Callable[[PathState], bool | None] | None = None,
) -> EpsilonPath:
    r"""Solve the entropic problem for falling epsilons, each from the potentials of the one before.

    With :math:`V_\varepsilon` the value at epsilon, and :math:`L = \log(1/\varepsilon)`, the values and the costs

    .. math::
        V_\varepsilon = V_0 + \kappa\,\varepsilon L + b\,\varepsilon + e\,\varepsilon^2, \qquad
        \langle c, \pi_\varepsilon \rangle = V_\varepsilon - \varepsilon \frac{dV_\varepsilon}{d\varepsilon}
        = V_0 + \kappa\,\varepsilon - e\,\varepsilon^2

    are fitted together by least squares (the second line needs no logarithm: it separates kappa from b). Between
    continuous measures of dimensions d_i, kappa is at most :math:`\frac12(\sum_i d_i - \max_i d_i)` for locally
    semiconcave costs [1]_: the blur, of width sqrt(epsilon), fills the directions across the support of the limit plan,
    so that 2 kappa is their number. Between finite sets the fit says what it says of the measures that they stand for,
    as long as the blur of the plan, about sqrt(epsilon / c''), is not below the spacing of the points; far below it,
    values tend to the linear program's exponentially fast, and kappa to 0.

    Parameters
    ----------
    points, weights, n_marginals, cost, graph
        As for `sinkhorn`.
    epsilons : sequence of float
        Different positive numbers, in any order; solved from the largest to the smallest.
    tuples : array (t, N) of int, optional
        Tuples of indices whose mass is reported at each epsilon: which of many optimal plans does the limit select? In
        symmetric mode, the mass of all orders of a tuple.
    limit : float, optional
        The known V_0, which the fit then takes as given.
    tol, max_iter, memory : optional
        As for `sinkhorn`, of each epsilon.
    init : array or list of arrays, optional
        Potentials to start the first one from.
    callback : callable, optional
        Called with a state (`rung`, `epsilon`, `step`, `marginal_error`, `value`, `potentials`) about ten times a
        second; True stops.

    Returns
    -------
    EpsilonPath
        `epsilons`, `value`, `value_linear`, `entropy`, `spread`, `marginal_error`, `converged`, `n_iter`, `masses`
        (NumPy arrays, one entry an epsilon), `limit`, `limit_error`, `slope`, `slope_error`, `slope_bound`,
        `dimension`, `results`.

    Warns
    -----
    ConvergenceWarning
        Some epsilons have not converged; they are left out of the fit.

    Raises
    ------
    InvalidValue, InvalidType, OutOfMemory
        As `sinkhorn`.
    Interrupted
        Ctrl-C; ``.result`` has the epsilons that were done, None if there are none.

    References
    ----------
    .. [1] L. Nenna, P. Pegon, "Convergence rate of entropy-regularized multi-marginal optimal transport costs", 2023.

    Examples
    --------
    Two Gaussians under (x - y)^2: the limit is 0 and kappa 1/2.

    >>> import numpy as np, deblai
    >>> x = np.linspace(-5.5, 5.5, 121)
    >>> path = deblai.multimarginal.epsilon_path(
    ...     x, np.exp(-x * x / 2), n_marginals=2, cost="sqeuclidean", epsilons=[0.4, 0.2, 0.1]
    ... )
    >>> round(path.slope, 2), abs(path.limit) < 1e-3
    (0.5, True)
    """
    ladder = _ladder(epsilons)
    if limit is not None:
        limit = _validate.real(OPERATION, "limit", limit)
    if is_batch(points, weights, cost):
        raise errors.InvalidValue(f"[{OPERATION}] points: expected one problem, got a batch")
    points, weights, cost = (detached(v) for v in (points, weights, cost))
    fixed = {
        "n_marginals": n_marginals,
        "cost": cost,
        "graph": graph,
        "tol": tol,
        "max_iter": max_iter,
        "memory": memory,
    }
    results: list[MultimarginalResult] = []
    stopped = False
    for rung, epsilon in enumerate(ladder):

        def watch(state: SinkhornState, rung: int = rung, epsilon: float = epsilon) -> bool:
            nonlocal stopped
            seen = PathState(rung, epsilon, state.step, state.marginal_error, state.value, state.potentials)
            stopped = callback is not None and callback(seen) is True
            return stopped

        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", errors.ConvergenceWarning)
                result = sinkhorn(
                    points, weights, epsilon=epsilon, init=init, callback=watch if callback else None, **fixed
                )
        except errors.Interrupted as error:
            done = _path(results, tuples, limit) if results else None
            raise errors.Interrupted(f"[{OPERATION}] interrupted after {rung} epsilons", done) from error
        if rung == 0:
            tuples = _tuples(result, tuples)
        results.append(result)
        if stopped:
            break
        init = result.potentials
    path = _path(results, tuples, limit)
    late = [f"{e:g}" for e, fine in zip(path.epsilons, path.converged, strict=True) if not fine]
    if late and not stopped:
        warnings.warn(
            f"[{OPERATION}] not converged at epsilon = {', '.join(late)}: raise max_iter or tol, or add rungs between",
            errors.ConvergenceWarning,
            stacklevel=2,
        )
    return path


def _ladder(epsilons: Any) -> list[float]:
    """Return the epsilons, falling."""
    try:
        found = sorted((_validate.real(OPERATION, "epsilons", e) for e in epsilons), reverse=True)
    except TypeError as error:
        if isinstance(error, errors.DeblaiError):
            raise
        raise errors.InvalidType(f"[{OPERATION}] epsilons: expected positive numbers, got {epsilons!r}") from error
    if not found or found[-1] <= 0 or len(set(found)) < len(found):
        raise errors.InvalidValue(f"[{OPERATION}] epsilons: expected different positive numbers, got {epsilons!r}")
    return found


def _tuples(result: MultimarginalResult, tuples: Any) -> Any:
    """Check tuples before the long work, and that there are plans: tracers of JAX have none."""
    count = result._plans.q.n_marginals
    empty: Array = np.empty((0, count), np.int64)
    return empty if tuples is None else result._plans.check_tuples(OPERATION, tuples)


def _path(results: list[MultimarginalResult], tuples: Any, limit: float | None) -> EpsilonPath:
    """Gather what the results say, and fit."""

    def column(name: str) -> Array:
        return np.array([float(getattr(r, name)) for r in results])

    epsilons, value, linear = (column(name) for name in ("epsilon", "value", "value_linear"))
    converged = np.array([bool(r.converged) for r in results])
    plans = [r._plans for r in results]
    found = fit(epsilons[converged], value[converged], linear[converged], limit)
    return EpsilonPath(
        epsilons=epsilons,
        value=value,
        value_linear=linear,
        entropy=(value - linear) / epsilons,
        spread=np.array([p.spread() for p in plans]),
        marginal_error=column("marginal_error"),
        converged=converged,
        n_iter=np.array([r.n_iter for r in results]),
        masses=np.array([_mass(r, tuples) for r in results]),
        limit=found[0],
        limit_error=found[1],
        slope=found[2],
        slope_error=found[3],
        slope_bound=plans[0].slope_bound(),
        results=tuple(results),
    )


def _mass(result: MultimarginalResult, tuples: Array) -> Array:
    if isinstance(result.potentials, list):
        return np.asarray(result.mass_at(tuples))
    orders = [sorted(set(permutations(map(int, t)))) for t in tuples]
    return np.array([result.mass_at(t).sum() for t in orders])


def fit(epsilons: Array, value: Array, linear: Array, limit: float | None) -> tuple[float, float, float, float]:
    """Return V_0, its error, kappa and its error; errors are what leaving out the last term changes."""
    if len(epsilons) < 2:
        return (nan, nan, nan, nan) if limit is None else (limit, 0.0, nan, nan)
    e, log, none = epsilons, np.log(epsilons.max() / epsilons), np.zeros_like(epsilons)
    # Terms of value and cost, from the constant on; logarithms of other units only change b.
    terms = [(none + 1, none + 1), (e * log, e), (e, none), (e**2, -(e**2))]
    target = np.concatenate([value, linear])
    first = 0
    if limit is not None:
        target, first = target - limit, 1
    near = np.concatenate([e, e]) ** -2  # what is left out is of higher order: the smallest epsilons count most
    found = []
    for last in (3, 4) if len(e) > 2 else (2, 3):
        matrix = np.stack([np.concatenate(t) for t in terms[first:last]], axis=1)
        solution = np.linalg.lstsq(matrix * near[:, None], target * near, rcond=None)[0]
        found.append(solution if limit is None else np.concatenate([[limit], solution]))
    rough, fine = found
    error = np.abs(fine[:2] - rough[:2])
    return float(fine[0]), float(error[0]), float(fine[1]), float(error[1])
