"""PyTorch operators. Imported on demand, the first time a tensor comes in."""

from __future__ import annotations

from . import laguerre, semidiscrete, sliced

__all__ = ["laguerre", "semidiscrete", "sliced"]
