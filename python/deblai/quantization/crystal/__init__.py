"""Crystallography of quantizers: bonds, order, defects, lattices, and how far from the best a quantizer is."""

from __future__ import annotations

from ._bonds import bonds
from ._defects import defects
from ._hexagons import hexagonality
from ._lattices.lattice import Estimate, Lattice, Torus, lattice
from ._order import bond_order

__all__ = ["Estimate", "Lattice", "Torus", "bond_order", "bonds", "defects", "hexagonality", "lattice"]
