r"""A crystal and its defects.

The best places for many points in the plane are those of a triangular lattice: every cell a regular hexagon, of the
least moment of inertia that a cell can have (Fejes Toth, 1953). Here 896 points are on a torus that this lattice fits,
so the best energy is known, and thrown at random, so they do not know it.

Lloyd's algorithm moves each point to the middle of its cell, downhill. It freezes within a thousand steps, into
grains of different directions: between them are chains of cells with five and with seven neighbours. A cell with n
neighbours has the charge 6 - n, and on a torus charges add up to 0, whatever the points are (Euler). A five and a seven
side by side are a dislocation, the end of a row of the crystal.

The same algorithm, shaken a little less from step to step, moves dislocations until most have met others that undo
them. The direction is then the same nearly everywhere, and what the points scatter,

    S(k) = |sum_j exp(i k . y_j)|^2 / n,

has changed from rings, as those of a liquid, into the spots of a crystal, the nearest six at 4 pi / (3^(1/2) a) for
points a apart.

Optimal points have far fewer defects, if any: with a border about n^(1/2), on a torus of hexagonal shape at most of the
order of n^(1/4) (Tisdell, Choksi and Lu, 2025). They are hard to find: what is left in the second picture costs less
than a tenth of a per cent of the energy.

Run it: python docs/gallery/a_crystal_and_its_defects.py
"""

from __future__ import annotations

import argparse
from pathlib import Path

import deblai
import numpy as np
from deblai import plot
from deblai.cli.files import save_figure
from deblai.quantization import crystal
from matplotlib.figure import Figure

INK, BLUE, RED = "#22252b", "#2b6cb0", "#c05621"
TITLES = {"quenched": "downhill: grains", "shaken": "shaken, less and less: a crystal"}
SHAKE = 0.06  # of the spacing, at the beginning


def settle(torus, start, steps, shake, rng):
    """Move points to the middles of their cells and shake them; return them, and how many cells are no hexagons."""
    sites, count = start, {}
    seen = set(np.unique(np.geomspace(1, steps, 60).astype(int)))
    for step in range(1, steps + 1):
        sites = deblai.quantization.laguerre(sites, measure=torus, periodic=True).centroid
        if step in seen:
            count[step] = crystal.defects(sites, measure=torus, periodic=True).count
        sites = np.mod(sites + shake * (1 - step / steps) * rng.standard_normal(sites.shape), torus.upper)
    return sites, count


def main(out=None, quick=False):
    """Compute, draw into the folder `out` if there is one, and return the numbers."""
    best, torus = crystal.lattice("triangular").torus((14, 8) if quick else (28, 16))
    rng, steps = np.random.default_rng(0), 600 if quick else 12_000
    start = rng.random(best.shape) * torus.upper
    found, count = {}, {}
    for name, shake in (("quenched", 0.0), ("shaken", SHAKE)):
        sites, count[name] = settle(torus, start, steps, shake, rng)
        found[name] = crystal.bonds(sites, measure=torus, periodic=True)
    found["lattice"] = crystal.bonds(best, measure=torus, periodic=True)
    if out is not None:
        draw(found, count, Path(out) / "a_crystal_and_its_defects.png")
    return {name: numbers_of(b) for name, b in found.items()}


def numbers_of(b):
    """Return what the page says about points."""
    d, h = crystal.defects(b), crystal.hexagonality(b)
    s = crystal.structure_factor(b, k_max=9.0)
    return {
        "points": len(b.sites),
        "no hexagons": d.count,
        "total charge": d.total_charge,
        "dislocations": len(d.dislocations),
        "disclinations": len(d.disclinations),
        "energy over the best, minus 1": h.deficit,
        "local order": crystal.bond_order(b).local_mean,
        "global order": crystal.bond_order(b).global_order,
        "highest peak over n": float(s.value[1:].max() / len(b.sites)),
    }


def draw(found, count, file):
    """Draw both sets of cells, what they scatter, and how defects went away."""
    figure = Figure(figsize=(13.2, 5.0), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=(2, 1.06), wspace=0.02)
    for ax, (name, title) in zip(left.subplots(1, 2), TITLES.items(), strict=True):
        plot.defects(found[name], directions=True, ax=ax)
        ax.set_title(f"{title}, {crystal.defects(found[name]).count} defects", fontsize=10)
    top, bottom = right.subfigures(2, 1, height_ratios=(1, 1.05))
    for ax, name in zip(top.subplots(1, 2), TITLES, strict=True):
        s = crystal.structure_factor(found[name], k_max=14.0)
        plot.structure_factor(s, vmin=0.02, vmax=len(found[name].sites), ax=ax)
        ax.axis("off")
        ax.set_title(f"$S(k)$, {name}", fontsize=9)
    ax = bottom.subplots()
    for (name, history), color in zip(count.items(), (RED, BLUE), strict=True):
        ax.loglog(list(history), np.maximum(list(history.values()), 1), color=color, lw=1.6, label=name)
    ax.set(xlabel="steps", ylabel="cells that are no hexagons")
    ax.legend(frameon=False, fontsize=9, loc="lower left")
    ax.spines[["top", "right"]].set_visible(False)
    save_figure(figure, file, dpi=96, colors=96)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", default=Path(__file__).parent / "images", help="folder of the picture")
    numbers = main(parser.parse_args().out)
    for name, values in numbers.items():
        print(name, {key: round(value, 6) for key, value in values.items()})
