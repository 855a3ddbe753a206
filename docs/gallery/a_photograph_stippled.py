r"""A photograph, stippled.

Twenty thousand dots of ink that look like a photograph from afar: a measure (ink on pixels) approximated by points, at
the least mean square distance. Lloyd's algorithm moves every dot to the centre of mass of the ink nearest to it; here
cells are exact polygons, cut through the pixels (Secord drew the first such pictures in 2002, counting pixels).

Dots gather where there is ink, but not in proportion to it: for N large they are as dense as the square root of the
ink, rho^(1/2) (Zador 1963), and so is what each stands for, its weight. A dot whose area is its weight gives back the
grey, with fewer and larger dots in the dark than proportional ones, and the energy approaches

    N E -> 5 / (18 3^(1/2)) (int rho^(1/2))^2,

the moment of inertia of hexagons: it is what most cells are.

The photograph: Grace Hopper, computing pioneer, by James S. Davis for the US Navy, public domain; it comes with
matplotlib.

Run it: python docs/gallery/a_photograph_stippled.py
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path

import deblai
import matplotlib.cbook
import numpy as np
from deblai import plot
from deblai.cli.files import load_image, save_figure
from matplotlib.figure import Figure

INK, RED = "#22252b", "#c05621"
HEXAGON = 5 / (18 * 3**0.5)  # second moment of the hexagon of area 1
EYES = ((0.30, 0.60), (0.62, 0.80))  # intervals of x and y


def main(out=None, quick=False):
    """Compute, draw into the folder `out` if there is one, and return the numbers."""
    photograph = load_image("gallery", str(matplotlib.cbook.get_sample_data("grace_hopper.jpg", asfileobj=False)))
    ink = deblai.measures.Grid.from_image(photograph, invert=True)
    n, steps = (2000, 30) if quick else (20_000, 300)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", deblai.ConvergenceWarning)
        r = deblai.quantization.lloyd(ink, n, tol=0, max_iter=steps, rng=1)
    rho = ink.values / (ink.values.mean() * ink.volume)
    zador = HEXAGON * float(np.sqrt(rho).mean() * ink.volume) ** 2
    cells = deblai.quantization.laguerre(r.sites, measure=ink)
    inner = np.array([-1 not in cells.neighbours[a:b] for a, b in zip(cells.offsets, cells.offsets[1:], strict=False)])
    if out is not None:
        draw(ink, r, Path(out) / "a_photograph_stippled.png")
    return {
        "energy over the limit": r.energy * n / zador,
        "share of hexagons": float((np.diff(cells.offsets)[inner] == 6).mean()),
        "weights of dots, against the ink": apart(dots(ink, r.sites, r.weights), blocks(ink.values)),
        "number of dots, against its root": apart(dots(ink, r.sites), blocks(np.sqrt(ink.values))),
        "number of dots, against the ink": apart(dots(ink, r.sites), blocks(ink.values)),
    }


def blocks(values, side=40):
    """Return the shares of pixel values in squares of a number of pixels, all of them together 1."""
    m = [side * (k // side) for k in values.shape]
    sums = values[: m[0], : m[1]].reshape(m[0] // side, side, m[1] // side, side).sum((1, 3))
    return sums / sums.sum()


def dots(ink, sites, weights=None, side=40):
    """Return the shares of dots, or of their weights, in the same squares."""
    m = [k // side for k in ink.values.shape]
    reach = [(0, u * side * k / v) for u, k, v in zip(ink.upper, m, ink.values.shape, strict=True)]
    counts = np.histogram2d(*sites.T, bins=m, range=reach, weights=weights)[0]
    return counts / counts.sum()


def apart(one, other):
    """Return the share that lies in other squares."""
    return float(np.abs(one - other).sum() / 2)


def draw(ink, r, file):
    """Draw the photograph, the dots, and the eyes closer by."""
    figure = Figure(figsize=(11.2, 7.4), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=(0.37, 0.63), wspace=0.01)
    top, bottom = left.subplots(2, 1, height_ratios=(1.18, 0.6))
    top.imshow(ink.values.T[::-1], extent=(0, ink.upper[0], 0, ink.upper[1]), cmap="gray_r")
    box = [np.take(side, (0, 1, 1, 0, 0) if axis == 0 else (0, 0, 1, 1, 0)) for axis, side in enumerate(EYES)]
    top.plot(*box, color=RED, lw=1.4)
    top.axis("off")
    strength = 0.85 * float(ink.values.mean())
    for ax in (bottom, right.subplots()):
        plot.stipple(r.sites, r.weights, ink=strength, color=INK, ax=ax)
        ax.set(xlim=(0, ink.upper[0]), ylim=(0, ink.upper[1]))
    bottom.set(xlim=EYES[0], ylim=EYES[1])
    bottom.plot(*box, color=RED, lw=2)
    save_figure(figure, file, dpi=96, colors=20)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", default=Path(__file__).parent / "images", help="folder of the picture")
    numbers = main(parser.parse_args().out)
    for name, value in numbers.items():
        print(f"{name}: {value:.4g}")
