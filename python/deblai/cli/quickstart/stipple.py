"""Stipple: a photograph as dots by Lloyd's algorithm on exact cells, and energies of lattices that are known."""

from __future__ import annotations

import numpy as np

from ... import plot
from ..._extras import require
from ...measures import Grid, UniformBox
from ...plot._axes import RED
from ...quantization import LloydState, laguerre, lloyd
from ...results import Cells, QuantizationResult
from ..files import load_image, save_figure
from ..say import progress, unwarned
from .report import Array, Row, Story, row, timed

HEXAGON = 5 / (18 * 3**0.5)  # second moment about its centre of the hexagon of area 1 (Fejes Toth: the least of all)
STEPS = 60
FACE = ((0.3, 0.59), (0.47, 0.8))  # intervals of x and y in the photograph


def tell(story: Story) -> list[Row]:
    """Return rows of the table; save the picture."""
    cbook = require("matplotlib.cbook", "quickstart", "demo")
    # Grace Hopper, computing pioneer, by James S. Davis for the US Navy: public domain.
    photograph = load_image("quickstart", str(cbook.get_sample_data("grace_hopper.jpg", asfileobj=False)))
    grid = Grid.from_image(photograph, invert=True)
    with progress(STEPS, "step", "stipple", always=True) as show, unwarned():

        def watch(state: LloydState) -> None:
            show(state.step, f"energy {state.energy:.4g}")

        result, seconds = timed(lambda: lloyd(grid, story.sites, tol=0, max_iter=STEPS, rng=story.seed, callback=watch))
    cells, cutting = timed(lambda: laguerre(result.sites, measure=grid))
    _draw(story, grid, result, cells)
    size = f"{grid.values.shape[0]} × {grid.values.shape[1]} pixels, {story.sites} sites"
    return [*_portrait(grid, result, cells, size, seconds, cutting), *_lattices(story.seed)]


def _portrait(
    grid: Grid, result: QuantizationResult, cells: Cells, size: str, seconds: float, cutting: float
) -> list[Row]:
    """Compare sums over all cells with sums over all pixels, and the energy with its limit."""
    sites, mass = np.asarray(result.sites), np.asarray(cells.mass)
    weights = grid.values / grid.values.sum()
    # The integral of |x|^2 over all cells, each put together from moments about its own site.
    about = 2 * np.einsum("ij,ij->i", sites, cells.centroid) - np.einsum("ij,ij->i", sites, sites)
    of_cells = float(np.sum(cells.second_moment) + mass @ about)
    of_pixels = 0.0
    for axis, side in enumerate(grid.upper):
        edges = np.linspace(0, side, grid.values.shape[axis] + 1)
        of_pixels += float(weights.sum(1 - axis) @ ((edges[1:] ** 3 - edges[:-1] ** 3) / (3 * np.diff(edges))))
    # Zador: N times the least energy tends to HEXAGON (integral of the root of the density)^2.
    limit = HEXAGON * float(np.sqrt(weights).mean() ** 2) * weights.size * grid.volume
    ratio = result.energy * len(sites) / limit
    return [
        row("portrait: masses of all cells", size, cutting, mass.sum(), 1, 1e-12),
        row("portrait: ∫ |x|² over cells, over pixels", size, cutting, of_cells, of_pixels, 1e-12),
        row(f"portrait, {STEPS} steps: energy / Zador's limit N → ∞", size, seconds, ratio, 1, 0.05),
    ]


def _lattice(columns: int, rows: int) -> tuple[Array, UniformBox]:
    """Return points of the triangular lattice of spacing 1, and their torus."""
    at = [[i + 0.5 * (j % 2), j * 0.75**0.5] for j in range(rows) for i in range(columns)]
    return np.array(at), UniformBox((0, 0), (columns, rows * 0.75**0.5))


def _lattices(seed: int) -> list[Row]:
    """Energies times N over the area, of lattices on the torus and of four sites in a square."""
    rng = np.random.default_rng(seed)
    points, torus = _lattice(100, 116)
    n, name = len(points), "triangular lattice, torus: energy N/A = 5/(18√3)"
    hexagons, seconds = timed(lambda: laguerre(points, measure=torus, periodic=True))
    rows = [row(name, f"{n} sites", seconds, hexagons.energy * n / torus.volume, HEXAGON, 1e-12)]
    points, torus = _lattice(10, 12)
    n, name = len(points), "... shaken, then Lloyd: the same minimum"
    shaken = points + 0.1 * rng.standard_normal(points.shape)
    with unwarned():
        settled, seconds = timed(
            lambda: lloyd(torus, n, init=shaken, periodic=True, tol=1e-12, max_iter=5000),
        )
    rows.append(row(name, f"{n} sites", seconds, settled.energy * n / torus.volume, HEXAGON, 1e-6))
    side = 100
    square = (np.stack(np.meshgrid(*2 * [np.arange(side)]), -1).reshape(-1, 2) + 0.5) / side
    squares, seconds = timed(lambda: laguerre(square, periodic=True))
    name = "square lattice, torus: energy N/A = 1/6"
    rows.append(row(name, f"{side**2} sites", seconds, squares.energy * side**2, 1 / 6, 1e-12))
    unit = UniformBox((0, 0), (1, 1))
    four, seconds = timed(
        lambda: min((lloyd(unit, 4, rng=seed + k, tol=1e-12, max_iter=5000) for k in range(4)), key=lambda r: r.energy)
    )
    rows.append(row("Lloyd in the unit square: energy 1/24", "4 sites, best of 4", seconds, four.energy, 1 / 24, 1e-8))
    return rows


def _draw(story: Story, grid: Grid, result: QuantizationResult, cells: Cells) -> None:
    """Draw the portrait as dots, and the cells of its face."""
    figure = require("matplotlib.figure", "quickstart", "demo").Figure(figsize=(12.2, 6.6), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(0.853, 0.87))
    plot.stipple(result.sites, result.weights, ink=0.8 * float(grid.values.mean()), ax=left)
    left.set_xlim(0, grid.upper[0])
    left.set_ylim(0, grid.upper[1])
    box = [np.take(side, (0, 1, 1, 0, 0) if axis == 0 else (0, 0, 1, 1, 0)) for axis, side in enumerate(FACE)]
    left.plot(*box, color=RED, lw=1.6)
    plot.cells(cells, lw=0.5, ax=right)
    right.plot(*np.asarray(result.sites).T, ".", color="white", ms=1.6, mec="none")
    right.set_xlim(*FACE[0])
    right.set_ylim(*FACE[1])
    save_figure(figure, story.out / "stipple.png", dpi=100, colors=48)
