r"""A density moved onto points.

Monge asked in 1781 how to move earth, the deblai, to where it is wanted, at the least cost. Here the earth lies in two
heaps, a density on pixels, and is wanted at 1500 places of equal size on a spiral. With cost |x - y|^2 the best way
cuts the earth into convex polygons, one a place, by lines: the cells of a Laguerre diagram

    V_i = {x : |x - y_i|^2 - psi_i <= |x - y_j|^2 - psi_j for all j},

whose weights psi make every cell hold 1/1500 of the earth, and maximise

    sum_i int_{V_i} (|x - y_i|^2 - psi_i) rho + sum_i psi_i / n,

a bound from below of the cost of any other way, and equal to the cost of this one. Each polygon then shrinks along
straight lines to its place, x -> (1 - t) x + t y_i, and no two ever overlap on the way (McCann 1997).

Two checks that no solver is told. Moving all places by v changes the cost by 2 v . (mean of places - mean of earth)
+ |v|^2, and no cell at all. And the cost is at least that of moving the means, with the same spread (Gelbrich 1990).

Run it: python docs/gallery/a_density_moved.py
"""

from __future__ import annotations

import argparse
from pathlib import Path

import deblai
import numpy as np
from deblai.cli.files import save_figure
from matplotlib.collections import PolyCollection
from matplotlib.colors import hsv_to_rgb
from matplotlib.figure import Figure


def heaps(pixels):
    """Return two heaps of earth in the square [-1, 1]^2."""
    x, y = np.meshgrid(*2 * [np.linspace(-1, 1, 2 * pixels + 1)[1::2]], indexing="ij")
    left = np.exp(-((x + 0.45) ** 2 + (y - 0.3) ** 2) / 0.09)
    right = 0.7 * np.exp(-((x - 0.5) ** 2 / 0.03 + (y + 0.1) ** 2 / 0.3))
    return deblai.measures.Grid(left + right + 0.01, (-1, -1), (1, 1))


def spiral(n):
    """Return n places of equal size in a disc, as of seeds in a sunflower, to the right of the heaps."""
    k = np.arange(n) + 0.5
    angle = np.pi * (3 - 5**0.5) * k
    return 0.62 * np.sqrt(k / n)[:, None] * np.stack([np.cos(angle), np.sin(angle)], 1) + [2.1, 0]


def mean_and_spread(grid):
    """Return the mean of a density on pixels and its covariance."""
    w = grid.values / grid.values.sum()
    width = np.subtract(grid.upper, grid.lower) / w.shape
    middle = [low + h * (np.arange(m) + 0.5) for low, h, m in zip(grid.lower, width, w.shape, strict=True)]
    x = np.stack(np.meshgrid(*middle, indexing="ij"), -1).reshape(-1, 2)
    w = w.ravel()
    mean = w @ x
    return mean, (w[:, None] * (x - mean)).T @ (x - mean) + np.diag(width**2) / 12


def gelbrich(mean, cov, other, their):
    """Return the bound |m - m'|^2 + tr(S + S' - 2 (S^(1/2) S' S^(1/2))^(1/2)) of moving one measure to another."""
    values, vectors = np.linalg.eigh(cov)
    root = vectors * np.sqrt(values) @ vectors.T
    middle = np.sqrt(np.linalg.eigvalsh(root @ their @ root)).sum()
    return float(np.sum((mean - other) ** 2) + np.trace(cov) + np.trace(their) - 2 * middle)


def main(out=None, quick=False):
    """Compute, draw into the folder `out` if there is one, and return the numbers."""
    grid, places = heaps(32 if quick else 192), spiral(150 if quick else 1500)
    r = deblai.quantization.semidiscrete(grid, places, tol=1e-10)
    v = np.array([0.3, -0.4])
    moved = deblai.quantization.semidiscrete(grid, places + v, tol=1e-10)
    mean, cov = mean_and_spread(grid)
    cells = r.cells()
    if out is not None:
        draw(grid, cells, places, Path(out) / "a_density_moved.png")
    return {
        "value": r.value,
        "cost of the cells": float(cells.second_moment.sum()),
        "moved": moved.value,
        "moved, from the means": r.value + 2 * v @ (places.mean(0) - mean) + v @ v,
        "cells that change": float(np.abs(moved.centroids - r.centroids).max()),
        "bound of means and spreads": gelbrich(mean, cov, places.mean(0), np.cov(places.T, bias=True)),
        "mass error": r.mass_error,
    }


def draw(grid, cells, places, file):
    """Draw the earth, and its polygons on their way in the colour of the angle at which their places lie."""
    off = places - places.mean(0)
    hue = np.arctan2(off[:, 1], off[:, 0]) / (2 * np.pi) % 1
    far = np.hypot(*off.T) / np.hypot(*off.T).max()
    color = hsv_to_rgb(np.stack([hue, 0.25 + 0.5 * far, 0.9 - 0.2 * far], 1))
    polygons = [cells.polygon(i) for i in range(len(places))]
    figure = Figure(figsize=(13.2, 3.6), layout="constrained")
    earth, cut, half, there = figure.subplots(1, 4)
    box = (grid.lower[0], grid.upper[0], grid.lower[1], grid.upper[1])
    earth.imshow(grid.values.T, origin="lower", extent=box, cmap="bone_r")
    for ax, t in ((cut, 0), (half, 0.5)):
        now = [(1 - t) * p + t * y for p, y in zip(polygons, places, strict=True)]
        ax.add_collection(PolyCollection(now, facecolors=color, edgecolors="white", linewidths=0.25 if t == 0 else 0))
        ax.set(xlim=(t * 2.1 - 1.03, t * 2.1 + 1.03))
    there.scatter(*places.T, s=6, c=color, linewidths=0)
    there.set(xlim=(2.1 - 1.03, 2.1 + 1.03))
    titles = ("the earth", f"{len(places)} equal parts, $t = 0$", "half way, $t = 1/2$", "at their places, $t = 1$")
    earth.set(xlim=(-1.03, 1.03))
    for ax, title in zip((earth, cut, half, there), titles, strict=True):
        ax.set(ylim=(-1.03, 1.03), aspect="equal")
        ax.axis("off")
        ax.set_title(title, fontsize=10)
    save_figure(figure, file, dpi=100, colors=128)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", default=Path(__file__).parent / "images", help="folder of the picture")
    numbers = main(parser.parse_args().out)
    for name, value in numbers.items():
        print(f"{name}: {value:.12g}")
