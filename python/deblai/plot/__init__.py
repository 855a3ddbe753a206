"""Pictures of results. Every function draws on ``ax`` (a new one by default) and returns it; needs matplotlib."""

from __future__ import annotations

from .comotion import comotion
from .crystal import defects, structure_factor
from .multimarginal import epsilon_path, pair_density
from .quantization import cells, sites, stipple
from .sliced import directions, history, image_flow, running_estimate
from .solids import solids

__all__ = [
    "cells",
    "comotion",
    "defects",
    "directions",
    "epsilon_path",
    "history",
    "image_flow",
    "pair_density",
    "running_estimate",
    "sites",
    "solids",
    "stipple",
    "structure_factor",
]
