"""Optimal transport of many marginals with pairwise costs, as of electrons that repel each other."""

from __future__ import annotations

from ._batch import sinkhorn_batch
from ._ladder import epsilon_path
from ._sinkhorn import sinkhorn

__all__ = ["epsilon_path", "sinkhorn", "sinkhorn_batch"]
