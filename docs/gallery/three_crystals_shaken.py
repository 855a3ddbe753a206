r"""Three crystals, shaken.

How should N points fill space so that a random place is near one of them? Gersho conjectured that the best cells are
all alike; in space nobody has proved it, and the best known are truncated octahedra, the cells of the body-centred
cubic lattice: their moment of inertia

    G = int |x - c|^2 dx / (3 V^(5/3)) = 19 / (192 2^(1/3)) = 0.0785432812

is below that of the face-centred lattice, 2^(-11/3) = 0.0787450656 (rhombic dodecahedra), and that of the cube, 1/12.
Barnes and Sloane proved that no lattice is better (1983).

Here the three lattices lie on a torus, every point is moved by a twentieth of its spacing at random, and Lloyd's
algorithm moves points to the centres of mass of their exact cells. The two close packings heal: both are minima.
Simple cubes are a saddle, which the shaking finds: they melt into a glass of cells of 12 to 16 facets, 14 in the
mean, about one per cent above the best, and it stays there. Good crystals are not found by going downhill.

Run it: python docs/gallery/three_crystals_shaken.py
"""

from __future__ import annotations

import argparse
from pathlib import Path

import deblai
import numpy as np
from deblai import plot
from matplotlib.cm import ScalarMappable
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.figure import Figure

INK, BLUE, RED, GOLD = "#22252b", "#2b6cb0", "#c05621", "#b7892b"
FACETS = ("#16233d", "#3d6ea8", "#e3ded2", "#e0b050", "#b5541c")  # colours of 12 to 16
CUBE = deblai.measures.UniformBox((0, 0, 0), (1, 1, 1))
LATTICES = {  # points in a cube of the lattice, cubes along a side of the torus
    "simple cubic": ([(0, 0, 0)], 7),
    "face-centred": ([(0, 0, 0), (0, 0.5, 0.5), (0.5, 0, 0.5), (0.5, 0.5, 0)], 4),
    "body-centred": ([(0, 0, 0), (0.5, 0.5, 0.5)], 5),
}
EXACT = {"simple cubic": 1 / 12, "face-centred": 2 ** (-11 / 3), "body-centred": 19 / (192 * 2 ** (1 / 3))}


def lattice(name):
    """Return the points of a lattice in the unit cube."""
    basis, m = LATTICES[name]
    corners = np.stack(np.meshgrid(*3 * [np.arange(m)], indexing="ij"), -1).reshape(-1, 3)
    return np.concatenate([corners + point for point in np.array(basis) + 0.25]) / m


def moment(energy, n):
    """Return G of cells of mean volume 1 / n with this energy."""
    return np.asarray(energy) * n ** (2 / 3) / 3


def main(out=None, quick=False):
    """Compute, draw into the folder `out` if there is one, and return the numbers."""
    rng, steps = np.random.default_rng(5), 150 if quick else 3000
    before, after, cells = {}, {}, {}
    for name in LATTICES:
        points = lattice(name)
        n = len(points)
        before[name] = float(moment(deblai.quantization.laguerre(points, measure=CUBE, periodic=True).energy, n))
        shaken = points + 0.05 * n ** (-1 / 3) * rng.standard_normal(points.shape)
        result = deblai.quantization.lloyd(
            CUBE, n, init=shaken, periodic=True, tol=0, max_iter=steps, callback=lambda state: state.step == steps
        )
        after[name] = moment(result.history, n)
        cells[name] = deblai.quantization.laguerre(result.sites, measure=CUBE, periodic=True)
    if out is not None:
        draw(after, cells, Path(out) / "three_crystals_shaken.png")
    facets = cells["simple cubic"].n_facets
    return {
        "before": before,
        "after": {name: float(history[-1]) for name, history in after.items()},
        "facets of the glass": {int(k): int((facets == k).sum()) for k in np.unique(facets)},
    }


def draw(after, cells, file):
    """Draw the glass and the best crystal, cut open, and how the energies fell."""
    figure = Figure(figsize=(13.2, 4.9), layout="constrained")
    parts = figure.subfigures(1, 2, width_ratios=(2, 1.05), wspace=0.02)
    rooms = parts[0].subplots(1, 2, subplot_kw={"projection": "3d"})
    norm, cmap = BoundaryNorm(np.arange(11.5, 17), 5), ListedColormap(FACETS)
    for ax, name, title in zip(
        rooms,
        ("simple cubic", "body-centred"),
        ("cubes, shaken and settled: a glass", "body-centred, shaken and settled: itself"),
        strict=True,
    ):
        plot.solids(cells[name], values=np.clip(cells[name].n_facets, 12, 16), cmap=cmap, vmin=12, vmax=16, ax=ax)
        ax.set_title(title, fontsize=10, y=-0.03)
    bar = parts[0].colorbar(ScalarMappable(norm, cmap), ax=rooms, location="bottom", shrink=0.32, aspect=24, pad=0.01)
    bar.set_ticks(range(12, 17), labels=["≤ 12", "13", "14", "15", "≥ 16"])
    bar.set_label("facets of a cell", fontsize=9)
    bar.ax.tick_params(labelsize=9, length=0)

    ax = parts[1].subplots()
    for (name, history), color in zip(after.items(), (RED, GOLD, BLUE), strict=True):
        ax.loglog(np.arange(len(history)) + 1, history / EXACT["body-centred"] - 1, color=color, lw=1.6)
        level = EXACT[name] / EXACT["body-centred"] - 1
        if level > 0:
            ax.axhline(level, color=color, lw=0.8, ls=(0, (4, 3)))
            below = name == "face-centred"
            at = {"va": "top", "ha": "left"} if below else {"va": "bottom", "ha": "right"}
            ax.text(1 if below else 3000, level * (0.8 if below else 1.08), name, color=color, fontsize=9, **at)
    ax.text(40, 1e-5, "body-centred", color=BLUE, fontsize=9)
    ax.set_ylim(1e-7, 0.12)
    ax.set(xlabel="steps of Lloyd's algorithm", ylabel="energy over the best known, minus 1")
    ax.set_title("two heal, one melts", fontsize=10, loc="left")
    ax.spines[["top", "right"]].set_visible(False)
    figure.savefig(file, dpi=100)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", default=Path(__file__).parent / "images", help="folder of the picture")
    numbers = main(parser.parse_args().out)
    for name, value in numbers["after"].items():
        print(f"{name}: G = {numbers['before'][name]:.10f} (exact {EXACT[name]:.10f}), settled at {value:.10f}")
    print("facets of the glass:", numbers["facets of the glass"])
