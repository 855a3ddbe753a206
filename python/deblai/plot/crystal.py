"""Pictures of crystals: cells that are no hexagons, and what the sites scatter."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import errors
from .._extras import require
from ..quantization import laguerre
from ..quantization.crystal import bond_order, bonds
from ..quantization.crystal import defects as find_defects
from ..quantization.crystal import structure_factor as scatter
from ..results import Bonds, Defects, StructureFactor
from ._axes import INK, clean, frame, new_axes, numpy

__all__ = ["defects", "structure_factor"]

HEXAGON, BORDER = "#ecebe6", "#d3d0c6"
CHARGES = {2: "#7a2f0b", 1: "#dd6b20", -1: "#3182ce", -2: "#1a365d"}  # 4 and fewer neighbours, 5, 7, 8 and more
STRENGTH = 0.38  # of the colours of directions, the rest being white


def defects(
    sites: Any,
    *,
    measure: Any = None,
    periodic: bool = False,
    directions: bool = False,
    edgecolor: Any = "white",
    lw: float = 0.4,
    ax: Any = None,
) -> Any:
    """Draw cells of the plane by their numbers of neighbours: fives orange, sevens blue, hexagons pale.

    Cells with four and fewer neighbours are brown, with eight and more dark blue, at the border of the domain grey.
    Fives and sevens that are a dislocation are joined by a line. On a torus the box is filled with images of cells.

    Parameters
    ----------
    sites : array (n, 2), QuantizationResult, Bonds or Defects
        As `deblai.quantization.crystal.defects` takes and returns.
    measure : measure, optional
        The domain; Bonds and Defects have theirs.
    periodic : bool, default False
        Whether it is a torus.
    directions : bool, default False
        Colour hexagons by the direction of the crystal around them, the angle of psi_6: grains are seen.
    edgecolor : matplotlib colour, default "white"
        "none" for no borders.
    lw : float, default 0.4
        Width of the borders.
    ax : matplotlib axes, optional
        A PolyCollection and a LineCollection are added.

    Examples
    --------
    >>> import numpy as np, deblai
    >>> ax = deblai.plot.defects(np.random.default_rng(0).random((40, 2)), periodic=True)
    >>> len(ax.collections)
    2
    """
    operation = "plot.defects"
    if not isinstance(directions, bool | np.bool_):
        raise errors.InvalidType(f"[{operation}] directions: expected True or False, got {directions!r}")
    if isinstance(sites, Defects):
        sites = sites.bonds
    b = sites if isinstance(sites, Bonds) else bonds(sites, measure=measure, periodic=periodic)
    if isinstance(sites, Bonds) and (measure is not None or periodic is not False):
        raise errors.InvalidValue(f"[{operation}] measure, periodic: expected none beside bonds, which have theirs")
    d = find_defects(b)
    ax = new_axes(ax, operation, figsize=(5, 5))
    points = np.asarray(numpy(b.sites), np.float64)
    psi = None if b.psi is None else np.asarray(numpy(b.psi), np.float64)
    cells = laguerre(points, psi, measure=b.measure, periodic=b.periodic)
    polygons = np.split(cells.vertices, cells.offsets[1:-1])
    lower, upper = np.array(b.measure.lower), np.array(b.measure.upper)
    fill = _colors(b, d, bool(directions))
    shown = [(polygons[i], i) for i in range(len(points)) if len(polygons[i]) > 2]
    if b.periodic:
        shown = [(moved, i) for polygon, i in shown for moved in _images(polygon, lower, upper)]
    collections = require("matplotlib.collections", operation, "plot")
    ax.add_collection(
        collections.PolyCollection(
            [polygon for polygon, _ in shown],
            facecolors=[fill[i] for _, i in shown],
            edgecolors=edgecolor,
            linewidths=lw,
        )
    )
    lines = _lines(b, d, points)
    if b.periodic:
        lines = [moved for line in lines for moved in _images(line, lower, upper)]
    ax.add_collection(collections.LineCollection(lines, colors=INK, linewidths=2.5 * lw + 0.4, capstyle="round"))
    seen = (lower, upper) if b.periodic else (cells.vertices.min(0), cells.vertices.max(0))
    frame(ax, *seen)
    return ax


def _colors(b: Bonds, d: Defects, directions: bool) -> Any:
    """Return the colour of each cell, (n, 4)."""
    to_rgba = require("matplotlib.colors", "plot.defects", "plot").to_rgba
    charge, border = numpy(d.charge), numpy(b.border)
    fill = np.tile(to_rgba(HEXAGON), (len(charge), 1))
    if directions:
        turn = np.angle(numpy(bond_order(b).local)) / (2 * np.pi) % 1
        wheel = np.stack([turn, np.full(len(turn), STRENGTH), np.ones(len(turn))], 1)
        fill[:, :3] = require("matplotlib.colors", "plot.defects", "plot").hsv_to_rgb(wheel)
    fill[border] = to_rgba(BORDER)
    for value, color in CHARGES.items():
        chosen = charge == value if abs(value) == 1 else charge * np.sign(value) >= 2
        fill[chosen] = to_rgba(color)
    return fill


def _lines(b: Bonds, d: Defects, points: Any) -> list[Any]:
    """Return the lines between the two sites of each dislocation."""
    offset: dict[tuple[int, int], Any] = {}
    for (i, j), v in zip(numpy(b.pairs).tolist(), numpy(b.offset), strict=True):
        offset.setdefault((i, j), v)
        offset.setdefault((j, i), -v)
    pairs = sorted({(i, j) for i, j in numpy(d.dislocations).tolist()})
    return [np.stack([points[i], points[i] + offset[i, j]]) for i, j in pairs]


def _images(polygon: Any, lower: Any, upper: Any) -> list[Any]:
    """Return the images of a polygon that meet the box of a torus."""
    side = upper - lower
    low, high = polygon.min(0), polygon.max(0)
    steps = [
        np.arange(np.ceil((lower[a] - high[a]) / side[a]), np.floor((upper[a] - low[a]) / side[a]) + 1)
        for a in range(2)
    ]
    return [polygon + side * np.array([u, v]) for u in steps[0] for v in steps[1]]


def structure_factor(
    s: Any,
    *,
    measure: Any = None,
    k_max: float | None = None,
    cmap: Any = "magma",
    vmin: float | None = None,
    vmax: float | None = None,
    ax: Any = None,
) -> Any:
    """Draw what sites scatter: S(k) of the plane as an image with a logarithmic scale, of space its radial mean.

    The middle, k = 0, is left out.

    Parameters
    ----------
    s : StructureFactor, or what `deblai.quantization.crystal.structure_factor` takes as sites
    measure : measure, optional
        The box of the sites. Not used for a StructureFactor, as `k_max`.
    k_max : float, optional
        The largest wave vectors.
    cmap : matplotlib colour map, default "magma"
    vmin, vmax : float, optional
        Values of the first and the last colour; by default 0.01 and the largest.
    ax : matplotlib axes, optional
        A QuadMesh is added (of given wave vectors a PathCollection, of space a line);
        ``figure.colorbar(ax.collections[-1])`` explains it.

    Examples
    --------
    >>> import numpy as np, deblai
    >>> ax = deblai.plot.structure_factor(np.random.default_rng(0).random((100, 2)))
    >>> len(ax.collections)
    1
    """
    operation = "plot.structure_factor"
    if not isinstance(s, StructureFactor):
        s = scatter(s, measure=measure, k_max=k_max)
    elif measure is not None or k_max is not None:
        raise errors.InvalidValue(f"[{operation}] measure, k_max: expected none beside a StructureFactor")
    ax = new_axes(ax, operation, figsize=(5, 5))
    k, value = np.asarray(numpy(s.k), np.float64), np.asarray(numpy(s.value), np.float64)
    if k.shape[1] != 2:
        radial = s.radial()
        ax.plot(radial.k, radial.value, color=INK, lw=1.2)
        ax.axhline(1, color=INK, lw=0.6, ls=(0, (4, 3)))
        ax.set(xlabel="$|k|$", ylabel="mean of $S(k)$", xlim=(0, None), ylim=(0, None))
        clean(ax)
        return ax
    norm = require("matplotlib.colors", operation, "plot").LogNorm(
        0.01 if vmin is None else vmin, max(value[np.abs(k).max(1) > 0].max(initial=1.0), 1.0) if vmax is None else vmax
    )
    colors = require("matplotlib", operation, "plot").colormaps.get_cmap(cmap).with_extremes(bad="white")
    ax.set_facecolor("white")
    if s.index is None:
        ax.scatter(*k.T, c=np.maximum(value, norm.vmin), norm=norm, cmap=colors, s=8, linewidths=0)
    else:
        index = numpy(s.index)
        most = np.abs(index).max(0)
        image = np.full(2 * most + 1, np.nan)
        image[tuple((index + most).T)] = np.maximum(value, norm.vmin)
        image[tuple(most)] = np.nan
        unit = [float(np.abs(k[:, a]).max() / max(most[a], 1)) for a in range(2)]
        edges = [unit[a] * (np.arange(-most[a], most[a] + 2) - 0.5) for a in range(2)]
        ax.pcolormesh(*edges, image.T, norm=norm, cmap=colors, rasterized=True)
    ax.set_aspect("equal")
    ax.set(xlabel="$k_1$", ylabel="$k_2$")
    clean(ax)
    return ax
