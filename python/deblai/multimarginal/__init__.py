"""Optimal transport of many marginals with pairwise costs, as of electrons that repel each other."""

from __future__ import annotations

from ._entropic.batch import sinkhorn_batch
from ._entropic.ladder import epsilon_path
from ._entropic.sinkhorn import sinkhorn
from ._exact.genetic import genetic
from ._exact.linear import linear_program
from ._exact.seidl import seidl

__all__ = ["epsilon_path", "genetic", "linear_program", "seidl", "sinkhorn", "sinkhorn_batch"]
