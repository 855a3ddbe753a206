"""Quantization of measures: few points that stand for many, or for a density; exact Voronoi and Laguerre cells."""

from __future__ import annotations

from ._laguerre import laguerre
from ._lloyd.assign import assign
from ._lloyd.lloyd import LloydState, lloyd
from ._quantize import QuantizeState, quantize
from ._transport.semidiscrete import SemidiscreteState, semidiscrete

__all__ = [
    "LloydState",
    "QuantizeState",
    "SemidiscreteState",
    "assign",
    "laguerre",
    "lloyd",
    "quantize",
    "semidiscrete",
]
