"""The constants of Zador's theorem, measured."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

from ... import _rng, _validate, errors
from ...results import ZadorFit
from .._quantize import quantize
from ._lattices.lattice import lattice
from ._moments import norm
from ._sites import ROOM, Array

OPERATION = f"{ROOM}.zador_fit"


def zador_fit(
    measure: Any,
    n_sites: Any,
    *,
    p: float = 2,
    periodic: bool = False,
    restarts: int = 0,
    rng: Any = None,
    init: str | None = None,
    tol: float = 1e-6,
    max_iter: int = 2000,
    exponent: Any = "auto",
) -> ZadorFit:
    r"""Energies of quantizers for a ladder of numbers of sites, and the limit that they tend to.

    Zador's theorem says that the least energy has a limit [1]_,

    .. math::
        n^{p/d} D_n \to Q_{p,d} \, \|\rho\|_{d/(d+p)},

    which is fitted with a correction,

    .. math::
        n^{p/d} D_n \approx Q + c \, n^{-e},

    e = 1/d where the domain has a border, along which :math:`n^{1 - 1/d}` cells are not as inside. (Of densities with
    tails the correction is another one, and the limit farther away than its error bar says.) All relative errors count
    alike; standard errors are from what the fit leaves over.

    Parameters
    ----------
    measure : measure
        As `quantize` takes, of the line, the plane or space.
    n_sites : sequence of int
        Numbers of sites, different ones; at least one more than the fit has parameters.
    p : float, default 2
        The exponent of the energy.
    periodic : bool, default False
        Whether the box is a torus; there is no correction then.
    restarts : int, default 0
        Starts of each number of sites beside the first. With few the energies are those of local minima, which are
        above the least by a per cent or so, and so is the limit.
    rng : None, int or numpy.random.Generator
        Source of the starts.
    init : str, optional
        Name of the first start of each, as in `quantize`.
    tol : float, default 1e-6
        As in `quantize`; energies settle long before the sites do.
    max_iter : int, default 2000
        As in `quantize`.
    exponent : float, None or "auto", default "auto"
        e; None for no correction.

    Returns
    -------
    ZadorFit
        `constant`, `stderr`, `exact` (:math:`Q_{p,d} \|\rho\|`, where both are known), `proved`, `scaled`, `slope`.

    Raises
    ------
    InvalidValue
        Too few or repeated numbers of sites, and what `quantize` raises.
    Interrupted
        Ctrl-C; ``.result`` is the fit of the numbers of sites that are done, None where these are too few.

    Warns
    -----
    ConvergenceWarning
        Some quantizers had not converged.

    References
    ----------
    .. [1] S. Graf, H. Luschgy, "Foundations of quantization for probability distributions", Springer 2000, theorem 6.2.

    Examples
    --------
    The exponential law, :math:`n^2 D \to 9/4`:

    >>> import deblai
    >>> from scipy import stats
    >>> from deblai.quantization import crystal
    >>> fit = crystal.zador_fit(deblai.measures.Law(stats.expon()), [20, 40, 80, 160, 320])
    >>> round(fit.exact, 9), bool(abs(fit.constant - fit.exact) < 0.002)
    (2.25, True)
    """
    counts = _ladder(n_sites)
    power = _validate.exponent(OPERATION, p)
    dim = getattr(measure, "dim", None)
    if dim not in (1, 2, 3):
        raise errors.InvalidValue(f"[{OPERATION}] measure: expected a measure of 1, 2 or 3 dimensions, got {measure!r}")
    if isinstance(exponent, str):
        if exponent != "auto":
            raise errors.InvalidValue(f"[{OPERATION}] exponent: expected 'auto', None or a number, got {exponent!r}")
        exponent = None if periodic else 1 / dim
    elif exponent is not None:
        exponent = _validate.real(OPERATION, "exponent", exponent)
        if not exponent > 0:
            raise errors.InvalidValue(f"[{OPERATION}] exponent: expected more than 0, got {exponent!r}")
    least = 2 if exponent is None else 3
    if len(counts) < least:
        raise errors.InvalidValue(f"[{OPERATION}] n_sites: expected at least {least} numbers, got {len(counts)}")
    exact, proved = _limit(measure, power, dim)
    options: dict[str, Any] = {
        "p": p,
        "periodic": periodic,
        "restarts": restarts,
        "rng": _rng.generator(OPERATION, rng),
        "init": init,
    }
    energies: list[float] = []
    failed = []
    try:
        for n in counts:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", errors.ConvergenceWarning)
                r = quantize(measure, n, tol=tol, max_iter=max_iter, **options)
            energies.append(float(r.energy))
            if not r.converged:
                failed.append(n)
    except KeyboardInterrupt:
        done = len(energies)
        partial = None
        if done >= least:
            partial = _fit(counts[:done], energies, power, dim, exponent, exact, proved)
        raise errors.Interrupted(f"[{OPERATION}] interrupted after {done} numbers of sites", partial) from None
    if failed:
        warnings.warn(
            f"[{OPERATION}] not converged for n = {', '.join(map(str, failed))}",
            errors.ConvergenceWarning,
            stacklevel=2,
        )
    return _fit(counts, energies, power, dim, exponent, exact, proved)


def _ladder(n_sites: Any) -> list[int]:
    """Return the numbers of sites."""
    try:
        counts = [_validate.positive_integer(OPERATION, f"n_sites[{k}]", n) for k, n in enumerate(n_sites)]
    except TypeError as error:
        raise errors.InvalidType(f"[{OPERATION}] n_sites: expected a sequence of integers, got {n_sites!r}") from error
    if len(set(counts)) < len(counts):
        raise errors.InvalidValue(f"[{OPERATION}] n_sites: expected different numbers, got {counts}")
    return counts


def _fit(
    counts: list[int],
    energies: list[float],
    p: float,
    dim: int,
    exponent: float | None,
    exact: float | None,
    proved: bool,
) -> ZadorFit:
    """Fit the limit by least squares of relative errors."""
    n, energy = np.array(counts, np.int64), np.array(energies)
    scaled = n ** (p / dim) * energy
    columns = [np.ones(len(n))] if exponent is None else [np.ones(len(n)), n ** -float(exponent)]
    design: Array = np.stack(columns, 1) / scaled[:, None]
    found, *_ = np.linalg.lstsq(design, np.ones(len(n)), rcond=None)
    left = 1 - design @ found
    variance = float(left @ left) / (len(n) - len(found))
    spread = np.sqrt(np.diag(np.linalg.inv(design.T @ design)) * variance)
    slope = (float(found[1]), float(spread[1])) if exponent is not None else (0.0, 0.0)
    return ZadorFit(n, energy, scaled, float(found[0]), float(spread[0]), *slope, exponent, exact, proved)


def _limit(measure: Any, p: float, dim: int) -> tuple[float | None, bool]:
    """Return the limit of the theory, None where it or the norm is not known, and whether it is a theorem."""
    if dim == 3 and p != 2:
        return None, False
    try:
        size = norm(OPERATION, measure, dim / (dim + p))
    except errors.InvalidType:
        return None, False
    if dim == 1:
        return size / ((p + 1) * 2**p), True
    if dim == 2:
        return size * hexagon(p), True
    return size * 3 * lattice("bcc").second_moment, False


def hexagon(p: float) -> float:
    r"""Return the integral of \|x\|^p over the regular hexagon of area 1: by a Gauss rule in the angle."""
    inner = math.sqrt(1 / (2 * math.sqrt(3)))  # the radius of the circle inside
    at, weight = np.polynomial.legendre.leggauss(40)
    angle = (at + 1) * math.pi / 12
    return float(12 * inner ** (p + 2) / (p + 2) * (weight @ np.cos(angle) ** -(p + 2)) * math.pi / 12)
