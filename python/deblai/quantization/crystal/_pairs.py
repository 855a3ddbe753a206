"""The pair correlation function."""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np

from ... import _validate, errors
from ..._extras import require
from ...measures import UniformBox
from ...results import PairCorrelation
from ._sites import ROOM, Array, Cloud, cloud

OPERATION = f"{ROOM}.pair_correlation"
PAIRS = 1 << 21  # at a time, about
REACH = 6.0  # mean spacings


def pair_correlation(
    sites: Any, *, measure: Any = None, periodic: bool = False, r_max: float | None = None, bins: Any = 100
) -> PairCorrelation:
    r"""Pair correlation function g(r): how dense sites are at a distance r from a site.

    .. math::
        g(r) = \frac{V}{n^2 \, |S_r|} \sum_{i \ne j} w_{ij} \, 1\{|y_i - y_j| \in (r, r + dr]\}

    with :math:`|S_r|` the volume of the shell; 1 for independent points (up to 1/n), and at large r without order.
    On the torus w = 1. In a box it is the translation correction [1]_

    .. math::
        w_{ij} = \prod_a \frac{L_a}{L_a - |y_{ia} - y_{ja}|}.

    Parameters
    ----------
    sites : array (n, 2) or (n, 3), QuantizationResult or Bonds
        NumPy, PyTorch, JAX or CuPy.
    measure : UniformBox or Grid, optional
        The box, with the even density on it; the unit square or cube by default. Bonds have theirs.
    periodic : bool, default False
        Whether it is a torus.
    r_max : float, optional
        At most half of the shortest side, which is the default where six mean spacings are more. In a box it may be
        larger, but less than the shortest side.
    bins : int or array (b + 1,), default 100
        Number of shells of equal thickness, or their rising borders, which then say `r_max`.

    Returns
    -------
    PairCorrelation
        `r`, `g`, `edges`, and `number`, the mean number of sites within r.

    Raises
    ------
    InvalidValue
        Other measures, shells beyond what the box can say.
    MissingExtra
        SciPy is missing; it comes with the extra ``quantization``.

    References
    ----------
    .. [1] J. Ohser, "On estimators for the reduced second moment measure of point processes", Math. Operationsforsch.
       Statist. Ser. Statist. 14, 1983.

    Examples
    --------
    Shells of the triangular lattice, at 1, sqrt(3), 2 and sqrt(7):

    >>> from deblai.quantization import crystal
    >>> sites, torus = crystal.lattice("A2").torus((8, 4))
    >>> c = crystal.pair_correlation(sites, measure=torus, periodic=True, bins=[0.5, 1.5, 1.9, 2.5, 2.7])
    >>> c.number.round(9).tolist()
    [6.0, 12.0, 18.0, 30.0]
    """
    here = cloud(OPERATION, sites, measure, periodic)
    if not isinstance(here.domain, UniformBox):
        raise errors.InvalidValue(f"[{OPERATION}] measure: expected a box, got {here.measure}")
    if not here.periodic and not ((here.points >= here.lower) & (here.points <= here.lower + here.sides)).all():
        raise errors.InvalidValue(f"[{OPERATION}] sites: expected sites in the box of measure, got some outside")
    n, d = here.points.shape
    edges = _edges(here, r_max, bins)
    count = _counts(here, edges)
    ball = math.pi if d == 2 else 4 * math.pi / 3
    density = n / here.domain.volume
    g = count / (n * density * ball * np.diff(edges**d))
    within = np.cumsum(count) / n
    middle = (edges[1:] + edges[:-1]) / 2
    return PairCorrelation(here.real(middle), here.real(g), here.real(edges), here.real(within))


def _edges(here: Cloud, r_max: Any, bins: Any) -> Array:
    """Return the borders of shells."""
    shortest = float(here.sides.min())
    try:
        count = _validate.positive_integer(OPERATION, "bins", operator.index(bins))
    except TypeError:
        count = None
    if count is None:
        if r_max is not None:
            raise errors.InvalidValue(f"[{OPERATION}] r_max: expected none beside borders of bins")
        try:
            edges = np.array(bins, np.float64)
        except (TypeError, ValueError) as error:
            raise errors.InvalidType(f"[{OPERATION}] bins: expected an integer or numbers, got {bins!r}") from error
        if edges.ndim != 1 or len(edges) < 2 or not (edges[0] >= 0 and (np.diff(edges) > 0).all()):
            raise errors.InvalidValue(f"[{OPERATION}] bins: expected at least two rising numbers, got {edges.tolist()}")
    else:
        spacing = (here.domain.volume / len(here.points)) ** (1 / here.dim)
        far = min(REACH * spacing, shortest / 2) if r_max is None else _validate.real(OPERATION, "r_max", r_max)
        if not far > 0:
            raise errors.InvalidValue(f"[{OPERATION}] r_max: expected more than 0, got {r_max!r}")
        edges = np.linspace(0.0, far, count + 1)
    most = shortest / 2 if here.periodic else shortest
    if not (edges[-1] <= most * (1 + 1e-12) if here.periodic else edges[-1] < most):
        what = "half of the shortest side" if here.periodic else "the shortest side, exclusive"
        raise errors.InvalidValue(f"[{OPERATION}] r_max: expected at most {most:g}, {what}, got {edges[-1]:g}")
    return edges


def _counts(here: Cloud, edges: Array) -> Array:
    """Return the weighted number of ordered pairs of each shell, by a k-d tree and some sites at a time."""
    spatial = require("scipy.spatial", OPERATION, "quantization")
    points, sides = here.points, here.sides if here.periodic else None
    if here.periodic:
        points = np.mod(points - here.lower, here.sides)
        points = np.where(points < here.sides, points, 0.0)  # mod of a tiny negative number
    n, d = points.shape
    tree = spatial.cKDTree(points, boxsize=sides)
    near = n / here.domain.volume * (2 * edges[-1]) ** d + 1
    step = max(1, int(PAIRS / near))
    total = np.zeros(len(edges) - 1)
    for begin in range(0, n, step):
        some = spatial.cKDTree(points[begin : begin + step], boxsize=sides)
        found = some.sparse_distance_matrix(tree, edges[-1], output_type="ndarray")
        i, j = found["i"] + begin, found["j"]
        shell = np.searchsorted(edges, found["v"], side="left") - 1
        kept = (i != j) & (shell >= 0) & (shell < len(total))
        weight = None
        if not here.periodic:
            away = np.abs(points[i[kept]] - points[j[kept]])
            weight = np.prod(here.sides / np.maximum(here.sides - away, 1e-300), axis=1)
        total += np.bincount(shell[kept], weight, len(total))
    return total
