"""Pictures of strictly correlated particles."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import errors
from ..results import SeidlResult, SparseResult
from ._axes import INK, clean, new_axes, numpy

__all__ = ["comotion"]

OPERATION = "plot.comotion"
RAMP = ["#2b6cb0", "#3b9ab2", "#5bab6a", "#d69e2e", "#c05621", "#97266d"]
LABELLED = 5  # curves up to which each has its name
INSIDE = 1e-3  # of the mass at each end is left out of the axes of a law on an infinite interval


def comotion(result: SeidlResult | SparseResult, points: Any = None, *, n: int = 2000, ax: Any = None) -> Any:
    r"""Draw where the other particles are when one is at x: the co-motion functions of particles on the line.

    For the result of `seidl`, the curves :math:`f_k(x) = F^{-1}(F(x) + k/N \bmod 1)`; for that of `genetic` or
    `linear_program`, a dot for each pair of the sparse plan, its area the mass.

    Parameters
    ----------
    result : SeidlResult or SparseResult
    points : array (n,) or (n, 1), optional
        As they were given to `genetic` or `linear_program` (whose results do not hold them): equal marginals.
    n : int, default 2000
        Points of a curve.
    ax : matplotlib axes, optional

    Examples
    --------
    >>> import numpy as np, deblai
    >>> r = deblai.multimarginal.seidl((np.arange(12) + 0.5) / 12, n_marginals=3)
    >>> ax = deblai.plot.comotion(r)
    >>> ax.get_title()
    '3 particles, cost 7.5'
    """
    ax = new_axes(ax, OPERATION, figsize=(4.6, 4.4))
    if isinstance(result, SeidlResult):
        _curves(result, n, ax)
    elif isinstance(result, SparseResult):
        _dots(result, points, ax)
    else:
        raise errors.InvalidType(
            f"[{OPERATION}] result: expected that of seidl, genetic or linear_program, got {type(result).__name__}"
        )
    ax.set_xlabel("$x$", color=INK)
    ax.set_ylabel("where the others are", color=INK)
    ax.set_aspect("equal")
    clean(ax)
    return ax


def _color(k: int, count: int) -> str:
    return RAMP[0] if count < 3 else RAMP[round((k - 1) * (len(RAMP) - 1) / (count - 2))]


def _curves(result: SeidlResult, n: int, ax: Any) -> None:
    count = result.n_marginals
    for k in range(1, count):
        jump = 1 - k / count  # the mass at which f_k goes from the right end to the left one
        for first, last in ((0.0, jump), (jump, 1.0)):
            inside = first + (last - first) * _towards_ends(n)
            where = result.comotion(inside)
            named = count - 1 <= LABELLED and first == 0.0
            label = f"$f_{{{k + 1}}}$" if named else None
            ax.plot(where[:, 0], where[:, k], color=_color(k, count), lw=1.6, label=label, solid_capstyle="round")
    ends = result.comotion(np.array([INSIDE, 1 - INSIDE]))[:, 0]
    widest = result.comotion(np.array([1e-12, 1 - 1e-12]))[:, 0]
    if not np.isfinite(widest).all() or np.diff(widest)[0] > 1.5 * np.diff(ends)[0]:
        widest = ends
    margin = 0.03 * float(widest[1] - widest[0])
    low, high = float(widest[0]) - margin, float(widest[1]) + margin
    ax.set_xlim(low, high)
    ax.set_ylim(low, high)
    ax.plot([low, high], [low, high], color="#b8bcc4", lw=0.8, ls=(0, (4, 4)), zorder=0)
    positions = result.comotion(np.array([0.5 / count]))[0]
    ax.plot(np.full(count - 1, positions[0]), positions[1:], "o", ms=4, color=INK, zorder=3)
    ax.axvline(positions[0], color=INK, lw=0.6, zorder=0)
    ax.set_title(f"{count} particles, cost {float(result.value):.6g}", fontsize=10, color=INK)
    if count - 1 <= LABELLED:
        ax.legend(frameon=False, fontsize=9, loc="upper left", bbox_to_anchor=(1.0, 1.0), handlelength=1.2)


def _towards_ends(n: int) -> Any:
    """Masses between 0 and 1, dense at both ends, where quantiles run away."""
    t = (np.arange(n) + 0.5) / n
    return np.clip(t**3 * (10 - 15 * t + 6 * t * t), 1e-9, 1 - 1e-9)


def _dots(result: SparseResult, points: Any, ax: Any) -> None:
    if points is None:
        raise errors.InvalidValue(f"[{OPERATION}] points: expected those of the solver, got None")
    if not result._symmetric:
        raise errors.InvalidValue(f"[{OPERATION}] result: expected equal marginals, got {result.n_marginals} of them")
    x = np.asarray(numpy(points), np.float64)
    if x.shape not in ((result._sizes[0],), (result._sizes[0], 1)):
        raise errors.InvalidValue(
            f"[{OPERATION}] points: expected {result._sizes[0]} points of the line, got shape {x.shape}"
        )
    pair = np.asarray(numpy(result.pair_marginal()), np.float64)
    i, j = np.nonzero(pair)
    ax.scatter(x.ravel()[i], x.ravel()[j], s=36 * pair[i, j] / pair.max(), color=RAMP[0], lw=0, rasterized=True)
    low, high = float(x.min()), float(x.max())
    ax.plot([low, high], [low, high], color="#b8bcc4", lw=0.8, ls=(0, (4, 4)), zorder=0)
    ax.set_title(f"{result.n_marginals} particles, cost {float(result.value):.6g}", fontsize=10, color=INK)
