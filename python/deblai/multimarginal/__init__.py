"""Optimal transport of many marginals with pairwise costs, as of electrons that repel each other."""

from __future__ import annotations

from ._genetic import genetic
from ._linear import linear_program
from ._seidl import seidl
from ._sinkhorn import sinkhorn

__all__ = ["genetic", "linear_program", "seidl", "sinkhorn"]
