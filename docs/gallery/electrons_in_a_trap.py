r"""Electrons in a trap, from two to ten.

N electrons share a density N rho on the line, here the Gaussian that a harmonic trap gives. How much must they repel
each other at least? That is optimal transport with N equal marginals: over all laws pi of (x_1, ..., x_N) whose
marginals are rho,

    V(N) = min over pi of the mean of sum_{i<j} 1 / |x_i - x_j|,

the limit of strong interaction in density functional theory. On the line the answer is known [1]: cut rho into N pieces
of equal mass; once one electron is at x, the others are in the other pieces, at the same fraction of each,

    f_k(x) = F^-1(F(x) + (k - 1) / N mod 1),   F the distribution function of rho.

The page solves the entropic problem, which knows nothing of this, and looks at what comes out: the pair densities of
two, three and four electrons lie along the f_k, and the costs at epsilon -> 0 are those of strict correlation. For
larger N the formula alone goes on, to ten electrons and beyond: electrons of density N rho see their k-th neighbours at
k / (N rho), so that V = N^2 (log N integral rho^2 + constant + o(1)).

[1] M. Colombo, L. De Pascale, S. Di Marino, "Multimarginal optimal transport maps for one-dimensional repulsive costs",
Canad. J. Math. 2015.

Run it: python docs/gallery/electrons_in_a_trap.py
"""

from __future__ import annotations

import argparse
from itertools import combinations
from pathlib import Path

import deblai
import numpy as np
from deblai import plot
from matplotlib.figure import Figure
from scipy.integrate import quad
from scipy.special import ndtri

INK, BLUE, RED = "#22252b", "#2b6cb0", "#c05621"


def strictly_correlated(n):
    """Return V(n) of the standard Gaussian: n times the integral over one piece of the cost of the n positions."""

    def cost(u):
        x = ndtri(u + np.arange(n) / n)
        return sum(1 / (x[j] - x[i]) for i, j in combinations(range(n), 2))

    return n * quad(cost, 0, 1 / n, epsabs=1e-12, epsrel=1e-12, limit=200)[0]


def entropic(n, points, smallest):
    """Return a grid of [-4.2, 4.2] and the ladder of epsilons on it."""
    x = np.linspace(-4.2, 4.2, points)
    ladder = np.geomspace(0.2, smallest, 6)
    return x, deblai.multimarginal.epsilon_path(x, np.exp(-x * x / 2), n_marginals=n, epsilons=ladder, tol=1e-7)


def main(out=None, quick=False):
    """Compute, draw into the folder `out` if there is one, and return the numbers."""
    exact = {n: strictly_correlated(n) for n in range(2, 11)}
    grids = {2: (121, 0.02), 3: (81, 0.03)} if quick else {2: (281, 0.008), 3: (169, 0.01), 4: (85, 0.03)}
    paths = {n: entropic(n, *grid) for n, grid in grids.items()}
    limits = {n: path.limit for n, (_, path) in paths.items()}
    if out is not None:
        draw(exact, paths, Path(out) / "electrons_in_a_trap.png")
    return {"exact": exact, "limits": limits}


def draw(exact, paths, file):
    """Draw the pair densities with the maps of the limit, ten electrons, the ladder, and V(N) / N^2."""
    figure = Figure(figsize=(12.6, 8.2), layout="constrained")
    axes = figure.subplots(2, 3)
    for ax, (n, (x, path)) in zip(axes[0], paths.items(), strict=False):
        plot.pair_density(path.results[-1], x, maps=True, ax=ax)
        ax.set(xlim=(-3, 3), ylim=(-3, 3))
        ax.set_title(f"{n} electrons: where two of them are, ε = {path.epsilons[-1]:.2g}", fontsize=10, loc="left")

    ax = axes[1, 0]
    u = np.linspace(0, 0.1, 400)[1:-1]
    for k in range(10):
        ax.plot(ndtri(u + k / 10), u * 10, color=BLUE if k % 2 else RED, lw=1.6)
    ax.set(xlim=(-3, 3), ylim=(0, 1), xlabel="$x$", ylabel="share of its piece that each has passed")
    ax.set_title("ten electrons: each keeps to its own tenth", fontsize=10, loc="left")

    n = max(k for k in paths if k < 4)
    plot.epsilon_path(paths[n][1], truth=exact[n], ax=axes[1, 1])
    axes[1, 1].set_title(f"{n} electrons: the cost falls to V({n})", fontsize=10, loc="left", color=INK)

    ax = axes[1, 2]
    count = np.array(list(exact))
    ax.plot(np.log(count), [v / n**2 for n, v in exact.items()], "o", color=BLUE, ms=4.5, label="strict correlation")
    found = {n: path.limit / n**2 for n, (_, path) in paths.items()}
    ax.plot(np.log(list(found)), list(found.values()), "o", color=RED, ms=9, mfc="none", label="entropic, ε → 0")
    slope = 1 / (2 * np.sqrt(np.pi))  # the integral of rho^2
    end = np.log(count[-1])
    ax.plot([0.6, end], exact[10] / 100 + slope * (np.array([0.6, end]) - end), color=INK, lw=0.8, label="slope ∫ρ²")
    ax.set_xticks(np.log(count), count)
    ax.set(xlabel="$N$", ylabel="$V(N) / N^2$")
    ax.set_title("from two to ten electrons", fontsize=10, loc="left")
    ax.legend(frameon=False, fontsize=9, loc="upper left")
    for ax in (axes[1, 0], axes[1, 2]):
        ax.spines[["top", "right"]].set_visible(False)
    figure.savefig(file, dpi=90)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", default=Path(__file__).parent / "images", help="folder of the picture")
    numbers = main(parser.parse_args().out)
    for n, limit in numbers["limits"].items():
        print(f"{n} electrons: {limit:.5f}, strictly correlated {numbers['exact'][n]:.5f}")
