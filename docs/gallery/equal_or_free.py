r"""Equal or free: two ways for N points to stand for a density.

Points may carry whatever weight is best, the mass of their cells, or all the same weight, 1/N: then a cell is what
optimal transport sends to its point. Both minimise the squared distance of Wasserstein between the density and the
points; the first has more freedom.

Free points are as dense as the root of the density, rho^(1/2), equal ones must be as dense as rho itself, and both
kinds of cells are hexagons nearly everywhere, of area a at a cost of HEX rho a^2 each, HEX = 5 / (18 3^(1/2)). So

    N E  ->  HEX (int rho^(1/2))^2     free (Zador 1963),
    N E  ->  HEX |support of rho|      equal, as one expects (for exponents below 2 Quattrocchi proved it, 2024).

The second is never less, by the inequality of Cauchy and Schwarz: equal weights spend their points where the mass is,
and pay where it is thin. Putting equal weights on the best free points, or moving equal points to be free, is neither
of the two.

Run it: python docs/gallery/equal_or_free.py
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path

import deblai
import numpy as np
from deblai import plot
from deblai.cli.files import save_figure
from matplotlib.figure import Figure

INK, BLUE, RED = "#22252b", "#2b6cb0", "#c05621"
HEXAGON = 5 / (18 * 3**0.5)  # second moment of the hexagon of area 1
NAMES = {"free": "free weights", "uniform": "equal weights"}


def valley(pixels=128):
    """Return a density that falls eightyfold from two hills to the corners."""
    x, y = np.meshgrid(*2 * [(np.arange(pixels) + 0.5) / pixels], indexing="ij")
    hills = np.exp(-((x - 0.3) ** 2 + (y - 0.35) ** 2) / 0.02) + 0.8 * np.exp(
        -((x - 0.7) ** 2 + (y - 0.65) ** 2) / 0.03
    )
    return deblai.measures.Grid(hills + 0.0125, (0, 0), (1, 1))


def limits(density):
    """Return the limits of N E with free and with equal weights."""
    rho = density.values / density.values.mean()
    return {"free": HEXAGON * float(np.sqrt(rho).mean() ** 2), "uniform": HEXAGON}


def main(out=None, quick=False):
    """Compute, draw into the folder `out` if there is one, and return the numbers."""
    density = valley(64 if quick else 128)
    counts = (20, 80) if quick else (12, 25, 50, 100, 200, 400)
    results = {name: [] for name in NAMES}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", deblai.ConvergenceWarning)
        for n in counts:
            for name, found in results.items():
                options = {"tol": 1e-4, "restarts": 0 if quick else 2, "rng": 1}
                found.append(deblai.quantization.quantize(density, n, weights=name, **options))
    free, equal = (results[name][-1] for name in NAMES)
    again = deblai.quantization.semidiscrete(density, free.sites)
    if out is not None:
        draw(density, counts, results, Path(out) / "equal_or_free.png")
    return {
        "limits": limits(density),
        "N E": {
            name: [float(n * r.energy) for n, r in zip(counts, found, strict=True)] for name, found in results.items()
        },
        "equal weights on free points": float(counts[-1] * again.value),
        "free weights on equal points": float(
            counts[-1] * deblai.quantization.laguerre(equal.sites, measure=density).energy
        ),
    }


def draw(density, counts, results, file):
    """Draw the cells of both kinds, coloured by their masses, and how energies grow towards their limits."""
    figure = Figure(figsize=(13.2, 4.5), layout="constrained")
    axes = figure.subplots(1, 3, width_ratios=(1, 1, 1.05))
    for ax, (name, title), color in zip(axes, NAMES.items(), (BLUE, RED), strict=False):
        r = results[name][-1]
        if name == "free":
            cells = deblai.quantization.laguerre(r.sites, measure=density)
        else:
            cells = deblai.quantization.semidiscrete(density, r.sites, tol=1e-10).cells()
        plot.cells(cells, values=np.asarray(cells.mass) * len(r.sites), cmap="RdBu_r", edgecolor=INK, ax=ax)
        ax.collections[-1].set_clim(0, 2)
        ax.plot(*r.sites.T, ".", color=INK, ms=2)
        ax.set_title(f"{title}, $N E$ = {len(r.sites) * r.energy:.4f}", fontsize=10, color=color)
    bar = figure.colorbar(axes[0].collections[0], ax=axes[:2], location="bottom", shrink=0.3, aspect=28, pad=0.02)
    bar.set_label("mass of a cell, times $N$", fontsize=9)
    bar.ax.tick_params(labelsize=9)
    ax = axes[2]
    for (name, title), color in zip(NAMES.items(), (BLUE, RED), strict=True):
        energies = [n * r.energy for n, r in zip(counts, results[name], strict=True)]
        ax.semilogx(counts, energies, "o-", color=color, ms=4, lw=1.4, label=title)
        ax.axhline(limits(density)[name], color=color, lw=0.9, ls=(0, (4, 3)))
    ax.set_xticks(counts, labels=map(str, counts))
    ax.minorticks_off()
    ax.set(xlabel="$N$", ylabel="$N E$", ylim=(0, None))
    ax.set_title("towards their limits (dashed)", fontsize=10, loc="left")
    ax.legend(frameon=False, fontsize=9, loc="lower right")
    ax.spines[["top", "right"]].set_visible(False)
    save_figure(figure, file, dpi=100, colors=220)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", default=Path(__file__).parent / "images", help="folder of the picture")
    numbers = main(parser.parse_args().out)
    for name, value in numbers.items():
        print(name, value)
