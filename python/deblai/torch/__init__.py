"""PyTorch operators. Imported on demand, the first time a tensor comes in."""

from __future__ import annotations

from . import sliced

__all__ = ["sliced"]
