"""Results: frozen, with a one-line repr; arrays in the caller's library, dtype and device."""

from __future__ import annotations

from ._crystal import BondOrder, Bonds, Defects, Hexagonality
from ._multimarginal import EpsilonPath, Expectation, MultimarginalBatch, MultimarginalResult
from ._quantization import Cells, Facets, Geometry, QuantizationResult, Restart, RestartStatistics, Stability
from ._samples import Assignment
from ._semidiscrete import SemidiscreteResult
from ._sliced import FlowResult, SlicedResult
from ._solids import Cells3, Solids
from ._sparse import SeidlResult, SparseResult
from ._spectra import PairCorrelation, Radial, SecondMoment, StructureFactor, ZadorFit

__all__ = [
    "Assignment",
    "BondOrder",
    "Bonds",
    "Cells",
    "Cells3",
    "Defects",
    "EpsilonPath",
    "Expectation",
    "Facets",
    "FlowResult",
    "Geometry",
    "Hexagonality",
    "MultimarginalBatch",
    "MultimarginalResult",
    "PairCorrelation",
    "QuantizationResult",
    "Radial",
    "Restart",
    "RestartStatistics",
    "SecondMoment",
    "SeidlResult",
    "SemidiscreteResult",
    "SlicedResult",
    "Solids",
    "SparseResult",
    "Stability",
    "StructureFactor",
    "ZadorFit",
]
