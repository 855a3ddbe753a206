"""Pictures of particles that repel or attract each other."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import errors
from .._extras import require
from ..results import EpsilonPath, MultimarginalResult
from ._axes import BLUE, INK, RED, clean, new_axes, numpy

__all__ = ["epsilon_path", "pair_density"]

OPERATION = "plot.pair_density"
EVEN = 10  # ratio of spacings up to which points on the line are cells of a density
MOST_DOTS = 50_000


def pair_density(
    result: MultimarginalResult,
    points: Any = None,
    *,
    pair: tuple[int, int] = (0, 1),
    at: int | None = None,
    maps: bool = False,
    ax: Any = None,
) -> Any:
    r"""Draw where two of the particles are: the plan's marginal of a pair.

    Parameters
    ----------
    result : MultimarginalResult
    points : array (n,) or (n, d), or a list of arrays, optional
        As they were given to the solver, in any order. Without them, or in more than two dimensions, the axes count
        points.
    pair : (int, int), default (0, 1)
        Which marginals.
    at : int, optional
        In the plane, where one particle of the pair sits, as an index of `points`; the picture is where the other one
        is then. By default the point of largest mass.
    maps : bool, default False
        On the line with equal marginals, draw the optimal maps of repulsive costs too (convex and decreasing in the
        distance, as Coulomb's): :math:`f_k = F^{-1}(F + k/N \bmod 1)` [1]_ as thin lines. The plan comes close to
        them as epsilon gets small.
    ax : matplotlib axes, optional

    References
    ----------
    .. [1] M. Colombo, L. De Pascale, S. Di Marino, "Multimarginal optimal transport maps for one-dimensional repulsive
       costs", Canad. J. Math. 2015.

    Examples
    --------
    >>> import numpy as np, deblai
    >>> x = np.linspace(0, 1, 40)
    >>> r = deblai.multimarginal.sinkhorn(x, n_marginals=2, epsilon=0.05)
    >>> ax = deblai.plot.pair_density(r, x, maps=True)
    >>> ax.get_xlabel()
    '$x_{1}$'
    """
    if not hasattr(result, "pair_marginal"):
        raise errors.InvalidType(f"[{OPERATION}] result: expected one with pair marginals, got {type(result).__name__}")
    plan = np.asarray(numpy(result.pair_marginal(*pair)), np.float64)
    if plan.ndim != 2:
        raise errors.InvalidType(
            f"[{OPERATION}] result: expected that of one problem, got a batch of {len(plan)}; draw result[k]"
        )
    several = isinstance(points, list | tuple)
    both = [points[k] if several else points for k in pair]
    x, y = (None if v is None else np.asarray(numpy(v), np.float64) for v in both)
    for v, n in ((x, plan.shape[0]), (y, plan.shape[1])):
        if v is not None and (v.ndim not in (1, 2) or len(v) != n):
            raise errors.InvalidValue(f"[{OPERATION}] points: expected {n} of them, got shape {v.shape}")
    dim = 0 if x is None else 1 if x.ndim == 1 else x.shape[1]
    ax = new_axes(ax, OPERATION, figsize=(4.6, 4.4))
    if x is not None and y is not None and dim == 1:
        _on_the_line(plan, x.ravel(), y.ravel(), pair, ax)
        if maps:
            _maps(plan.sum(1), x.ravel(), result.n_marginals, ax)
    elif x is not None and y is not None and dim == 2:
        _in_the_plane(plan, x, y, int(plan.sum(1).argmax()) if at is None else at, ax)
    else:
        ax.imshow(plan.T, origin="lower", cmap=_paper(), norm=_norm(plan), interpolation="nearest", aspect="auto")
        ax.locator_params(integer=True)
        ax.set_xlabel(f"point of marginal {pair[0]}")
        ax.set_ylabel(f"point of marginal {pair[1]}")
        clean(ax)
    return ax


def epsilon_path(path: EpsilonPath, *, truth: float | None = None, ax: Any = None) -> Any:
    r"""Draw values and costs against epsilon, and where they meet.

    The cost falls to the limit along a straight line, of slope kappa; the value, more by epsilon times the entropy, as
    :math:`\kappa\,\varepsilon\log(1/\varepsilon)`. Epsilons that have not converged are hollow.

    Parameters
    ----------
    path : EpsilonPath
    truth : float, optional
        The known value at epsilon = 0, drawn as a line.
    ax : matplotlib axes, optional

    Examples
    --------
    >>> import numpy as np, deblai
    >>> x = (np.arange(40) + 0.5) / 40
    >>> path = deblai.multimarginal.epsilon_path(x, n_marginals=2, epsilons=[0.2, 0.1, 0.05])
    >>> ax = deblai.plot.epsilon_path(path, truth=2.0)
    >>> [text.get_text() for text in ax.get_legend().get_texts()][0]
    'known value 2'
    """
    if not isinstance(path, EpsilonPath):
        raise errors.InvalidType(f"[plot.epsilon_path] path: expected an EpsilonPath, got {type(path).__name__}")
    ax = new_axes(ax, "plot.epsilon_path", figsize=(5, 3.6))
    e, fine = path.epsilons, path.converged
    most = float(e.max())
    if truth is not None:
        ax.axhline(truth, color=INK, lw=0.9, ls=(0, (4, 3)), label=f"known value {truth:.6g}")
    named = {
        "value": (path.value, RED, r"value $V_\varepsilon$"),
        "cost": (path.value_linear, BLUE, r"cost $\langle c, \pi\rangle$"),
    }
    for values, color, label in named.values():
        ax.plot(e, values, color=color, lw=1.0, alpha=0.5)
        ax.plot(e[fine], values[fine], "o", color=color, ms=4.5, label=label)
        ax.plot(e[~fine], values[~fine], "o", color=color, ms=4.5, mfc="none")
    if np.isfinite(path.limit) and np.isfinite(path.slope):
        ax.plot([0, most], [path.limit, path.limit + path.slope * most], color=BLUE, lw=1.0, ls=(0, (1, 2)))
        ax.errorbar(
            [0], [path.limit], [path.limit_error], fmt="D", color=INK, ms=5, capsize=3, label=f"limit {path.limit:.6g}"
        )
        slope = f"slope {path.slope:.3f} ± {path.slope_error:.1g}"
        ax.set_title(rf"{slope} in $\varepsilon\,\log(1/\varepsilon)$", fontsize=10, loc="left", color=INK)
    ax.set_xlim(left=-0.03 * most)
    ax.locator_params(axis="x", nbins=6)
    ax.set_xlabel(r"$\varepsilon$")
    ax.legend(frameon=False, fontsize=9)
    clean(ax)
    return ax


def _paper() -> Any:
    """White, then blue, then ink."""
    colors = require("matplotlib.colors", OPERATION, "plot")
    return colors.LinearSegmentedColormap.from_list("paper", ["#ffffff", "#bcd3ea", "#2b6cb0", "#16233d"])


def _norm(values: Any) -> Any:
    """Let faint parts be seen."""
    return require("matplotlib.colors", OPERATION, "plot").PowerNorm(0.5, vmin=0, vmax=float(values.max()) or 1.0)


def _edges(x: Any) -> Any:
    """Halfway between sorted points."""
    if len(x) == 1:
        return np.array([x[0] - 0.5, x[0] + 0.5])
    middle = (x[1:] + x[:-1]) / 2
    return np.concatenate([[2 * x[0] - middle[0]], middle, [2 * x[-1] - middle[-1]]])


def _on_the_line(plan: Any, x: Any, y: Any, pair: tuple[int, int], ax: Any) -> None:
    i, j = np.argsort(x), np.argsort(y)
    across, up = _edges(x[i]), _edges(y[j])
    if all(np.diff(v).max() <= EVEN * np.diff(v).min() for v in (across, up)):
        density = plan[np.ix_(i, j)] / (np.diff(across)[:, None] * np.diff(up))
        ax.pcolormesh(across, up, density.T, cmap=_paper(), norm=_norm(density), rasterized=True)
    else:  # scattered points: dots whose areas are masses
        r, c = np.nonzero(plan > 1e-3 * plan.max())
        heaviest = np.argsort(plan[r, c])[-MOST_DOTS:]
        r, c = r[heaviest], c[heaviest]
        ax.scatter(x[r], y[c], s=40 * plan[r, c] / plan.max(), color=BLUE, lw=0, rasterized=True)
    ax.set_xlabel(f"$x_{{{pair[0] + 1}}}$")
    ax.set_ylabel(f"$x_{{{pair[1] + 1}}}$")
    ax.set_aspect("equal")
    clean(ax)


def _maps(mass: Any, x: Any, count: int, ax: Any) -> None:
    """Draw strictly correlated positions, broken where they jump from the right end to the left one."""
    order = np.argsort(x)
    edges, below = _edges(x[order]), np.concatenate([[0.0], np.cumsum(mass[order] / mass.sum())])
    for k in range(1, count):
        for first, last in ((0.0, 1 - k / count), (1 - k / count, 1.0)):
            u = np.linspace(first, last, 1001)
            here, there = (np.interp(v, below, edges) for v in (u, u + k / count - (first > 0)))
            ax.plot(here, there, color=RED, lw=0.9, label="strictly correlated" if k == 1 and first == 0 else None)


def _in_the_plane(plan: Any, x: Any, y: Any, at: int, ax: Any) -> None:
    if not 0 <= at < len(x):
        raise errors.InvalidValue(f"[{OPERATION}] at: expected a point from 0 to {len(x) - 1}, got {at!r}")
    given = plan[at]
    horizontal, vertical = np.unique(y[:, 0]), np.unique(y[:, 1])
    if len(horizontal) * len(vertical) <= 2 * len(y):  # a grid, perhaps without the places that have no mass
        sheet = np.zeros((len(vertical), len(horizontal)))
        np.add.at(sheet, (np.searchsorted(vertical, y[:, 1]), np.searchsorted(horizontal, y[:, 0])), given)
        mesh = (horizontal, vertical, sheet)
        ax.pcolormesh(*mesh, shading="gouraud", cmap=_paper(), norm=_norm(given), rasterized=True)
    else:
        ax.scatter(*y.T, c=given, cmap=_paper(), norm=_norm(given), s=float(np.clip(9000 / len(y), 4, 60)), lw=0)
    ax.plot(*x[at], "o", color=RED, ms=6, mec="white", mew=0.8)
    ax.set_xlabel("$x$", color=INK)
    ax.set_ylabel("$y$", color=INK)
    ax.set_aspect("equal")
    clean(ax)
