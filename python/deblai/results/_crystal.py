"""Results of `deblai.quantization.crystal` about bonds between sites."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from .._array import NUMPY, library_of


def _numpy(x: Any) -> Any:
    return (library_of(x) or NUMPY).numpy(x)


@dataclass(frozen=True, repr=False, eq=False)
class Bonds:
    """Who touches whom: what `deblai.quantization.crystal.bonds` returns.

    Other functions of `crystal` take it in the place of sites, so that cells are computed once.

    Attributes
    ----------
    pairs : int64 array (m, 2)
        Rows i <= j, the sites of a bond, each bond once; on small tori two sites may have several, and a site one with
        its own image.
    offset : array (m, d)
        y_j - y_i, on the torus to the image of y_j that is across.
    facet : array (m,)
        Length of the edge, area of the facet in space, that both cells share.
    coordination : int64 array (n,)
        How many bonds end at each site.
    border : bool array (n,)
        Which cells touch the border of the domain; none on the torus.
    sites : array (n, d)
        The sites, a copy.
    measure : UniformBox or Polytope
        The domain of the cells.
    periodic : bool
        Whether it is a torus.
    psi : array (n,) or None
        Potentials of Laguerre cells.
    """

    pairs: Any
    offset: Any
    facet: Any
    coordination: Any
    border: Any
    sites: Any
    measure: Any
    periodic: bool
    psi: Any = None

    def __repr__(self) -> str:
        inner = self._inner()
        mean = f", mean coordination={inner.mean():.6g}" if len(inner) else ""
        where = "periodic" if self.periodic else f"{int(_numpy(self.border).sum())} at the border"
        return f"Bonds(n={self.sites.shape[0]}, bonds={self.pairs.shape[0]}{mean}, {where})"

    def _inner(self) -> Any:
        """Return the coordination of cells that are neither at the border nor empty."""
        count = _numpy(self.coordination)
        return count[~_numpy(self.border) & (count > 0)]

    def histogram(self, border: bool = False) -> dict[int, int]:
        """Return how many cells have how many neighbours; those at the border and empty ones only where asked for.

        Examples
        --------
        >>> import numpy as np
        >>> from deblai.quantization import crystal
        >>> x, y = np.meshgrid(np.arange(5.0), np.arange(5.0))
        >>> square = crystal.bonds(np.stack([x, y], -1).reshape(-1, 2) / 5 + 0.1)
        >>> square.histogram(), square.histogram(border=True)
        ({4: 9}, {2: 4, 3: 12, 4: 9})
        """
        values, times = np.unique(_numpy(self.coordination) if border else self._inner(), return_counts=True)
        return {int(k): int(m) for k, m in zip(values, times, strict=True)}


@dataclass(frozen=True, repr=False, eq=False)
class BondOrder:
    """Bond-orientational order: what `deblai.quantization.crystal.bond_order` returns.

    Attributes
    ----------
    order : int
        k of the plane, l of space.
    local : array (n,)
        psi_k of each site, complex, in the plane; q_l in space. Of all sites, those at the border too.
    local_mean : float
        Mean of |local| over the sites that count.
    global_order : float
        |mean psi_k|; in space Q_l, the q_l of the mean of all q_lm. 1 for a single crystal in the plane, about
        1 / sqrt(n) without any order of long range.
    counted : bool array (n,)
        The sites that count in both means.
    """

    order: int
    local: Any
    local_mean: float
    global_order: float
    counted: Any

    def __repr__(self) -> str:
        return (
            f"BondOrder(order={self.order}, n={self.local.shape[0]}, local_mean={self.local_mean:.6g}, "
            f"global_order={self.global_order:.6g})"
        )


@dataclass(frozen=True, repr=False, eq=False)
class Defects:
    """Cells of the plane that are no hexagons: what `deblai.quantization.crystal.defects` returns.

    Attributes
    ----------
    count : int
        Number of cells with other than six neighbours, without those at the border.
    charge : int64 array (n,)
        6 - the number of neighbours; 0 for cells at the border and for empty ones, which have none of their own.
    total_charge : int
        Their sum; 0 on a torus without vertices of four cells, by Euler's formula.
    histogram : dict of int to int
        How many cells have how many neighbours, without those at the border.
    dislocations : int64 array (k, 2)
        Pairs of neighbours, one of positive charge (5), the other of negative (7): as many as can be made so that each
        unit of charge is in one.
    burgers : array (k, d)
        Estimated Burgers vector of each pair: the vector from the first to the second, turned a quarter to the left,
        of the mean length of the bonds of both.
    disclinations : int64 array
        Sites whose charge is not all in pairs.
    excess : int64 array (n,)
        The charge of each site that is not in pairs.
    cluster : int64 array (n,)
        The number of the connected group of defects that a site is in, -1 for the others.
    cluster_charge : int64 array
        The charge of each group.
    bonds : Bonds
        The bonds that were looked at.
    """

    count: int
    charge: Any
    total_charge: int
    histogram: dict[int, int]
    dislocations: Any
    burgers: Any
    disclinations: Any
    excess: Any
    cluster: Any
    cluster_charge: Any
    bonds: Bonds

    def __repr__(self) -> str:
        return (
            f"Defects(count={self.count} of {sum(self.histogram.values())}, total_charge={self.total_charge}, "
            f"dislocations={self.dislocations.shape[0]}, disclinations={self.disclinations.shape[0]})"
        )


@dataclass(frozen=True, repr=False, eq=False)
class Hexagonality:
    """How far neighbours are from a triangular lattice: what `deblai.quantization.crystal.hexagonality` returns.

    Attributes
    ----------
    distance : array (n,)
        Distance of the six neighbours of each site from a regular hexagon, over the spacing; inf for cells with other
        than six neighbours and for those at the border.
    spacing : float
        The spacing of the triangular lattice with as many sites on the same area.
    deficit : float
        Energy of the sites over that of as many regular hexagons on the same area, minus 1: never negative.
    counted : bool array (n,)
        Cells that are neither at the border nor empty.
    """

    distance: Any
    spacing: float
    deficit: float
    counted: Any

    def __repr__(self) -> str:
        return (
            f"Hexagonality(n={self.distance.shape[0]}, median={self.median:.6g}, worst={self.worst:.6g}, "
            f"deficit={self.deficit:.6g})"
        )

    @cached_property
    def _inner(self) -> Any:
        inner = _numpy(self.distance)[_numpy(self.counted)].astype(np.float64)
        return inner if len(inner) else np.array([np.inf])

    @property
    def median(self) -> float:
        """The median of the distances, without cells at the border."""
        inner = np.sort(self._inner)
        return float(inner[(len(inner) - 1) // 2])

    @property
    def worst(self) -> float:
        """The largest distance, without cells at the border: inf where one has other than six neighbours."""
        return float(self._inner.max())

    def share(self, within: float) -> float:
        """Return the share of cells, without those at the border, whose distance is at most this."""
        return float((self._inner <= within).mean())
