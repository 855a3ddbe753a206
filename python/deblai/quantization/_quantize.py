"""Optimal quantizers: the best sites of given number for a measure."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from .. import _rng, _validate, errors
from .._array import NUMPY, gather
from ..measures import Grid, Law, Samples, UniformBox
from ..results import QuantizationResult
from ._line.line import OPERATION, Line
from ._line.quadrature import Array
from ._line.solve import LineProblem


class QuantizeState(NamedTuple):
    """What the callback of `quantize` sees: `sites` that have moved `step` times, their `energy` and `residual`."""

    step: int
    sites: Any
    energy: float
    residual: float


def quantize(
    measure: Any,
    n_sites: int,
    *,
    p: float = 2,
    weights: Any = "free",
    method: str = "auto",
    init: Any = None,
    restarts: int = 0,
    rng: Any = None,
    tol: float = 1e-12,
    max_iter: int = 500,
    callback: Callable[[QuantizeState], bool | None] | None = None,
) -> QuantizationResult:
    r"""Optimal quantizers of measures of the line, by Newton's method with the exact Hessian.

    .. math::
        \min_{y_1 < \dots < y_N} \min_{w} W_p^p\Big(\mu, \sum_i w_i \delta_{y_i}\Big)
        = \min_y \sum_i \int_{V_i} |x - y_i|^p \, d\mu(x),

    the cells :math:`V_i` ending half way between neighbours where the weights are free (they are then the masses of the
    cells), and at quantiles where weights are given. With density :math:`\rho`, gaps :math:`d_i = y_{i+1} - y_i` and
    edges :math:`e_i` the derivatives are, for p = 2,

    .. math::
        \partial_i E = 2 m_i (y_i - b_i), \quad
        \partial_{i,i+1} E = -\tfrac{d_i}{2} \rho(e_i), \quad
        \partial_{i,i} E = 2 m_i - \tfrac{d_{i-1}}{2} \rho(e_{i-1}) - \tfrac{d_i}{2} \rho(e_i).

    Parameters
    ----------
    measure : measures.Law, UniformBox or Grid
        Of dimension 1; a law needs a density (``pdf``) and a finite p-th moment. In the plane, and for samples, use
        `lloyd`.
    n_sites : int
        Number of sites N.
    p : float, default 2
        The exponent, at least 1. For p = 1 the sites are medians of their cells.
    weights : {"free", "uniform"} or array (n_sites,), default "free"
        Weights of the sites: the best ones, 1/N, or given ones, positive and divided by their sum, in the order of the
        sites from left to right. (Other orders may have less energy; which is best is not searched.)
    method : {"auto", "newton"}, default "auto"
        Both are the same on the line.
    init : array (n_sites,), optional
        Different sites inside of the support, to start from. By default their density is about
        :math:`\rho^{1/(1+p)}`, which is right for large N [1]_. Not for given weights, which need no start.
    restarts : int, default 0
        How many starts to try beside the first one, at random; the least energy wins. Where the result of the first
        is `certified` there are none.
    rng : None, int or numpy.random.Generator
        Source of the restarts (SPEC 7).
    tol : float, default 1e-12
        Converged when the `residual` is no larger, or is rounding: with :math:`L_i, R_i` the integrals of
        :math:`|x - y_i|^{p-1}` over the cell left and right of its site, :math:`\max_i |L_i - R_i| / (L_i + R_i)`.
    max_iter : int, default 500
        Most steps of each start.
    callback : callable, optional
        Called with a `QuantizeState` for each set of sites; True stops. With given weights, at the end only.

    Returns
    -------
    QuantizationResult
        `sites` (N,), rising, `weights`, `energy` (the p-th power of W_p), `gradient_norm`, `residual`, `history`,
        `converged`, `certified`, `n_iter`, and on demand `stability`. NumPy, float64, for a law and a UniformBox;
        as the values for a Grid. Not differentiable.

    Raises
    ------
    InvalidValue
        A law without p-th moment, other dimensions, NaN, weights or sites that do not fit.
    InvalidType
        Other measures; a law without density.
    MissingExtra
        Without SciPy: ``pip install 'deblai[exact]'``.
    Interrupted
        Ctrl-C; ``.result`` holds the best sites so far.

    Warns
    -----
    ConvergenceWarning
        `max_iter` came first, or no step lowered the energy.

    Notes
    -----
    Sites stay in order and the energy goes down: steps are shortened, and where the Hessian is not positive the
    curvatures of fixed cells are added to it. Near the end the residual is squared in each step. Each step costs O(N).

    Integrals over cells are Gauss rules of the density on pieces that are cut until they are smooth on them: no
    differences of distribution functions, which lose digits in small cells and tails. Pixels are in closed form. A
    law that has hardly a p-th moment, or whose density is infinite inside of its support, is as precise as that
    allows.

    `certified` is True if the run converged and (a) the density is log-concave: a uniform one, or a law of scipy.stats
    in a list of such laws; then only one set of sites is stationary [2]_ [3]_; or (b) weights are given: the optimal
    cells are intervals in order, and each has one centre. Otherwise the sites are stationary, and `stability` says
    whether they are a local minimum; others may be better.

    References
    ----------
    .. [1] S. Graf, H. Luschgy, "Foundations of quantization for probability distributions", Springer 2000, section 7.
    .. [2] A. V. Trushkin, "Sufficient conditions for uniqueness of a locally optimal quantizer for a class of convex
       error weighting functions", IEEE Trans. Inform. Theory 28, 1982.
    .. [3] J. C. Kieffer, "Uniqueness of locally optimal quantizer for log-concave density and convex error weighting
       function", IEEE Trans. Inform. Theory 29, 1983.

    Examples
    --------
    Max's table of quantizers of the normal law (1960), four levels:

    >>> import numpy as np, deblai
    >>> from scipy import stats
    >>> law = deblai.measures.Law(stats.norm())
    >>> r = deblai.quantization.quantize(law, 4)
    >>> r.sites.round(7).tolist()
    [-1.5104176, -0.45278, 0.45278, 1.5104176]
    >>> round(r.energy, 10), r.certified, r.stability.morse_index
    (0.1174818478, True, 0)

    Four sites of equal weight are not as good:

    >>> round(deblai.quantization.quantize(law, 4, weights="uniform").energy, 10)
    0.139441422
    """
    count = _validate.positive_integer(OPERATION, "n_sites", n_sites)
    power = _validate.exponent(OPERATION, p)
    _choice("method", method, ("auto", "newton"))
    max_iter = _validate.positive_integer(OPERATION, "max_iter", max_iter)
    restarts = _validate.nonnegative_integer(OPERATION, "restarts", restarts)
    tol = _validate.real(OPERATION, "tol", tol)
    if tol < 0:
        raise errors.InvalidValue(f"[{OPERATION}] tol: expected at least 0, got {tol!r}")
    if not (callback is None or callable(callback)):
        raise errors.InvalidType(f"[{OPERATION}] callback: expected a function of a QuantizeState, got {callback!r}")
    generator = _rng.generator(OPERATION, rng)
    mass = _masses(weights, count)
    if mass is not None and (init is not None or restarts):
        name = "restarts" if init is None else "init"
        raise errors.InvalidValue(f"[{OPERATION}] {name}: expected none with given weights, whose sites are unique")
    line, library, like = _line(measure, power)
    start = None if init is None else _start(init, count, line)

    def export(array: Array) -> Any:
        return library.export(array, like)

    def called(step: int, sites: Array, energy: float, residual: float) -> bool | None:
        return None if callback is None else callback(QuantizeState(step, export(sites), energy, residual))

    problem = LineProblem(line, count, power, mass, tol, max_iter, called)

    def result() -> QuantizationResult:
        best = problem.best
        return QuantizationResult(
            export(best.point.sites),
            export(best.masses),
            library.scalars([best.point.energy], like)[0] if like.dtype != np.float64 else best.point.energy,
            None,
            best.n_iter,
            best.converged,
            best.history,
            library.device_array(best.masses == 0, like),
            "scipy",
            float(np.linalg.norm(best.point.gradient)),
            best.point.residual,
            best.converged and (line.unique or mass is not None),
            best.stability,
        )

    try:
        problem.run(start, restarts, generator)
    except KeyboardInterrupt:
        raise errors.Interrupted(
            f"[{OPERATION}] interrupted after {problem.steps} steps", result() if problem.found else None
        ) from None
    best = problem.best
    if not (best.converged or best.stopped):
        why = f"after {best.n_iter} steps" if best.n_iter >= max_iter else "where no step lowered the energy"
        warnings.warn(
            f"[{OPERATION}] not converged {why}: residual {best.point.residual:.1e}, tol={tol:g}",
            errors.ConvergenceWarning,
            stacklevel=2,
        )
    return result()


def _choice(name: str, value: Any, known: tuple[str, ...]) -> None:
    if not isinstance(value, str):
        raise errors.InvalidType(f"[{OPERATION}] {name}: expected one of {known}, got {value!r}")
    if value not in known:
        raise errors.InvalidValue(f"[{OPERATION}] {name}: expected one of {known}, got {value!r}")


def _line(measure: Any, p: float) -> tuple[Line, Any, Any]:
    """Return what the solver needs of a measure, and the library, and an array, of its results."""
    if isinstance(measure, Samples):
        raise errors.InvalidValue(f"[{OPERATION}] measure: expected a density, got Samples: use quantization.lloyd")
    if isinstance(measure, UniformBox | Grid) and measure.dim != 1:
        raise errors.InvalidValue(
            f"[{OPERATION}] measure: expected dimension 1, got {measure.dim}: use quantization.lloyd, or "
            f"quantization.laguerre for the cells of given sites"
        )
    from ._line.law import LawLine
    from ._line.pixels import PixelLine

    if isinstance(measure, Law):
        return LawLine(measure, p), NUMPY, np.zeros(1)
    if isinstance(measure, UniformBox):
        return PixelLine.of(measure, np.ones(1)), NUMPY, np.zeros(1)
    if isinstance(measure, Grid):
        library, (values,) = gather(OPERATION, {"measure.values": measure.values})
        return PixelLine.of(measure, np.asarray(library.numpy(values), np.float64)), library, values
    raise errors.InvalidType(
        f"[{OPERATION}] measure: expected measures.Law, UniformBox or Grid, got {type(measure).__name__}"
    )


def _vector(name: str, value: Any, count: int) -> Array:
    library, (given,) = gather(OPERATION, {name: value})
    if given is None or tuple(given.shape) != (count,):
        shape = None if given is None else tuple(given.shape)
        raise errors.InvalidValue(f"[{OPERATION}] {name}: expected shape ({count},) to match n_sites, got {shape}")
    array = np.asarray(library.numpy(given), np.float64)
    if not np.isfinite(array).all():
        raise errors.InvalidValue(f"[{OPERATION}] {name}: expected finite values, got nan or inf")
    return array


def _masses(weights: Any, count: int) -> Array | None:
    if weights is None:
        raise errors.InvalidType(f"[{OPERATION}] weights: expected 'free', 'uniform' or an array, got None")
    if isinstance(weights, str):
        _choice("weights", weights, ("free", "uniform"))
        return None if weights == "free" else np.full(count, 1 / count)
    mass = _vector("weights", weights, count)
    if not (mass > 0).all():
        raise errors.InvalidValue(f"[{OPERATION}] weights: expected positive weights, got {mass.min():g}")
    return np.asarray(mass / mass.max() / (mass / mass.max()).sum())


def _start(init: Any, count: int, line: Line) -> Array:
    sites = np.sort(_vector("init", init, count))
    if not (np.diff(sites) > 0).all():
        raise errors.InvalidValue(f"[{OPERATION}] init: expected different sites, got some of them twice")
    if not (line.lower < sites[0] and sites[-1] < line.upper):
        raise errors.InvalidValue(
            f"[{OPERATION}] init: expected sites inside of ({line.lower:g}, {line.upper:g}), got {sites[0]:g} to "
            f"{sites[-1]:g}"
        )
    return sites
