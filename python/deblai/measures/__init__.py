"""Measures that quantization and semi-discrete transport take as their source.

Each is a probability measure; a total mass other than 1 is divided out where it is used.
"""

from ._boxes import Grid, UniformBox
from ._gaussian import Gaussian, Mixture
from ._law import Law
from ._piecewise import PiecewiseLinear
from ._polytope import Polytope
from ._samples import Samples

__all__ = ["Gaussian", "Grid", "Law", "Mixture", "PiecewiseLinear", "Polytope", "Samples", "UniformBox"]
