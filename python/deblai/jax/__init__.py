"""JAX adapters: deblai inside jit, grad and vmap. Imported on demand, the first time a tracer comes in."""

from __future__ import annotations

from . import laguerre, sliced

__all__ = ["laguerre", "sliced"]
