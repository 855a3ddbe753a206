"""Energies of sites, compared with those of lattices."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np

from ... import errors
from ..._array import NUMPY, library_of
from ..._extras import require
from ...measures import Gaussian, Grid, Law, Polytope, UniformBox
from ...results import QuantizationResult, SecondMoment
from .._laguerre import laguerre
from ._lattices import moments
from ._lattices.lattice import lattice
from ._sites import ROOM, cloud

OPERATION = f"{ROOM}.normalized_second_moment"
BEST = {1: "Z1", 2: "A2", 3: "D3*", 4: "D4", 5: "D5*", 6: "E6*", 7: "E7*", 8: "E8", 12: "K12", 24: "Leech"}


def normalized_second_moment(sites: Any, *, measure: Any = None, periodic: bool = False) -> SecondMoment:
    r"""Energy of sites in the units of Zador's theorem, with what lattices and bounds say beside it.

    .. math::
        G = \frac{n^{2/d} D}{d \, \|\rho\|_{d/(d+2)}}, \qquad
        \|\rho\|_s = \Bigl( \int \rho^s \Bigr)^{1/s},

    D being the mean squared distance to the nearest site. For the best sites it tends to a number that only depends
    on d [1]_: 1/12 on the line, that of hexagons, :math:`5 / (36 \sqrt 3)`, in the plane; of more dimensions the limit
    is known to lie between the ball's, :math:`\Gamma(d/2 + 1)^{2/d} / ((d + 2) \pi)`, and that of random points,
    :math:`\Gamma(d/2 + 1)^{2/d} \, \Gamma(1 + 2/d) / (d \pi)`, and no lattice has less than the limit.

    Parameters
    ----------
    sites : array (n, 2) or (n, 3), or QuantizationResult
        A result of `quantize` or `lloyd` brings its energy, of any dimension; of sites that of their Voronoi cells is
        computed.
    measure : UniformBox, Grid, Polytope, Gaussian on the whole space, or Law; optional
        The density, whose norm is exact (for a Law by quadrature); the even one on the unit square or cube by default.
    periodic : bool, default False
        Whether the box is a torus. (The energy of a result is what it is.)

    Returns
    -------
    SecondMoment
        `value`, `lattice`, `excess`, `sphere`, `zador`, `energy`, `norm`.

    Raises
    ------
    InvalidValue
        Dimensions that do not fit.
    InvalidType
        A measure whose norm is not known.

    References
    ----------
    .. [1] S. Graf, H. Luschgy, "Foundations of quantization for probability distributions", Springer 2000, sections 6
       and 8; J. H. Conway, N. J. A. Sloane, "Sphere packings, lattices and groups", chapter 2.

    Examples
    --------
    >>> import numpy as np, deblai
    >>> from deblai.quantization import crystal
    >>> sites, torus = crystal.lattice("bcc").torus((2, 2, 2))
    >>> crystal.normalized_second_moment(sites, measure=torus, periodic=True)
    SecondMoment(0.07854328, D3*: 0.07854328 (+0.000%), sphere: 0.07696695, n=16, dim=3)
    >>> normal = deblai.measures.Law(__import__("scipy.stats").stats.norm())
    >>> r = deblai.quantization.quantize(normal, 50)
    >>> crystal.normalized_second_moment(r, measure=normal)
    SecondMoment(0.08017065, Z1: 0.08333333 (-3.795%), sphere: 0.08333333, n=50, dim=1)
    """
    if isinstance(sites, QuantizationResult):
        shape = tuple(sites.sites.shape)
        n, d = shape if len(shape) == 2 else (*shape, 1)
        if measure is None and d in (2, 3):
            measure = UniformBox(d * (0.0,), d * (1.0,))
        if getattr(measure, "dim", None) != d:
            raise errors.InvalidValue(f"[{OPERATION}] measure: expected one of {d} dimensions to match sites")
        if sites.p != 2:
            raise errors.InvalidValue(
                f"[{OPERATION}] sites: expected a result of mean squares, got one of p = {sites.p:g}; give its sites"
            )
        energy = float(sites.energy)
    else:
        here = cloud(OPERATION, sites, measure, periodic)
        measure = here.measure
        n, d = here.points.shape
        energy = float(laguerre(here.points, measure=_float64(measure), periodic=here.periodic).energy)
    size = norm(OPERATION, measure, d / (d + 2))
    name = BEST.get(d)
    return SecondMoment(
        n ** (2 / d) * energy / (d * size),
        energy,
        size,
        n,
        d,
        None if name is None else lattice(name).second_moment,
        name,
        moments.sphere(d),
        moments.zador_upper(d),
    )


def _float64(measure: Any) -> Any:
    """Return the measure with pixels of NumPy in float64."""
    if not isinstance(measure, Grid):
        return measure
    return Grid(pixels(measure), measure.lower, measure.upper)


def pixels(measure: Grid) -> Any:
    """Return the values of a Grid as NumPy's, in float64."""
    return np.asarray((library_of(measure.values) or NUMPY).numpy(measure.values), np.float64)


def norm(operation: str, measure: Any, s: float) -> float:
    r"""Return (\int rho^s)^(1/s), 0 < s < 1, of a probability density."""
    if isinstance(measure, Grid):
        values = pixels(measure)
        values = values / values.mean()  # the density, times the volume
        return float((values**s).mean() ** (1 / s) * measure.volume ** ((1 - s) / s))
    if isinstance(measure, UniformBox | Polytope):
        return float(measure.volume ** ((1 - s) / s))
    if isinstance(measure, Gaussian) and measure.domain is None:
        d = measure.dim
        log = np.linalg.slogdet(2 * np.pi * measure.cov)[1] * (1 - s) / 2 - d / 2 * math.log(s)
        return float(np.exp(log / s))
    if isinstance(measure, Law) and hasattr(measure.distribution, "pdf"):
        quad = require("scipy.integrate", operation, "quantization").quad
        ends = [float(measure.quantile(q)) for q in (0.0, 0.25, 0.5, 0.75, 1.0)]
        pieces = itertools.pairwise(ends)
        density = measure.distribution.pdf
        total = sum(
            quad(lambda x: float(density(x)) ** s, a, b, epsabs=0, epsrel=1e-11, limit=200)[0] for a, b in pieces
        )
        return float(total ** (1 / s))
    raise errors.InvalidType(
        f"[{operation}] measure: expected measures.UniformBox, Grid, Polytope, Law with a density, or Gaussian on the "
        f"whole space, whose norms are known, got {measure!r}"
    )
