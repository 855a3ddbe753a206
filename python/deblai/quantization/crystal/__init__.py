"""Crystallography of quantizers: bonds, order, defects, lattices, and how far from the best a quantizer is."""

from __future__ import annotations

from ._bonds import bonds
from ._defects import defects
from ._hexagons import hexagonality
from ._lattices.lattice import Estimate, Lattice, Torus, lattice
from ._moments import normalized_second_moment
from ._order import bond_order
from ._pairs import pair_correlation
from ._waves import structure_factor
from ._zador import zador_fit

__all__ = [
    "Estimate",
    "Lattice",
    "Torus",
    "bond_order",
    "bonds",
    "defects",
    "hexagonality",
    "lattice",
    "normalized_second_moment",
    "pair_correlation",
    "structure_factor",
    "zador_fit",
]
