"""Quantization of measures: exact Voronoi and Laguerre cells."""

from __future__ import annotations

from ._laguerre import laguerre

__all__ = ["laguerre"]
