"""Pictures of few points that stand for many: stipples, cells, samples with their sites."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import errors
from .._extras import require
from ..results import Cells, Cells3
from ._axes import BLUE, INK, RED, clean, frame, new_axes, numpy, plane

__all__ = ["cells", "sites", "stipple"]

MOST_SAMPLES = 20_000  # that are drawn
FAR = 3.0  # times the box of the mass: the box of the cells is not shown


def cells(
    cells: Cells,
    *,
    values: Any = None,
    cmap: Any = "magma_r",
    edgecolor: Any = "white",
    lw: float = 0.3,
    ax: Any = None,
) -> Any:
    """Draw the polygons of a Voronoi or Laguerre diagram of the plane, filled by colour.

    Parameters
    ----------
    cells : Cells
        As `deblai.quantization.laguerre` returns. Empty cells are left out; those of a torus are drawn near their
        sites, so that some stand out of the box. Cells of a Gaussian on the whole plane are shown where it has mass.
    values : array (n,), optional
        What the colours mean, one number a cell; by default its mass over its area, the mean density.
    cmap : matplotlib colour map, default "magma_r"
    edgecolor : matplotlib colour, default "white"
        "none" for no borders.
    lw : float, default 0.3
        Width of the borders.
    ax : matplotlib axes, optional
        One PolyCollection is added, whose array are the values; ``figure.colorbar(ax.collections[-1])`` explains it.

    Examples
    --------
    >>> import numpy as np, deblai
    >>> cells = deblai.quantization.laguerre(np.random.default_rng(0).random((30, 2)))
    >>> ax = deblai.plot.cells(cells)
    >>> len(ax.collections[0].get_paths())
    30
    """
    if isinstance(cells, Cells3):
        raise errors.InvalidValue(
            "[plot.cells] cells: expected cells of the plane, got cells of space: use plot.solids"
        )
    ax = new_axes(ax, "plot.cells", figsize=(5, 5))
    offsets, vertices = numpy(cells.offsets), np.asarray(numpy(cells.vertices), np.float64)
    full = np.flatnonzero(np.diff(offsets) > 2)
    if len(full) == 0:
        raise errors.InvalidValue("[plot.cells] cells: expected at least one cell that is not empty")
    if values is None:
        area = _areas(offsets, vertices)[full]
        shown = np.asarray(numpy(cells.mass), np.float64)[full] / np.where(area > 0, area, np.inf)
    else:
        shown = np.asarray(numpy(values), np.float64)
        if shown.shape != (len(offsets) - 1,):
            raise errors.InvalidValue(
                f"[plot.cells] values: expected {len(offsets) - 1} numbers, one a cell, got shape {shown.shape}"
            )
        shown = shown[full]
    polygons = np.split(vertices, offsets[1:-1])
    collection = require("matplotlib.collections", "plot.cells", "plot").PolyCollection(
        [polygons[i] for i in full], array=shown, cmap=cmap, edgecolors=edgecolor, linewidths=lw
    )
    ax.add_collection(collection)
    frame(ax, *_window(cells, vertices))
    return ax


def _window(cells: Cells, vertices: Any) -> tuple[Any, Any]:
    """Return the box of all cells; where they reach far beyond their mass, as a Gaussian's do, the box of that."""
    low, high = vertices.min(0), vertices.max(0)
    mass, centroid, second = (
        np.asarray(numpy(v), np.float64) for v in (cells.mass, cells.centroid, cells.second_moment)
    )
    held = mass > 0
    reach = 3 * np.sqrt(second[held] / mass[held])[:, None]
    seen = (centroid[held] - reach).min(0), (centroid[held] + reach).max(0)
    far = np.max(high - low) > FAR * np.max(seen[1] - seen[0])
    return (np.maximum(low, seen[0]), np.minimum(high, seen[1])) if far else (low, high)


def stipple(points: Any, weights: Any = None, *, ink: float = 0.4, color: Any = INK, ax: Any = None) -> Any:
    """Draw points of the plane as dots whose areas are their weights.

    Sites of Lloyd's algorithm are as dense as the square root of the density, and so are their masses: dots of these
    areas give back the grey of an image.

    Parameters
    ----------
    points : array (n, 2)
        Say the `sites` of a `QuantizationResult`.
    weights : array (n,), optional
        Nonnegative, say `weights` of that result. Equal by default.
    ink : float, default 0.4
        Area of all dots together, over that of the rectangle around the points: the mean darkness of an image.
    color : matplotlib colour, optional
    ax : matplotlib axes, optional
        One EllipseCollection is added. Dots keep their size in the units of the axes, whatever is zoomed.

    Examples
    --------
    >>> import numpy as np, deblai
    >>> ax = deblai.plot.stipple(np.random.default_rng(0).random((30, 2)))
    >>> len(ax.collections)
    1
    """
    at = plane("plot.stipple", "points", points)
    w = np.ones(len(at)) if weights is None else np.asarray(numpy(weights), np.float64)
    if w.shape != (len(at),) or not (w >= 0).all() or not 0 < w.sum() < np.inf:
        raise errors.InvalidValue(
            f"[plot.stipple] weights: expected {len(at)} nonnegative numbers, one a point, got shape {w.shape}"
        )
    ax = new_axes(ax, "plot.stipple", figsize=(5, 5))
    lower, upper = at.min(0), at.max(0)
    size = np.where(upper > lower, upper - lower, 1.0)
    diameter = diameters(w, ink * size.prod())
    collection = require("matplotlib.collections", "plot.stipple", "plot").EllipseCollection(
        *(diameter, diameter, np.zeros(len(at))),
        **{"units": "xy", "offsets": at, "offset_transform": ax.transData, "facecolors": color, "linewidths": 0},
    )
    ax.add_collection(collection)
    margin = diameter.max() / 2
    frame(ax, lower - margin, upper + margin)
    return ax


def diameters(weights: Any, area: float) -> Any:
    """Return the diameters of dots whose areas are as the weights, and together `area`."""
    return 2 * np.sqrt(weights / weights.sum() * area / np.pi)


def sites(points: Any, samples: Any, weights: Any = None, *, ax: Any = None) -> Any:
    """Draw samples and the sites that stand for them: a histogram on the line, points in the plane.

    In more dimensions, both are projected on the two principal axes of the samples.

    Parameters
    ----------
    points : array (k, d) or (k,)
        The sites.
    samples : array (n, d) or (n,)
        At most 20 000 of them are drawn.
    weights : array (k,), optional
        The areas of the sites' dots, in proportion; equal by default.
    ax : matplotlib axes, optional

    Examples
    --------
    >>> import numpy as np, deblai
    >>> x = np.random.default_rng(0).standard_normal((500, 2))
    >>> ax = deblai.plot.sites(deblai.quantization.lloyd(x, 5, rng=0).sites, x)
    >>> len(ax.collections)
    1
    """
    operation = "plot.sites"
    y, x = (np.asarray(numpy(v), np.float64) for v in (points, samples))
    y, x = (v.reshape(-1, 1) if v.ndim == 1 else v for v in (y, x))
    if y.ndim != 2 or x.ndim != 2 or y.shape[1] != x.shape[1] or 0 in (*x.shape, *y.shape):
        raise errors.InvalidValue(
            f"[{operation}] samples: expected shape (n, d) to match points (k, d), got {x.shape} and {y.shape}"
        )
    w = np.ones(len(y)) if weights is None else np.asarray(numpy(weights), np.float64)
    if w.shape != (len(y),):
        raise errors.InvalidValue(f"[{operation}] weights: expected {len(y)} numbers to match points, got {w.shape}")
    ax = new_axes(ax, operation, figsize=(5, 4))
    if x.shape[1] == 1:
        ax.hist(x[:, 0], bins=int(np.clip(2 * len(x) ** 0.5, 10, 200)), color=BLUE, alpha=0.35, density=True)
        at = np.sort(y[:, 0])
        for border in (at[1:] + at[:-1]) / 2:
            ax.axvline(border, color=INK, lw=0.5, alpha=0.4)
        ax.plot(at, np.zeros(len(y)), "o", color=RED, ms=6, mec="white", mew=0.6, clip_on=False, zorder=3)
        ax.set_xlabel("x")
        ax.set_ylabel("density of samples")
        clean(ax)
        return ax
    labels = ("$x_1$", "$x_2$")
    if x.shape[1] > 2:
        mean = x.mean(0)
        axes = np.linalg.eigh(np.cov(x.T))[1][:, :-3:-1]
        x, y = (x - mean) @ axes, (y - mean) @ axes
        labels = ("first principal axis", "second principal axis")
    shown = x[:: -(-len(x) // MOST_SAMPLES)]
    ax.plot(*shown.T, ".", color=BLUE, alpha=0.3, ms=float(np.clip(200 / len(shown) ** 0.5, 1, 5)), mec="none")
    scale = float(np.clip(4000 / len(y), 6, 60))
    ax.scatter(*y.T, s=scale * w / w.mean(), color=RED, edgecolors="white", linewidths=0.5, zorder=3)
    ax.set_xlabel(labels[0])
    ax.set_ylabel(labels[1])
    ax.set_aspect("equal", adjustable="datalim")
    clean(ax)
    return ax


def _areas(offsets: Any, vertices: Any) -> Any:
    """Areas of polygons one after the other, by the shoelace formula about the first vertex of each."""
    count = np.diff(offsets)
    cell = np.repeat(np.arange(len(count)), count)
    p = vertices - vertices[offsets[cell]]
    following = np.arange(1, len(vertices) + 1)
    last = offsets[1:][count > 0] - 1
    following[last] = offsets[:-1][count > 0]
    q = p[following]
    return 0.5 * np.bincount(cell, p[:, 0] * q[:, 1] - p[:, 1] * q[:, 0], len(count))
