"""Genetic column generation for equal marginals."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from ... import _rng, _validate, errors
from ...results import SparseResult
from .host import checked, require_light_points
from .search import OPERATION, GeneticState, Search, Settings


def genetic(
    points: Any = None,
    weights: Any = None,
    *,
    n_marginals: int,
    cost: Any = "coulomb",
    beta: float = 5.0,
    tol: float = 1e-10,
    max_iter: int = 100_000,
    restarts: int = 10,
    init: Any = "auto",
    rng: Any = None,
    certify: bool = True,
    budget: int = 400_000,
    callback: Callable[[GeneticState], bool | None] | None = None,
) -> SparseResult:
    r"""Optimal transport of N equal marginals without regularisation, by genetic column generation.

    .. math::
        \min_{\alpha \ge 0} \sum_s c(s)\,\alpha_s \quad \text{with} \quad \sum_s \alpha_s\, n_i(s) / N = \mu_i,
        \qquad c(s) = \sum_{p<q} c(x_{s_p}, x_{s_q}),

    over the multisets s of N points, of which :math:`n_i(s)` sit at point i. A linear program over some columns gives a
    potential; moves of particles of its active columns that price out become new columns; old ones that are inactive
    are deleted [1]_. All moves of one particle are priced, in one batch, and the best of each particle is added, n
    columns at a time. Where none is left, moves of two particles are looked at, then ascents from random multisets,
    then branch and bound over all multisets.

    Parameters
    ----------
    points : array (n, d) or (n,), optional
        The points of all marginals. Omitted where `cost` is a matrix.
    weights : array (n,), optional
        Nonnegative weights of any positive sum: they are divided by it. Equal weights by default.
    n_marginals : int
        The number N >= 2 of equal marginals.
    cost : str, cost of `deblai.costs`, or symmetric matrix (n, n), default "coulomb"
        As for `sinkhorn`. Infinite entries forbid a pair.
    beta : float, default 5
        Where there are more than beta n columns, at least 2 n, the oldest that are inactive are deleted.
    tol : float, default 1e-10
        By how much, as a part of the value, a column must price out to be taken.
    max_iter : int, default 100000
        Most linear programs.
    restarts : int, default 10
        How often in a row ascents from random multisets may find nothing before the search ends.
    init : {"auto", "random"} or int array (k, N), default "auto"
        Columns to start from. Both words stand for plans of N different points, found by passing through the points in
        some order and taking those that have the fractions u, u + 1/N, ... of the mass below them: "auto" passes
        along each coordinate, "random" in a random order. An array lists tuples; "auto" is added to them.
    rng : seed or numpy.random.Generator, optional
        For random orders.
    certify : bool, default True
        Compute `lower`, and let branch and bound look for columns that all moves missed.
    budget : int, default 400000
        Most nodes of a branch and bound, each of up to n^2 / 2 operations.
    callback : callable, optional
        Called with a state (`iteration`, `value`, `columns`, `lower`) about ten times a second; True stops.

    Returns
    -------
    SparseResult
        `value`, `potentials`, `tuples`, `masses`, `lower`, `upper`, `certified`, `converged`, `history`,
        `pair_marginal()`, `sample(k, rng)`. Not differentiable.

    Warns
    -----
    ConvergenceWarning
        `max_iter` linear programs were not enough.

    Raises
    ------
    InvalidValue
        Shapes that do not fit, NaN, negative weights, a point with more than 1/N of the mass where its cost with itself
        is infinite; no plan of finite cost was found.
    InvalidType
        Mixed libraries, devices or dtypes; anything but float32 and float64.
    OutOfMemory
        The matrix of costs would not fit.
    MissingExtra
        HiGHS is not installed: ``pip install 'deblai[exact]'``.
    Interrupted
        Ctrl-C; ``.result`` is the best plan so far.

    Notes
    -----
    `lower` is sum_p <mu, f> for a potential with sum f <= c everywhere. On the line, for costs that are convex and
    decreasing, the potential is that of `seidl`, and the search ends when the value meets it. Else the potential of the
    linear program is lowered by the least c - sum f, which branch and bound finds where it ends within `budget`
    (always for N = 2, 3; mostly up to N = 5 and 150 points). Where it does not, certified is False and `lower` is
    N (N - 1) / (k (k - 1)) times the certified optimum of k = 2, 3 or 4 marginals, if that is more. The marginals of
    the plan are right to what HiGHS allows (1e-10) and mostly to rounding: `upper` adds N max|f| `marginal_error`.
    Costs are n x n float64 numbers. Everything but pricing (on CUDA where the arrays are) runs on the CPU. In theory a
    search may end at a value above the optimum; with certified=True, `upper` - `lower` says by how much at most.

    References
    ----------
    .. [1] G. Friesecke, A. S. Schulz, D. Voegler, "Genetic column generation: fast computation of high-dimensional
       multi-marginal optimal transport problems", SIAM J. Sci. Comput. 44, 2022.

    Examples
    --------
    >>> import numpy as np, deblai
    >>> x = np.random.default_rng(0).standard_normal((30, 2))
    >>> r = deblai.multimarginal.genetic(x, n_marginals=4, rng=0)
    >>> r.certified, bool(r.upper - r.lower < 1e-8 * r.value)
    (True, True)
    >>> r.masses.shape[0] <= 30  # as sparse as a vertex of a polytope with 30 equations
    True
    """
    settings = Settings(
        _validate.real(OPERATION, "beta", beta),
        _validate.real(OPERATION, "tol", tol),
        _validate.positive_integer(OPERATION, "max_iter", max_iter),
        _validate.nonnegative_integer(OPERATION, "restarts", restarts),
        _flag("certify", certify),
        _validate.nonnegative_integer(OPERATION, "budget", budget),
    )
    if settings.beta < 2:
        raise errors.InvalidValue(f"[{OPERATION}] beta: expected at least 2, got {beta!r}")
    if settings.tol < 0:
        raise errors.InvalidValue(f"[{OPERATION}] tol: expected a nonnegative number, got {tol!r}")
    if not (callback is None or callable(callback)):
        raise errors.InvalidType(f"[{OPERATION}] callback: expected a function of a GeneticState, got {callback!r}")
    if isinstance(points, list | tuple) and any(hasattr(x, "shape") for x in points):
        raise errors.InvalidType(f"[{OPERATION}] points: expected one array for equal marginals, got several")
    _validate.positive_integer(OPERATION, "n_marginals", n_marginals)
    h = checked(OPERATION, points, weights, n_marginals, cost)
    require_light_points(OPERATION, h)
    generator = _rng.generator(OPERATION, rng)
    search = Search(h, settings, generator, callback)
    try:
        search.start(init)
        search.run()
        result = search.result(settings.certify)
    except KeyboardInterrupt:
        raise errors.Interrupted(
            f"[{OPERATION}] interrupted after {len(search.history)} linear programs",
            search.result(False) if search.history else None,
        ) from None
    if not (search.converged or search.stopped):
        warnings.warn(
            f"[{OPERATION}] not converged after {result.n_iter} linear programs: columns still price out",
            errors.ConvergenceWarning,
            stacklevel=2,
        )
    return result


def _flag(name: str, value: Any) -> bool:
    if not isinstance(value, bool | np.bool_):
        raise errors.InvalidType(f"[{OPERATION}] {name}: expected True or False, got {value!r}")
    return bool(value)
