"""Optimal transport of many marginals with pairwise costs, as of electrons that repel each other."""

from __future__ import annotations

from ._batch import sinkhorn_batch
from ._genetic import genetic
from ._ladder import epsilon_path
from ._linear import linear_program
from ._seidl import seidl
from ._sinkhorn import sinkhorn

__all__ = ["epsilon_path", "genetic", "linear_program", "seidl", "sinkhorn", "sinkhorn_batch"]
