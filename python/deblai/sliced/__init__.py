"""Sliced optimal transport: distances with error bars, and flows that descend them."""

from __future__ import annotations

from ._flow import gradient_flow
from ._wasserstein import wasserstein

__all__ = ["gradient_flow", "wasserstein"]
