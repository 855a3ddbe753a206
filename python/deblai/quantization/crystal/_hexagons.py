"""Distance of neighbourhoods to the triangular lattice."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...results import Hexagonality
from .._laguerre import laguerre
from ._bonds import Ends, ends, given_or_found
from ._sites import ROOM, Array

OPERATION = f"{ROOM}.hexagonality"
MOMENT = 5 / (18 * 3**0.5)  # second moment of the regular hexagon of area 1
CHUNK = 20_000  # sites at a time, about 20 KB each


def hexagonality(sites: Any, *, measure: Any = None, periodic: bool = False) -> Hexagonality:
    r"""Distance of each site's neighbours to those of a triangular lattice, and the energy beside it.

    The lattice with n sites on an area A has the spacing

    .. math::
        a = \sqrt{\frac{2 A}{\sqrt 3 \, n}}.

    The six neighbours of a site, in the order of their directions, are compared with the corners of a hexagon about the
    site, of this size and turned as is best:

    .. math::
        \mathrm{distance}_i = \frac{1}{a} \min_\phi \max_{k = 0, \dots, 5}
        \bigl| y_{j_k} - y_i - a \, (\cos(\phi + k \pi / 3), \, \sin(\phi + k \pi / 3)) \bigr|.

    With the energy D (the mean squared distance to the nearest site), the deficit is

    .. math::
        \frac{n D}{A \cdot 5 / (18 \sqrt 3)} - 1 \ge 0,

    as no cells are better than regular hexagons of the same number [1]_; sites for which it is small are near to a
    triangular lattice, all but a few [2]_.

    Parameters
    ----------
    sites : array (n, 2), QuantizationResult or Bonds
        As `bonds` takes and returns.
    measure : measure, optional
        The domain, as in `bonds`, with the even density on it; Bonds have theirs.
    periodic : bool, default False
        Whether it is a torus.

    Returns
    -------
    Hexagonality
        `distance` (inf where there are not six neighbours, and at the border), `spacing`, `deficit`, `median`,
        `worst`, ``share(within)``.

    Raises
    ------
    InvalidValue
        What `bonds` raises; sites in space.

    Notes
    -----
    The minimum is exact: it is where one of the six distances is least or where two of them are equal, 36 angles.

    References
    ----------
    .. [1] L. Fejes Tóth, "Lagerungen in der Ebene, auf der Kugel und im Raum", Springer 1953.
    .. [2] D. P. Bourne, R. Cristoferi, "Asymptotic optimality of the triangular lattice for a class of optimal location
       problems", Commun. Math. Phys. 387, 2021 (arXiv:2012.12129).

    Examples
    --------
    >>> from deblai.quantization import crystal
    >>> sites, torus = crystal.lattice("A2").torus((4, 2))
    >>> h = crystal.hexagonality(sites, measure=torus, periodic=True)
    >>> bool(h.worst < 1e-12 and abs(h.deficit) < 1e-12)
    True
    """
    here, found = given_or_found(OPERATION, sites, measure, periodic, (2,))
    n = len(here.points)
    around = here.library.numpy(found.coordination)
    inner = ~here.library.numpy(found.border) & (around > 0)
    six = inner & (around == 6)
    a = float(np.sqrt(2 * here.domain.volume / (np.sqrt(3) * n)))
    distance = np.full(n, np.inf)
    distance[six] = _distances(_around(ends(found, here), six), a)
    energy = laguerre(here.points, measure=here.domain, periodic=here.periodic).energy
    deficit = n * float(energy) / (MOMENT * here.domain.volume) - 1
    return Hexagonality(here.real(distance), a, deficit, here.whole(inner))


def _around(rows: Ends, six: Array) -> Array:
    """Return the offsets of the six neighbours of chosen sites in the order of their directions, (k, 6, 2)."""
    kept = np.flatnonzero(six[rows.i])
    angle = np.arctan2(rows.offset[kept, 1], rows.offset[kept, 0])
    order = kept[np.lexsort((angle, rows.i[kept]))]
    return rows.offset[order].reshape(-1, 6, 2)


def _distances(around: Array, a: float) -> Array:
    """Return the least distance over all rotations, over a."""
    parts = [_least(around[k : k + CHUNK] / a) for k in range(0, len(around), CHUNK)]
    return np.concatenate([np.zeros(0), *parts])


def _least(around: Array) -> Array:
    r"""Return min over phi of max over k of |z_k - e^{i (phi + k pi / 3)}| for rows of six complex z.

    With u_k = z_k e^{-i k pi / 3}, squares are |u_k|^2 + 1 - 2 Re(u_k e^{-i phi}). Two are equal where
    2 Re((u_k - u_l) e^{-i phi}) = |u_k|^2 - |u_l|^2.
    """
    u = (around[..., 0] + 1j * around[..., 1]) * np.exp(-1j * np.pi / 3 * np.arange(6))
    square = np.abs(u) ** 2
    k, m = np.triu_indices(6, 1)
    between, level = u[:, k] - u[:, m], square[:, k] - square[:, m]
    size = 2 * np.abs(between)
    meets = np.abs(level) <= size
    turn = np.arccos(np.clip(level / np.where(size > 0, size, 1.0), -1, 1))
    middle = np.angle(between)
    own = np.angle(u)
    phi = np.concatenate(
        [own, np.where(meets, middle + turn, own[:, :1]), np.where(meets, middle - turn, own[:, :1])], 1
    )
    away = np.abs(u[:, None, :] - np.exp(1j * phi)[..., None])
    return np.asarray(away.max(2).min(1))
