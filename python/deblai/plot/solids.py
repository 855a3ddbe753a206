"""Pictures of cells of space, cut open."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import errors
from .._extras import require
from ..results import Cells3
from ._axes import INK, numpy

__all__ = ["solids"]

ELEVATION, AZIMUTH = 24.0, 35.0
SUN, SHADOW = np.array([0.45, 0.2, 0.87]), 0.45  # direction of the light, share of it that reaches what is turned away


def solids(
    cells: Cells3,
    *,
    keep: Any = None,
    values: Any = None,
    cmap: Any = "viridis",
    vmin: float | None = None,
    vmax: float | None = None,
    edgecolor: Any = INK,
    lw: float = 0.3,
    ax: Any = None,
) -> Any:
    """Draw polyhedra of a diagram of space, some of them left out so that one sees inside.

    Parameters
    ----------
    cells : Cells3
        As `deblai.quantization.laguerre` returns for sites (n, 3). Those of a torus are drawn near their sites.
    keep : bool array (n,), optional
        The cells that are drawn; by default all but those whose centroids are in the eighth of the box that faces the
        viewer.
    values : array (n,), optional
        What the colours mean, one number a cell; by default its number of facets.
    cmap : matplotlib colour map, default "viridis"
    vmin, vmax : float, optional
        Values of the first and the last colour; by default the least and the largest that are drawn.
    edgecolor : matplotlib colour, optional
        "none" for no edges.
    lw : float, default 0.3
        Width of the edges.
    ax : matplotlib axes of projection "3d", optional
        One Poly3DCollection is added. Only the facets between what is drawn and what is not are in it.

    Examples
    --------
    >>> import numpy as np, deblai
    >>> cells = deblai.quantization.laguerre(np.random.default_rng(0).random((30, 3)))
    >>> ax = deblai.plot.solids(cells)
    >>> len(ax.collections)
    1
    """
    operation = "plot.solids"
    if not isinstance(cells, Cells3):
        raise errors.InvalidType(f"[{operation}] cells: expected cells of space, got {type(cells).__name__}")
    n = cells.mass.shape[0]
    centroid = np.asarray(numpy(cells.centroid), np.float64)
    if keep is None:
        middle = (centroid.max(0) + centroid.min(0)) / 2
        kept = ~(centroid > middle).all(1)
    else:
        kept = np.asarray(numpy(keep))
        if kept.shape != (n,) or kept.dtype != bool:
            raise errors.InvalidValue(
                f"[{operation}] keep: expected {n} bools, one a cell, got {kept.dtype} of shape {kept.shape}"
            )
    shown = np.asarray(numpy(cells.n_facets if values is None else values), np.float64)
    if shown.shape != (n,):
        raise errors.InvalidValue(f"[{operation}] values: expected {n} numbers, one a cell, got shape {shown.shape}")
    facets, owner = _surface(cells, kept)
    if not facets:
        raise errors.InvalidValue(f"[{operation}] keep: expected at least one cell that is not empty")
    if ax is None:
        pyplot = require("matplotlib.pyplot", operation, "plot")
        ax = pyplot.subplots(figsize=(6, 6), layout="constrained", subplot_kw={"projection": "3d"})[1]
    scale = require("matplotlib.cm", operation, "plot").ScalarMappable(cmap=cmap)
    scale.set_clim(vmin, vmax)
    color = scale.to_rgba(shown[owner])
    color[:, :3] *= _light(facets)[:, None]
    art = require("mpl_toolkits.mplot3d.art3d", operation, "plot")
    ax.add_collection3d(art.Poly3DCollection(facets, facecolors=color, edgecolors=edgecolor, linewidths=lw))
    corners = np.concatenate(facets)
    lower, upper = corners.min(0), corners.max(0)
    ax.set(xlim=(lower[0], upper[0]), ylim=(lower[1], upper[1]), zlim=(lower[2], upper[2]))
    ax.set_box_aspect(upper - lower, zoom=1.2)
    ax.set_proj_type("ortho")
    ax.view_init(ELEVATION, AZIMUTH)
    ax.set_axis_off()
    return ax


def _light(facets: list[Any]) -> Any:
    """Return the share of light that each facet throws back: Lambert's law, and some from everywhere."""
    normal = np.array([np.cross(f - f[0], np.roll(f, -1, 0) - f[0]).sum(0) for f in facets])
    length = np.linalg.norm(normal, axis=1)
    cosine = normal @ (SUN / np.linalg.norm(SUN)) / np.where(length > 0, length, 1)
    return SHADOW + (1 - SHADOW) * (0.5 + 0.5 * cosine)


def _surface(cells: Cells3, kept: Any) -> tuple[list[Any], Any]:
    """Return the facets of kept cells that no other kept cell covers, and the cell of each."""
    vertices = np.asarray(numpy(cells.vertices), np.float64)
    first, of_cell = numpy(cells.corner_offsets), numpy(cells.facet_offsets)
    cell = np.repeat(np.arange(len(kept)), np.diff(of_cell))
    chosen = np.flatnonzero(kept[cell])
    corners = numpy(cells.corners)
    facets = [vertices[corners[first[f] : first[f + 1]]] for f in chosen]
    if not facets:
        return [], chosen
    centre = np.array([facet.mean(0) for facet in facets])
    # Two cells with a facet in common agree on its middle up to rounding; images around a torus do not.
    size = np.ptp(vertices, axis=0).max()
    along = centre @ np.array([0.5773, 0.6180, 0.5337])
    order = np.argsort(along)
    near = np.abs(np.diff(centre[order], axis=0)).max(1) < 1e-9 * size
    covered = np.zeros(len(facets), bool)
    covered[order[1:]] |= near
    covered[order[:-1]] |= near
    open_ = np.flatnonzero(~covered)
    return [facets[k] for k in open_], cell[chosen[open_]]
