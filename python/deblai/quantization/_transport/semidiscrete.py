"""Semi-discrete optimal transport: a density to weighted points."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

from ... import _backend, _validate, errors
from ..._array import TORCH, TRACED, Library, gather, is_tracer
from ...measures import UniformBox
from ...results import SemidiscreteResult
from .. import _checks
from .solution import OPERATION, Problem, Solution, solve

UNIT_SQUARE = UniformBox((0.0, 0.0), (1.0, 1.0))


class SemidiscreteState(NamedTuple):
    """What the callback of `semidiscrete` sees: `psi` after `step` steps, and the largest relative error of masses."""

    step: int
    psi: Any
    mass_error: float


def semidiscrete(
    measure: Any,
    sites: Any,
    masses: Any = None,
    *,
    init: Any = None,
    tol: float = 1e-8,
    max_iter: int = 200,
    periodic: bool = False,
    callback: Callable[[SemidiscreteState], bool | None] | None = None,
) -> SemidiscreteResult:
    r"""Transport a density of the plane or of space to weighted points, exactly: cells of prescribed masses.

    .. math::
        W_2^2(\rho, \nu) = \max_\psi \sum_i \int_{V_i(\psi)} \bigl(|x - y_i|^2 - \psi_i\bigr) \, d\rho
        + \sum_i \nu_i \psi_i

    over the cells :math:`V_i` of `laguerre` [1]_, by the damped Newton method of [2]_: the derivative of the masses is
    a sparse Laplacian of integrals along edges. The cost is not halved.

    Parameters
    ----------
    measure : UniformBox, Grid, Polytope, Gaussian, Mixture or PiecewiseLinear of `measures`
        Of the plane; in space a UniformBox, a Grid or a Polytope. It is divided by its total mass; densities may be 0
        in places. Values of a Grid are of the library and device of the sites.
    sites : array (n, d)
        Where the points are, inside or outside of the box; on the torus they are wrapped. NumPy, PyTorch or JAX on the
        CPU, float32 or float64; all is float64 inside.
    masses : array (n,), optional
        Nonnegative, of any positive sum: they are divided by it. Equal masses by default. Sites of mass 0 are left out.
    init : array (n,), optional
        Potentials to begin with. They are used where none of their cells is empty.
    tol : float, default 1e-8
        Converged when every cell has its mass up to this relative error.
    max_iter : int, default 200
        Most steps of Newton's method.
    periodic : bool, default False
        Take the box as a torus.
    callback : callable, optional
        Called with a `SemidiscreteState` for each psi; True stops.

    Returns
    -------
    SemidiscreteResult
        `psi`, `value`, `value_lower`, `value_upper`, `masses`, `mass_error`, `centroids`, `converged`, `n_iter`,
        `history`, `grad`, `backend`; `map` and `cells`. For PyTorch and JAX `value` is differentiable once in sites,
        masses, and the values of a Grid of the plane:

        .. math::
            \nabla_{y_i} = 2 m_i (y_i - b_i), \qquad \partial_{\nu_i} = \psi_i, \qquad
            \partial_{\rho_p} = \int_p \min_i \bigl(|x - y_i|^2 - \psi_i\bigr) \, dx,

        where masses and density have sum 1: what is divided out on the way there is differentiated, too.

    Raises
    ------
    InvalidValue
        Shapes that do not fit, NaN, infinite or negative entries, no mass, sites with mass at the same place.
    InvalidType
        Mixed libraries, devices or dtypes; anything but float32 and float64; other measures; arrays on a GPU.
    MissingExtra
        Of `map` alone: SciPy is missing, which has the tree; it comes with the extra ``quantization``.
    Interrupted
        Ctrl-C; ``.result`` holds the best psi so far, which is that of the product while levels are on their way.

    Warns
    -----
    ConvergenceWarning
        `max_iter` came first, or no step leaves all cells filled: by rounding, or for what Notes name as hard.

    Notes
    -----
    It begins with cells that are never empty: each coordinate of the sites is rearranged to that of a product inside of
    the domain, which is a convex potential wherever the sites are. Where that leaves most masses far off, as rough
    densities do, or ones in separate pieces, the sites go through levels of fewer ones, from entropic transport [3]_ of
    a few up: soft potentials of one level leave no cell of the next one empty. Many sites of a density that varies
    slowly begin with the smooth potential of a lattice. Masses below a thousandth of their mean begin larger. `n_iter`
    and `history` count steps with all sites and their own masses.

    A step t is halved until every cell has at least half of the smallest mass at the start or wanted, and the error of
    the masses is at most 1 - t/2 of what it was. Where the density varies and t would be below 1/8, the Laplacian gets
    a share of that of the even density instead, as small as leaves no cell empty and gains a tenth of what it should
    (Levenberg and Marquardt). So the density may vanish, and its support may be in pieces: where masses of cells fit
    the pieces, potentials are those of one of many solutions. Hard, and often not converged (with a warning): pixels
    over more than some ten powers of e with few sites, on a torus also mass in two or three pixels only and clusters
    narrower than 1e-5 of its sides, and masses below 1e-8 of their mean.

    Systems are solved by conjugate gradients with smoothed aggregation. Results do not depend on the number of threads,
    to the bit. In the plane a step begins with the neighbours of the one before, and areas that add up to the whole
    show that nothing is missing. Memory: about 1.5 KB a site, 5 KB in space.

    References
    ----------
    .. [1] F. Aurenhammer, F. Hoffmann, B. Aronov, "Minkowski-type theorems and least-squares clustering",
       Algorithmica 1998.
    .. [2] J. Kitagawa, Q. Mérigot, B. Thibert, "Convergence of a Newton algorithm for semi-discrete optimal transport",
       JEMS 2019, arXiv 1603.05579.
    .. [3] M. Cuturi, "Sinkhorn distances: lightspeed computation of optimal transport", NeurIPS 2013.

    Examples
    --------
    Two points take halves of the square, which moves by sqrt(5/48) in the mean square:

    >>> import numpy as np, deblai
    >>> square = deblai.measures.UniformBox((0, 0), (1, 1))
    >>> r = deblai.quantization.semidiscrete(square, np.array([[0.25, 0.5], [0.75, 0.5]]))
    >>> bool(abs(r.value - 5 / 48) < 1e-15)
    True

    Masses of 0.6 and 0.4:

    >>> r = deblai.quantization.semidiscrete(square, np.array([[0.25, 0.5], [0.75, 0.5]]), np.array([0.6, 0.4]))
    >>> r.masses.round(12)
    array([0.6, 0.4])
    >>> r.map(np.array([[0.59, 0.1], [0.61, 0.1]])).tolist()
    [0, 1]
    """
    density = _checks.box(OPERATION, measure, periodic, (2, 3), _checks.BOXES + _checks.FORMS)
    tol = _validate.real(OPERATION, "tol", tol)
    if tol < 0:
        raise errors.InvalidValue(f"[{OPERATION}] tol: expected at least 0, got {tol!r}")
    max_iter = _validate.nonnegative_integer(OPERATION, "max_iter", max_iter)
    if not (callback is None or callable(callback)):
        raise errors.InvalidType(
            f"[{OPERATION}] callback: expected a function of a SemidiscreteState, got {callback!r}"
        )
    named = {"sites": sites, "masses": masses, "init": init}
    library, (sites, masses, init) = gather(OPERATION, named, traces=True)
    _checks.sites(OPERATION, sites, measure.dim)
    for name, v in (("masses", masses), ("init", init)):
        if v is not None and tuple(v.shape) != (sites.shape[0],):
            raise errors.InvalidValue(
                f"[{OPERATION}] {name}: expected {sites.shape[0]} values to match sites, got shape {tuple(v.shape)}"
            )
    density = _checks.like(OPERATION, library, {"sites": sites, "masses": masses, "init": init}, density)
    library = TRACED if is_tracer(density) else library
    if library.device(sites) != "cpu":
        raise errors.InvalidType(f"[{OPERATION}] sites: expected arrays on the CPU, got {library.device(sites)}")
    box = tuple(measure.lower), tuple(measure.upper), bool(periodic)
    form = _checks.form(measure)
    if library is TRACED:
        from ...jax import semidiscrete as adapter

        return adapter.semidiscrete(sites, masses, init, density, *box, tol, max_iter, form, callback)
    return run(library, (sites, masses, init, density), (*box, tol, max_iter, form), callback)


def run(
    library: Library,
    arrays: tuple[Any, Any, Any, Any],
    fixed: tuple[Any, ...],
    callback: Callable[[SemidiscreteState], bool | None] | None,
) -> SemidiscreteResult:
    """Solve a checked problem: sites, masses, init and density; box, tolerance and steps."""
    sites = arrays[0]
    q = Problem.of(library, *arrays, *fixed)
    plan = _backend.plan(OPERATION, "cpu")

    def called(step: int, psi: Any, error: float) -> bool | None:
        return None if callback is None else callback(SemidiscreteState(step, library.export(psi, sites), error))

    value = None
    try:
        if library is TORCH:
            from ...torch import semidiscrete as operator

            value, found = operator.solve(q, arrays, plan, None if callback is None else called)
        else:
            found = solve(q, plan, called)
    except errors.Interrupted as stop:
        best = stop.result
        raise errors.Interrupted(str(stop), None if best is None else _result(q, best, library, arrays, plan)) from None
    if not (found.converged or found.stopped):
        why = "and no step brings it nearer to" if found.stalled else "more than"
        warnings.warn(
            f"[{OPERATION}] not converged after {found.n_iter} steps: a mass is off by {found.mass_error:.1e} of "
            f"itself, {why} tol={q.tol:g}",
            errors.ConvergenceWarning,
            stacklevel=3,
        )
    return _result(q, found, library, arrays, plan, value)


class _Gradients(dict[str, Any]):
    """Gradients by name, of which that in the density is computed when it is asked for."""

    def __init__(self, known: dict[str, Any], density: Callable[[], Any]) -> None:
        super().__init__(known)
        self._density = density

    def __missing__(self, name: str) -> Any:
        if name != "density":
            raise KeyError(name)
        return self.setdefault(name, self._density())


def _result(
    q: Problem, s: Solution, library: Library, arrays: tuple[Any, ...], plan: _backend.Plan, value: Any = None
) -> SemidiscreteResult:
    sites = arrays[0]
    if value is None:
        (value,) = library.scalars([s.value], sites)
    known = {"sites": library.export(s.grad_sites, sites), "masses": library.export(s.grad_masses, sites)}
    grad = _Gradients(known, lambda: library.export(s.grad_density(), sites))

    def assign(x: Any) -> Any:
        points_of, (points,) = gather(OPERATION, {"x": x})
        dim = len(q.lower)
        if points is None or points.ndim != 2 or points.shape[1] != dim:
            raise errors.InvalidValue(
                f"[{OPERATION}] x: expected points (m, {dim}), got {getattr(points, 'shape', None)}"
            )
        return points_of.device_array(q.nearest(s.psi, points_of.numpy(points)), points)

    return SemidiscreteResult(
        library.export(s.psi, sites),
        value,
        s.value,
        s.value_upper,
        library.export(s.masses, sites),
        s.mass_error,
        library.export(s.centroids, sites),
        s.converged,
        s.n_iter,
        s.history,
        grad,
        plan.label,
        assign,
        lambda: q.cells(q.sites, s.psi),
    )
