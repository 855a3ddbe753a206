"""Optimal quantizers: the best sites of given number for a measure."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from .. import _rng, _validate, errors
from ..measures import Law, Samples
from ..results import QuantizationResult
from ._options import OPERATION, masses


class QuantizeState(NamedTuple):
    """What the callback of `quantize` sees: `sites` that have moved `step` times, their `energy` and `residual`."""

    step: int
    sites: Any
    energy: float
    residual: float


class Options(NamedTuple):
    """Arguments of `quantize` that are the same in all dimensions."""

    periodic: bool
    method: str
    init: Any
    restarts: int
    rng: np.random.Generator
    tol: float
    max_iter: int


def quantize(
    measure: Any,
    n_sites: int,
    *,
    p: float = 2,
    weights: Any = "free",
    periodic: bool = False,
    method: str = "auto",
    init: Any = None,
    restarts: int = 0,
    rng: Any = None,
    tol: float = 1e-12,
    max_iter: int = 2000,
    callback: Callable[[QuantizeState], bool | None] | None = None,
) -> QuantizationResult:
    r"""Optimal quantizers of measures of the line, the plane and space, by Newton's method with the exact Hessian.

    .. math::
        \min_{y_1, \dots, y_N} \min_{w} W_p^p\Big(\mu, \sum_i w_i \delta_{y_i}\Big)
        = \min_y \sum_i \int_{V_i} |x - y_i|^p \, d\mu(x),

    the cells :math:`V_i` being those of Voronoi where the weights are free (they are then the masses of the cells), and
    those of optimal transport where weights are given. With density :math:`\rho`, masses :math:`m_i` and means
    :math:`b_i` of the cells, and facets :math:`\Gamma_{ij}` of sites :math:`d_{ij}` apart, the derivatives for p = 2
    and free weights are [4]_

    .. math::
        \nabla_i E = 2 m_i (y_i - b_i), \quad
        H_{ij} = \tfrac{2}{d_{ij}} \int_{\Gamma_{ij}} (x - y_i)(x - y_j)^T \rho, \quad
        H_{ii} = 2 m_i I - \sum_j \tfrac{2}{d_{ij}} \int_{\Gamma_{ij}} (x - y_i)(x - y_i)^T \rho.

    The energy of given weights in the plane and in space is :math:`W_2^2` as `semidiscrete` finds it, with the
    potentials of the step before to begin with. Its gradient is that above with the cells of transport; with A the
    second derivatives in sites for fixed potentials, B the mixed ones and L the Laplacian of masses, its Hessian is
    :math:`A + B L^+ B^T`. For p other than 2 the Hessian has facets with :math:`p r^{p-2}` for 2, r the distance from
    the sites across, and :math:`p \int_{V_i} (r^{p-2} I + (p-2) r^{p-4} v v^T) \rho`, v = x - y_i, for
    :math:`2 m_i I`. By the divergence theorem all are sums over edges, of which a few Gauss nodes each are exact to
    rounding; for a Gaussian and a Mixture, over rays from the sites.

    Parameters
    ----------
    measure : measures.Law, UniformBox, Grid, Polytope, Gaussian, Mixture, PiecewiseLinear or Samples
        A law, a box or pixels of the line; a law needs a density (``pdf``) and a finite p-th moment. Of the plane and
        of space what `laguerre` knows. Samples of any dimension are handed to `lloyd`, for free weights:
        `tol` is then its own, and there is no `residual`.
    n_sites : int
        Number of sites N.
    p : float, default 2
        The exponent, at least 1. For p = 1 the sites are medians of their cells. In the plane and in space others than
        2 are for free weights.
    weights : {"free", "uniform"} or array (n_sites,), default "free"
        Weights of the sites: the best ones, 1/N, or given ones, positive and divided by their sum: in the order of
        `init`, on the line of the sites from left to right. (Other orders may have less energy; which is best is not
        searched.) In the plane and in space for what `semidiscrete` takes.
    periodic : bool, default False
        Take the box as a torus; in the plane and in space.
    method : {"auto", "newton", "lbfgs", "anderson", "lloyd"}, default "auto"
        On the line "auto" and "newton", which are the same. Elsewhere Newton's method in a trust region [5]_, L-BFGS
        preconditioned by :math:`2 m_i`, Lloyd's iteration with Anderson's acceleration [6]_ or without; "auto" is
        L-BFGS until the residual is small, then Newton's as long as that halves the residual in each step.
    init : array (n_sites, d), str, optional
        Sites to start from. On the line (n_sites,), different and inside of the support; by default their density is
        about :math:`\rho^{1/(1+p)}`, which is right for large N [1]_; none for given weights, which need no start.
        Elsewhere also the name of a start: "random" draws from the measure, "k-means++" chooses among ten times as
        many draws (the default for up to 300 sites, and up to 10^4 of given weights, beyond which it is "random"),
        "refined" descends with :math:`N / 2^d` sites, chosen alike, and adds the midpoints of neighbours (the default
        for more than 300 sites of free weights), and a lattice fills the box with rows of sites, stretched as little as
        may be: "triangular" or "square" in the plane, "sc", "bcc" or "fcc" in space, where N is a product that allows
        it.
    restarts : int, default 0
        How many starts to try beside the first one, at random; the least energy wins, and ``result.statistics()`` says
        how often it was reached. Where a result is `certified` no more follow. Of up to 20,000 sites of free weights,
        with ``method="auto"`` and without a callback, several descend at a time, each on one thread.
    rng : None, int or numpy.random.Generator
        Source of the starts (SPEC 7).
    tol : float, default 1e-12
        Converged when the `residual` is no larger, or is rounding. On the line, with :math:`L_i, R_i` the integrals of
        :math:`|x - y_i|^{p-1}` over the cell left and right of its site, it is
        :math:`\max_i |L_i - R_i| / (L_i + R_i)`; elsewhere
        :math:`\max_i |\nabla_i E| / (p \, m_i r_i^{p-1})` with :math:`r_i` the p-th mean of :math:`|x - y_i|` over the
        cell: for p = 2 the distance to the centre of the cell over its mean radius. Energies settle long before:
        with ``tol=1e-2`` those of 10^4 and 10^5 sites of a square are within 0.1 % of where they end, after about
        half of the steps.
    max_iter : int, default 2000
        Most steps of each start.
    callback : callable, optional
        Called with a `QuantizeState` for each set of n_sites sites, not on the way to a "refined" start; True stops.
        With given weights on the line, at the end only.

    Returns
    -------
    QuantizationResult
        `sites` (N, d), on the line (N,) and rising, `weights`, `energy` (the p-th power of W_p), `gradient_norm`,
        `residual`, `history`, `converged`, `certified`, `n_iter`, `restarts`, and on demand `stability`. NumPy,
        float64, for a law and a UniformBox; as the values for a Grid, and as `init` where that is an array of the
        plane or of space. Not differentiable.

    Raises
    ------
    InvalidValue
        A law without p-th moment, other dimensions, NaN, weights or sites that do not fit.
    InvalidType
        Other measures; a law without density; arrays on a GPU.
    MissingExtra
        Without SciPy: ``pip install 'deblai[exact]'``. Lloyd, Anderson and L-BFGS do without.
    Interrupted
        Ctrl-C; ``.result`` holds the best sites so far.

    Warns
    -----
    ConvergenceWarning
        `max_iter` came first, or no step lowered the energy.

    Notes
    -----
    The energy goes down, up to rounding (1e-13 of it): steps are shortened, and where the Hessian is not positive the
    curvatures of fixed cells are added to it on the line; elsewhere conjugate gradients stop at the border of the trust
    region, along the direction they found. Near the end the residual is squared in each step. On the line each step
    costs O(N); elsewhere it costs the cells, their facets, and products with a sparse matrix of about 28 N entries in
    the plane (for given weights also a factor of the Laplacian). Nothing is dense but the `stability` of few sites. On
    a torus with a uniform measure, moves of all sites alike are left out. Memory for uniform densities and free
    weights, seen: 0.7 kB a site in the plane and 1.1 kB in space; 3 kB and 12 kB where Newton's method is used.

    On the line integrals over cells are Gauss rules of the density on pieces that are cut until they are smooth on
    them: no differences of distribution functions, which lose digits in small cells and tails. Pixels are in closed
    form. A law that has hardly a p-th moment, or whose density is infinite inside of its support, is as precise as that
    allows. Elsewhere cells are those of `laguerre`.

    In the plane and in space a site whose cell has no mass is moved into the cell of most energy, to the mean distance
    from its site, in a random direction: the energy cannot rise by it.

    `certified` is True if the run converged and (a) the density of the line is log-concave: a uniform one, or a law of
    scipy.stats in a list of such laws; then only one set of sites is stationary [2]_ [3]_; (b) weights are given on the
    line: the optimal cells are intervals in order, and each has one centre; (c) there is one site, and no torus; or (d)
    the energy is that of regular hexagons on a torus of the plane, which none of free weights can go below [7]_.
    Otherwise the sites are stationary, and `stability` says whether they are a local minimum; others may be better.

    References
    ----------
    .. [1] S. Graf, H. Luschgy, "Foundations of quantization for probability distributions", Springer 2000, section 7.
    .. [2] A. V. Trushkin, "Sufficient conditions for uniqueness of a locally optimal quantizer for a class of convex
       error weighting functions", IEEE Trans. Inform. Theory 28, 1982.
    .. [3] J. C. Kieffer, "Uniqueness of locally optimal quantizer for log-concave density and convex error weighting
       function", IEEE Trans. Inform. Theory 29, 1983.
    .. [4] Y. Liu et al., "On centroidal Voronoi tessellation - energy smoothness and fast computation", ACM Trans.
       Graph. 28, 2009.
    .. [5] T. Steihaug, "The conjugate gradient method and trust regions in large scale optimization", SIAM J. Numer.
       Anal. 20, 1983.
    .. [6] Y. Peng et al., "Anderson acceleration for geometry optimization and physics simulation", ACM Trans. Graph.
       37, 2018.
    .. [7] L. Fejes Tóth, "Lagerungen in der Ebene, auf der Kugel und im Raum", Springer 1953; P. M. Gruber, "A short
       analytic proof of Fejes Tóth's theorem on sums of moments", Aequationes Math. 58, 1999.

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

    Two sites in a square halve it; one of the two on its diagonal would be a saddle:

    >>> square = deblai.measures.UniformBox((0, 0), (1, 1))
    >>> r = deblai.quantization.quantize(square, 2, rng=0)
    >>> bool(abs(r.energy - 5 / 48) < 1e-15), r.stability.morse_index
    (True, 0)

    The mean distance to the middle of a cube, a box integral:

    >>> cube = deblai.measures.UniformBox((0, 0, 0), (1, 1, 1))
    >>> round(deblai.quantization.quantize(cube, 1, p=1).energy, 10)
    0.4802959782

    No sites of a torus are better than hexagons:

    >>> torus = deblai.measures.UniformBox((0, 0), (4, 2 * np.sqrt(3)))
    >>> deblai.quantization.quantize(torus, 16, periodic=True, init="triangular").certified
    True
    """
    count = _validate.positive_integer(OPERATION, "n_sites", n_sites)
    power = _validate.exponent(OPERATION, p)
    if not isinstance(periodic, bool | np.bool_):
        raise errors.InvalidType(f"[{OPERATION}] periodic: expected True or False, got {periodic!r}")
    max_iter = _validate.positive_integer(OPERATION, "max_iter", max_iter)
    restarts = _validate.nonnegative_integer(OPERATION, "restarts", restarts)
    tol = _validate.real(OPERATION, "tol", tol)
    if tol < 0:
        raise errors.InvalidValue(f"[{OPERATION}] tol: expected at least 0, got {tol!r}")
    if not (callback is None or callable(callback)):
        raise errors.InvalidType(f"[{OPERATION}] callback: expected a function of a QuantizeState, got {callback!r}")
    generator = _rng.generator(OPERATION, rng)
    given = masses(weights, count)
    options = Options(bool(periodic), method, init, restarts, generator, tol, max_iter)
    called = None if callback is None else lambda *state: callback(QuantizeState(*state))
    if isinstance(measure, Samples):
        from ._optimal.samples import best_of_lloyd

        return best_of_lloyd(measure, count, power, given, options, called)
    solver = _solver(measure)(measure, count, power, given, options, called)
    try:
        solver.run()
    except KeyboardInterrupt:
        raise errors.Interrupted(
            f"[{OPERATION}] interrupted after {solver.steps} steps",
            replace(solver.result(), p=power) if solver.found else None,
        ) from None
    best = solver.best
    if not (best.converged or best.stopped):
        why = f"after {best.n_iter} steps" if best.n_iter >= max_iter else "where no step lowered the energy"
        warnings.warn(
            f"[{OPERATION}] not converged {why}: residual {best.point.residual:.1e}, tol={tol:g}",
            errors.ConvergenceWarning,
            stacklevel=2,
        )
    result: QuantizationResult = replace(solver.result(), p=power)
    return result


def _solver(measure: Any) -> Any:
    """Return what solves in the dimension of a measure."""
    if isinstance(measure, Law) or getattr(measure, "dim", None) == 1:
        from ._line.entry import LineSolver

        return LineSolver
    if not isinstance(getattr(measure, "dim", None), int):
        kind = type(measure).__name__
        raise errors.InvalidType(
            f"[{OPERATION}] measure: expected a Law, a density or Samples of deblai.measures, got {kind}"
        )
    from ._optimal.solve import SpaceSolver

    return SpaceSolver
