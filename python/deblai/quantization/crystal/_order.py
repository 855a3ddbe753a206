"""Bond-orientational order."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ... import _validate, errors
from ...results import BondOrder
from ._bonds import Ends, ends, given_or_found
from ._sites import ROOM, Array

OPERATION = f"{ROOM}.bond_order"
WEIGHTINGS = ("facet", "none")


def bond_order(
    sites: Any,
    order: int = 6,
    *,
    measure: Any = None,
    periodic: bool = False,
    weighting: str = "facet",
    border: bool = False,
) -> BondOrder:
    r"""Order of the directions of bonds: psi_k in the plane, Steinhardt's q_l in space.

    .. math::
        \psi_k(i) = \sum_j w_{ij} e^{i k \theta_{ij}}, \qquad
        q_l(i)^2 = \frac{4 \pi}{2 l + 1} \sum_{m=-l}^{l} |q_{lm}(i)|^2, \quad
        q_{lm}(i) = \sum_j w_{ij} Y_{lm}(n_{ij})

    over the bonds of a site, with :math:`\theta_{ij}` and :math:`n_{ij}` their directions. Weights add up to 1: they
    are as the lengths of edges, the areas of facets (the Minkowski structure metrics [1]_, which do not jump where a
    neighbour comes or goes), or equal, as in [2]_ and [3]_.

    Parameters
    ----------
    sites : array (n, 2) or (n, 3), QuantizationResult or Bonds
        As `bonds` takes and returns.
    order : int, default 6
        k or l, at least 1; at most 100. Sixfold order in the plane has k = 6, fourfold 4; cubic order in space shows
        in l = 4 and 6.
    measure : measure, optional
        The domain, as in `bonds`; Bonds have theirs.
    periodic : bool, default False
        Whether it is a torus.
    weighting : {"facet", "none"}, default "facet"
        Minkowski's weights or equal ones.
    border : bool, default False
        Whether sites whose cells touch the border of the domain, which lack neighbours, count in the means.

    Returns
    -------
    BondOrder
        `local`, `local_mean`, `global_order`. Sites without bonds have 0 and do not count; means of none are nan.

    Raises
    ------
    InvalidValue
        What `bonds` raises; an order below 1 or above 100, an unknown weighting.

    References
    ----------
    .. [1] W. Mickel, S. C. Kapfer, G. E. Schröder-Turk, K. Mecke, "Shortcomings of the bond orientational order
       parameters for the analysis of disordered particulate matter", J. Chem. Phys. 138, 2013.
    .. [2] D. R. Nelson, B. I. Halperin, "Dislocation-mediated melting in two dimensions", Phys. Rev. B 19, 1979.
    .. [3] P. J. Steinhardt, D. R. Nelson, M. Ronchetti, "Bond-orientational order in liquids and glasses", Phys. Rev. B
       28, 1983.

    Examples
    --------
    >>> from deblai.quantization import crystal
    >>> sites, torus = crystal.lattice("A2").torus((4, 2))
    >>> crystal.bond_order(sites, 6, measure=torus, periodic=True)
    BondOrder(order=6, n=16, local_mean=1, global_order=1)

    The face-centred cubic lattice:

    >>> sites, torus = crystal.lattice("fcc").torus((2, 2, 2))
    >>> b = crystal.bonds(sites, measure=torus, periodic=True)
    >>> [round(crystal.bond_order(b, l).local_mean, 6) for l in (4, 6)]
    [0.190941, 0.574524]
    """
    degree = _validate.positive_integer(OPERATION, "order", order)
    if degree > 100:
        raise errors.InvalidValue(f"[{OPERATION}] order: expected at most 100, got {order!r}")
    if weighting not in WEIGHTINGS:
        raise errors.InvalidValue(f"[{OPERATION}] weighting: expected one of {WEIGHTINGS}, got {weighting!r}")
    if not isinstance(border, bool | np.bool_):
        raise errors.InvalidType(f"[{OPERATION}] border: expected True or False, got {border!r}")
    here, found = given_or_found(OPERATION, sites, measure, periodic, (2, 3))
    n = len(here.points)
    rows = ends(found, here)
    share = rows.facet if weighting == "facet" else np.ones(len(rows.i))
    whole = rows.sum(share, n)
    has = whole > 0
    weight = share / np.where(has, whole, 1.0)[rows.i]
    counted = has & (np.ones(n, bool) if border else ~here.library.numpy(found.border))
    q = (_plane if here.dim == 2 else _space)(rows, weight, degree, n)
    local = q[0] if here.dim == 2 else length(q, degree)
    if counted.any():
        mean = q[:, counted].mean(1, keepdims=True)
        far = abs(mean[0, 0]) if here.dim == 2 else length(mean, degree)[0]
        near = float(np.abs(local[counted]).mean())
    else:
        near = far = float("nan")
    if here.dim == 2:
        kind = np.complex64 if here.library.dtype(here.given) == "float32" else np.complex128
        local_out = here.whole(local.astype(kind))
    else:
        local_out = here.real(local)
    return BondOrder(degree, local_out, near, float(far), here.whole(counted))


def _plane(rows: Ends, weight: Array, k: int, n: int) -> Array:
    """Return psi_k of each site, shape (1, n)."""
    unit = rows.offset[:, 0] + 1j * rows.offset[:, 1]
    wave = weight * (unit / np.abs(unit)) ** k
    return (rows.sum(wave.real, n) + 1j * rows.sum(wave.imag, n))[None]


def _space(rows: Ends, weight: Array, degree: int, n: int) -> Array:
    """Return q_lm of each site for m = 0, ..., l, shape (l + 1, n)."""
    q = np.empty((degree + 1, n), complex)
    for m, wave in enumerate(harmonics(rows.offset, degree)):
        q[m] = rows.sum(weight * wave.real, n) + 1j * rows.sum(weight * wave.imag, n)
    return q


def length(q: Array, degree: int) -> Array:
    """Return sqrt(4 pi / (2 l + 1) sum |q_lm|^2), the negative m being as the positive ones."""
    square = np.abs(q) ** 2
    return np.asarray(np.sqrt(4 * np.pi / (2 * degree + 1) * (square[0] + 2 * square[1:].sum(0))))


def harmonics(v: Array, degree: int) -> Any:
    """Yield the spherical harmonics Y_lm of vectors (k, 3), for m = 0, ..., l, by the recurrence in l."""
    z = v[:, 2] / np.sqrt((v**2).sum(1))
    flat = v[:, 0] + 1j * v[:, 1]
    across = np.abs(flat)
    turn = np.where(across > 0, flat / np.where(across > 0, across, 1.0), 1.0)
    sine = across / np.sqrt((v**2).sum(1))
    top = np.full(len(v), math.sqrt(1 / (4 * math.pi)))  # the normalised P_mm
    for m in range(degree + 1):
        if m:
            top = -math.sqrt((2 * m + 1) / (2 * m)) * sine * top
        before, now = np.zeros(len(v)), top
        for k in range(m + 1, degree + 1):
            a = math.sqrt((4 * k * k - 1) / (k * k - m * m))
            b = math.sqrt(((k - 1) ** 2 - m * m) / (4 * (k - 1) ** 2 - 1))
            before, now = now, a * (z * now - b * before)
        yield now * turn**m
