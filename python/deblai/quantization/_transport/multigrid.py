"""Newton's systems: graph Laplacians of masses, by the kernel's conjugate gradients with aggregated levels."""

from __future__ import annotations

from typing import Any

import numpy as np

from ... import _core, _dlpack
from .diagram import Diagram

Array = np.ndarray[Any, Any]

MOST = 500  # iterations; a few dozen are the rule
EVEN = 0.01  # share of the even density in itself that matters
LEAST = 1e-11  # relative residual that rounding allows
SLOW = 0.6  # of the residual an iteration, from which on levels are worth making anew


def dot(a: Array, b: Array) -> float:
    """Return <a, b>, without the threads of a BLAS that spin between calls."""
    return float(np.einsum("i,i->", a, b))


class Systems:
    """Systems of matrices that follow one another: the levels of one serve the next while it converges."""

    def __init__(self, threads: int) -> None:
        self.threads, self.levels, self.renew = threads, _core.LaplacianLevels(), True

    def direction(self, cells: Diagram, residual: Array, even: float, rtol: float) -> Array:
        """Return the psi, of mean zero, whose masses change by the residual, to a relative accuracy.

        Where the density is thin cells may lose touch. A share of the even one keeps them together; where that is the
        density all of psi gets smaller by it.
        """
        weight = cells.coupling
        if cells.bare is not None:
            weight = weight + even * cells.bare
        elif even > EVEN:
            weight = (1 + even) * weight
        view, x = _dlpack.view, np.empty(len(residual))
        rtol = max(rtol, LEAST)
        begin, across, weights, wanted = (view(v) for v in (cells.begin, cells.across, weight, residual))
        steps, _, left = _core.laplacian_solve(
            begin, across, weights, wanted, view(x, True), rtol, MOST, self.threads, self.levels, self.renew
        )
        self.renew = steps > 0 and left > SLOW**steps
        return x
