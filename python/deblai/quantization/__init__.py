"""Quantization of measures: few points that stand for many, or for a density; exact Voronoi and Laguerre cells."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ._laguerre import laguerre
from ._lloyd.assign import assign
from ._lloyd.lloyd import LloydState, lloyd
from ._quantize import QuantizeState, quantize
from ._transport.semidiscrete import SemidiscreteState, semidiscrete

if TYPE_CHECKING:
    from . import crystal

__all__ = [
    "LloydState",
    "QuantizeState",
    "SemidiscreteState",
    "assign",
    "crystal",
    "laguerre",
    "lloyd",
    "quantize",
    "semidiscrete",
]


def __getattr__(name: str) -> Any:
    """Import `crystal` when somebody asks for it."""
    if name == "crystal":
        return import_module(".crystal", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
