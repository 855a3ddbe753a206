"""Quantization of measures: few points that stand for many, or for a density."""

from __future__ import annotations

from ._lloyd import LloydState, lloyd

__all__ = ["LloydState", "lloyd"]
