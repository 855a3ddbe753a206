"""Cells of the plane that are no hexagons."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..._extras import require
from ...results import Defects
from ._bonds import Ends, ends, given_or_found
from ._sites import ROOM, Array

OPERATION = f"{ROOM}.defects"


def defects(sites: Any, *, measure: Any = None, periodic: bool = False) -> Defects:
    r"""Disclinations and dislocations of a crystal of the plane: cells with other than six neighbours.

    A cell with n neighbours has the charge 6 - n; the charges of a torus add up to 0, by Euler's formula. A five and a
    seven that touch are a dislocation, the end of a row of the crystal: pairs are made so that there are as many as
    can be, each unit of charge in at most one [1]_ [2]_. What is left are disclinations.

    Parameters
    ----------
    sites : array (n, 2), QuantizationResult or Bonds
        As `bonds` takes and returns.
    measure : measure, optional
        The domain, as in `bonds`; Bonds have theirs. Charges mean something where the density varies little.
    periodic : bool, default False
        Whether it is a torus.

    Returns
    -------
    Defects
        `count` (of all cells that are no hexagons, as in [3]_), `charge`, `total_charge`, `histogram`,
        `dislocations`, `burgers`, `disclinations`, `cluster` and `cluster_charge`: all without cells at the border
        and empty ones.

    Raises
    ------
    InvalidValue
        What `bonds` raises; sites in space.
    MissingExtra
        SciPy is missing; it comes with the extra ``quantization``.

    Notes
    -----
    Optimal quantizers of n sites have of the order of sqrt(n) defects in a domain with a border; on the hexagonal torus
    O(n^(1/4)) is proved, O(log n) conjectured [3]_.

    References
    ----------
    .. [1] J. M. Kosterlitz, D. J. Thouless, "Ordering, metastability and phase transitions in two-dimensional systems",
       J. Phys. C 6, 1973.
    .. [2] J. E. Hopcroft, R. M. Karp, "An n^(5/2) algorithm for maximum matchings in bipartite graphs", SIAM J. Comput.
       2, 1973.
    .. [3] J. E. Tisdell, R. Choksi, X. Y. Lu, "On the number of defects in optimal quantizers on closed surfaces: the
       hexagonal torus", arXiv:2503.22680, 2025.

    Examples
    --------
    A site more in a crystal of 48, settled:

    >>> import numpy as np, deblai
    >>> from deblai.quantization import crystal
    >>> sites, torus = crystal.lattice("A2").torus((6, 4))
    >>> more = np.concatenate([sites, sites[:1] + 0.3])
    >>> r = deblai.quantization.quantize(torus, 49, init=more, periodic=True)
    >>> d = crystal.defects(r, measure=torus, periodic=True)
    >>> d.total_charge, d.count > 0
    (0, True)
    """
    here, found = given_or_found(OPERATION, sites, measure, periodic, (2,))
    rows = ends(found, here)
    around = here.library.numpy(found.coordination)
    charge = np.where(~here.library.numpy(found.border) & (around > 0), 6 - around, 0)
    pairs, excess = _matched(rows, charge)
    cluster, cluster_charge = _clusters(rows, charge)
    arrow = _between(rows, pairs)
    left = np.stack([-arrow[:, 1], arrow[:, 0]], 1)
    length = rows.sum(np.sqrt((rows.offset**2).sum(1)), len(charge))[pairs].sum(1) / around[pairs].sum(1)
    left *= length[:, None] / np.sqrt((left**2).sum(1, keepdims=True))
    return Defects(
        int(np.count_nonzero(charge)),
        here.whole(charge),
        int(charge.sum()),
        found.histogram(),
        here.whole(pairs),
        here.real(left),
        here.whole(np.flatnonzero(excess)),
        here.whole(excess),
        here.whole(cluster),
        here.whole(cluster_charge),
        found,
    )


def _matched(rows: Ends, charge: Array) -> tuple[Array, Array]:
    """Pair units of positive charge with negative ones across bonds, as many as can be; return what is left, too."""
    csgraph = require("scipy.sparse.csgraph", OPERATION, "quantization")
    sparse = require("scipy.sparse", OPERATION, "quantization")
    kept = np.flatnonzero((charge[rows.i] > 0) & (charge[rows.j] < 0))
    links = np.unique(np.stack([rows.i[kept], rows.j[kept]], 1), axis=0)
    units = np.abs(charge)
    begin = np.concatenate([[0], np.cumsum(units)])  # the units of site i are begin[i] to begin[i + 1]
    copies = units[links[:, 0]] * units[links[:, 1]]
    link = np.repeat(np.arange(len(links)), copies)
    number = np.arange(len(link)) - np.repeat(np.cumsum(copies) - copies, copies)
    i, j = links[link].T
    plus, minus = begin[i] + number // units[j], begin[j] + number % units[j]
    graph = sparse.csr_matrix((np.ones(len(link), np.int8), (plus, minus)), shape=(begin[-1], begin[-1]))
    owner = np.repeat(np.arange(len(charge)), units)
    partner = csgraph.maximum_bipartite_matching(graph, perm_type="column") if len(link) else np.full(begin[-1], -1)
    first = np.flatnonzero(partner >= 0)
    pairs = np.stack([owner[first], owner[partner[first]]], 1).astype(np.int64)
    excess = charge.copy()
    np.subtract.at(excess, pairs[:, 0], 1)
    np.add.at(excess, pairs[:, 1], 1)
    return pairs, excess


def _clusters(rows: Ends, charge: Array) -> tuple[Array, Array]:
    """Return the number of the group of touching charged cells that each is in, and the charge of each group."""
    csgraph = require("scipy.sparse.csgraph", OPERATION, "quantization")
    sparse = require("scipy.sparse", OPERATION, "quantization")
    n = len(charge)
    kept = (charge[rows.i] != 0) & (charge[rows.j] != 0)
    graph = sparse.csr_matrix((np.ones(kept.sum(), np.int8), (rows.i[kept], rows.j[kept])), shape=(n, n))
    label = csgraph.connected_components(graph, directed=False)[1]
    charged = charge != 0
    number = np.full(n, -1, np.int64)
    _, number[charged] = np.unique(label[charged], return_inverse=True)
    total = np.zeros(number.max(initial=-1) + 1, np.int64)
    np.add.at(total, number[charged], charge[charged])
    return number, total


def _between(rows: Ends, pairs: Array) -> Array:
    """Return the vector from the first to the second of each pair, along the bond between them."""
    if len(pairs) == 0:
        return np.zeros((0, 2))
    n = int(max(rows.i.max(), rows.j.max())) + 1
    key = rows.i * n + rows.j
    order = np.argsort(key, kind="stable")
    return np.asarray(rows.offset[order[np.searchsorted(key, pairs[:, 0] * n + pairs[:, 1], sorter=order)]])
