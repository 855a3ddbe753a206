"""Strictly correlated particles of the line: the exact optimum for convex decreasing costs."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from ... import _validate, costs, errors
from ..._array import TRACED, gather
from ..._extras import require
from ...measures import Law
from ...reference.multimarginal import pair_cost, pair_slope
from ...results import SeidlResult
from . import line as _line

OPERATION = "multimarginal.seidl"
Array = np.ndarray[Any, Any]


class _Radial:
    """A cost and its derivative as functions of the distance."""

    def __init__(self, cost: costs.PairCost) -> None:
        self.kind = (cost.kind, cost.s, cost.strength)

    def __call__(self, r: Array) -> Array:
        return np.asarray(pair_cost(np.zeros((1, 1)), r.reshape(-1, 1), *self.kind)[0].reshape(r.shape))

    def derivative(self, r: Array) -> Array:
        near = np.where(np.isfinite(r), r, 1.0)
        slope = pair_slope(np.zeros((1, 1)), near.reshape(-1, 1), *self.kind)[0].reshape(r.shape)
        return np.where(np.isfinite(r), slope * near, 0.0)


def seidl(points: Any, weights: Any = None, *, n_marginals: int, cost: Any = "coulomb") -> SeidlResult:
    r"""Optimal transport of N equal marginals on the line for a convex decreasing cost, exactly.

    .. math::
        \min_\pi \Big\langle \sum_{p<q} w(|x_p - x_q|), \pi \Big\rangle
        = N \int_0^{1/N} \sum_{j<k} w\big(F^{-1}(u + k/N) - F^{-1}(u + j/N)\big)\,du

    The optimal plan is strictly correlated: one particle's place says where all are [1]_ [2]_.

    Parameters
    ----------
    points : array (n,) or (n, 1), or `measures.Law`
        Points of the line in any order, or a continuous law.
    weights : array (n,), optional
        Nonnegative weights of any positive sum: they are divided by it. Equal weights by default. None for a law.
    n_marginals : int
        The number N >= 2 of particles.
    cost : str or cost of `deblai.costs`, default "coulomb"
        Convex and decreasing in the distance: "coulomb", "log", `costs.Riesz`, `costs.Yukawa`, or `costs.Power` with an
        exponent of at most 1 and a negative strength.

    Returns
    -------
    SeidlResult
        `value`, `lower`, `upper`, `comotion(u)`, `maps(x)`; of points also `tuples`, `masses`, `potentials`,
        `pair_marginal()`; of a law `potential(x)`. Not differentiable.

    Warns
    -----
    ConvergenceWarning
        The quadrature over a law estimates an error above 1e-6 of the value.

    Raises
    ------
    InvalidValue
        A cost that is not convex and decreasing, points that are not on the line, a point (or several in one place)
        with more than 1/N of the mass, shapes that do not fit.
    InvalidType
        Mixed libraries, devices or dtypes; anything but float32 and float64.
    MissingExtra
        A law without SciPy: ``pip install 'deblai[exact]'``.

    Notes
    -----
    Points cost O(n N^2) time and O(n N) memory and are exact to rounding: the tuples are those of the merged quantile
    functions, and the potential that proves them optimal comes from the same steps. Laws are integrated by SciPy's
    adaptive Gauss-Kronrod rule, from each end of (0, 1/N) to the middle, with quantiles of the nearer tail.

    References
    ----------
    .. [1] M. Seidl, "Strong-interaction limit of density-functional theory", Phys. Rev. A 60, 1999.
    .. [2] M. Colombo, L. De Pascale, S. Di Marino, "Multimarginal optimal transport maps for one-dimensional repulsive
       costs", Canad. J. Math. 2015.

    Examples
    --------
    Ten electrons on a segment, N (N H_{N-1} - N + 1):

    >>> import numpy as np, deblai
    >>> r = deblai.multimarginal.seidl((np.arange(100) + 0.5) / 100, n_marginals=10)
    >>> round(float(r.value), 8), len(r.masses)
    (192.8968254, 10)

    Two electrons of a Gaussian density:

    >>> from scipy import stats
    >>> r = deblai.multimarginal.seidl(deblai.measures.Law(stats.norm()), n_marginals=2)
    >>> round(r.value, 8)
    0.64598499
    >>> r.maps([0.0, 1.0]).round(3).tolist()  # to the far end, to the other side
    [[0.0, inf], [1.0, -0.409]]
    """
    count = _validate.positive_integer(OPERATION, "n_marginals", n_marginals)
    if count < 2:
        raise errors.InvalidValue(f"[{OPERATION}] n_marginals: expected at least 2, got {count}")
    if not isinstance(cost, str | costs.PairCost):
        raise errors.InvalidType(f"[{OPERATION}] cost: expected a name or a cost of deblai.costs, got {cost!r}")
    pair = costs.named(OPERATION, cost)
    if not pair.convex_decreasing:
        raise errors.InvalidValue(
            f"[{OPERATION}] cost: expected one that is convex and decreasing in the distance (Coulomb, log, Riesz, "
            f"Yukawa, -r^p with p <= 1), got {cost!r}, for which these maps are not optimal"
        )
    if isinstance(points, Law):
        if weights is not None:
            raise errors.InvalidValue(f"[{OPERATION}] weights: expected None for a law, which has its own")
        return _of_law(points, count, _Radial(pair))
    return _of_points(points, weights, count, pair)


def _of_points(points: Any, weights: Any, count: int, pair: costs.PairCost) -> SeidlResult:
    library, (x, w) = gather(OPERATION, {"points": points, "weights": weights}, traces=True)
    if library is TRACED:
        raise errors.InvalidType(f"[{OPERATION}] points: expected arrays with values, got tracers inside jit of JAX")
    x = _validate.points(OPERATION, "points", x)
    w = _validate.weights(OPERATION, "weights", w, x, "points")
    if x.shape[1] != 1:
        raise errors.InvalidValue(f"[{OPERATION}] points: expected points of the line, got {x.shape[1]} coordinates")
    at = np.asarray(library.numpy(x), np.float64)[:, 0]
    if not np.isfinite(at).all():
        raise errors.InvalidValue(f"[{OPERATION}] points: expected finite values, got nan or inf")
    mass = np.ones(len(at)) if w is None else np.asarray(library.numpy(w), np.float64)
    if not np.isfinite(mass).all() or (mass < 0).any() or not 0 < mass.sum() < np.inf:
        raise errors.InvalidValue(f"[{OPERATION}] weights: expected finite nonnegative weights of positive total mass")
    tol = count * (1e-13 if library.dtype(x) == "float64" else 1e-6)
    proof = prove(OPERATION, at, mass / mass.sum(), count, pair, tol)
    (value,) = library.scalars([proof.value], x)
    return SeidlResult(
        value=value,
        lower=proof.lower,
        upper=proof.upper,
        certified=True,
        potentials=library.export(proof.potentials, x),
        tuples=library.device_array(proof.tuples, x),
        masses=library.export(proof.masses, x),
        n_marginals=count,
        _positions=proof.positions,
        _cdf=proof.middle,
        _potential=None,
        _size=len(at),
        _like=x,
    )


class prove:
    """The optimal plan of points of the line and the potential that proves it."""

    def __init__(self, operation: str, at: Array, mass: Array, count: int, pair: costs.PairCost, tol: float) -> None:
        order = np.argsort(at, kind="stable")
        x, w = at[order], mass[order]
        places, place = np.unique(x, return_inverse=True)
        together = np.bincount(place, weights=w)
        radial = _Radial(pair)
        if (together * count > 1 + tol).any():
            raise errors.InvalidValue(
                f"[{operation}] weights: expected at most 1/{count} of the mass in one place, got "
                f"{together.max():.6g} at {places[together.argmax()]:.6g}: "
                + (
                    "no plan has a finite cost"
                    if np.isinf(radial(np.zeros(1))[0])
                    else "particles would sit together, of which these maps know nothing; use linear_program or genetic"
                )
            )
        where, self.masses = _line.tuples(_line.steps(w, count, tol), w, count)
        # The potential sees places: points in one place may be what no further mass fits beside.
        f, rounding = _line.potential(_line.steps(together, count, tol), together, places, radial, count)
        f = f[place]
        each = _line.configuration_cost(x.astype(np.longdouble)[where], radial)
        self.value = float(self.masses @ each)
        self.tuples = np.sort(order[where], axis=1)
        self.potentials = np.empty(len(at))
        self.potentials[order] = f.astype(np.float64)
        eps = float(np.finfo(np.float64).eps)
        spread = count * eps * (float(np.abs(f).max()) + float(np.abs(each).max()))
        self.error = float(rounding) + 4 * spread + 4 * eps * len(at) * abs(self.value)
        self.upper = self.value + self.error
        self.lower = count * float(w.astype(np.longdouble) @ f) - self.error
        self._x, self._below = x, np.concatenate([[0.0], np.cumsum(w)])

    def positions(self, u: Array) -> Array:
        """Return the places of all particles, first that of mass u."""
        count = self.tuples.shape[1]
        at = (u[:, None] + np.arange(count) / count) % 1.0
        return np.asarray(self._x[np.clip(np.searchsorted(self._below, at, side="right") - 1, 0, len(self._x) - 1)])

    def middle(self, x: Array) -> Array:
        """Return the mass below x and half of the mass there."""
        left, right = (np.searchsorted(self._x, x, side=side) for side in ("left", "right"))
        return np.asarray((self._below[left] + self._below[right]) / 2)


def _of_law(law: Law, count: int, radial: _Radial) -> SeidlResult:
    integrate = require("scipy.integrate", OPERATION, "exact")

    def energy(v: float) -> Array:
        """Return the cost at u = v and at u = 1/N - v."""
        shift = np.arange(count) / count
        low = np.asarray(law.quantile(v + shift))
        high = np.asarray(law.quantile(shift[1:] - v))
        high = np.append(high, law.upper_quantile(v))
        return _line.configuration_cost(np.stack([low, high]), radial)

    def integral(f: Any, end: float, scale: float) -> tuple[Array, float]:
        with np.errstate(divide="ignore"):
            found, error = integrate.quad_vec(f, 0.0, end, epsabs=1e-13 * scale, epsrel=1e-12, norm="max", limit=2000)
        return np.asarray(found), float(error)

    halves, error = integral(energy, 0.5 / count, 0.0)
    value = count * float(halves.sum())
    error = 2 * count * error + 8 * float(np.finfo(float).eps) * abs(value)
    if not error <= 1e-6 * abs(value) + 1e-9:
        warnings.warn(
            f"[{OPERATION}] the quadrature estimates an error of {error:.1g} for the value {value:.6g}",
            errors.ConvergenceWarning,
            stacklevel=3,
        )

    def positions(q: Array) -> Array:
        at = q[:, None] + np.arange(count) / count
        at = np.where(at > 1, at - 1, at)
        with np.errstate(divide="ignore"):
            return np.asarray(np.where(at > 0.5, law.upper_quantile(1 - at), law.quantile(at)))

    def slope(x: Array) -> Array:
        y = positions(np.asarray(law.cdf(x.ravel()), np.float64))[:, 1:].reshape(*x.shape, count - 1)
        d = x[..., None] - y
        return np.asarray((radial.derivative(np.abs(d)) * np.sign(d)).sum(-1))

    def potential(x: Array) -> Array:
        anchors = np.asarray(law.quantile((np.arange(count) + 0.5) / count))
        breaks = np.asarray(law.quantile(np.arange(1, count) / count))
        nodes = np.unique(np.concatenate([x, anchors, breaks]))
        width = np.diff(nodes)
        total = np.zeros(len(nodes))
        if len(width):
            rises, _ = integral(lambda s: slope(nodes[:-1] + s * width) * width, 1.0, 100.0)
            total[1:] = np.cumsum(rises)
        at = np.searchsorted(nodes, anchors)
        constant = (float(_line.configuration_cost(anchors[None, :], radial)[0]) - total[at].sum()) / count
        return np.asarray(total[np.searchsorted(nodes, x)] + constant)

    return SeidlResult(
        value=value,
        lower=value - error,
        upper=value + error,
        certified=False,
        potentials=None,
        tuples=None,
        masses=None,
        n_marginals=count,
        _positions=positions,
        _cdf=lambda x: np.asarray(law.cdf(x), np.float64),
        _potential=potential,
        _size=0,
        _like=None,
    )
