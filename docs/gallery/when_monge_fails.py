r"""When Monge fails.

Monge asked for maps: each x goes to one place. Of two marginals with a decent cost there always is an optimal map; of
three or more with repulsive costs it depends on the cost. Three particles share the uniform law of [0, 1].

They repel each other by 1 / |x - y|. The optimal plan lives on a curve: once x_1 is known, the other two sit at
x_1 + 1/3 and x_1 + 2/3 (mod 1). A map, up to which of the two is which.

They repel each other by -|x - y|^2. As -sum_{i<j} |x_i - x_j|^2 = |x_1 + x_2 + x_3|^2 - 3 sum |x_i|^2, every plan on
{x_1 + x_2 + x_3 = 3/2} is optimal: a whole face of plans, most of them no maps, and there are such problems where
no minimiser at all is one [1]. Entropy picks the one that is spread the most: given x_1, x_2 has a continuous law. Its
variance is known whatever the plan: E[x_2 | x_1] = (3/2 - x_1) / 2, so that on average it is (1 - 1/4) / 12 = 1/16.

How would one tell from numbers? By the rate at which the entropic value falls to its limit. A blur of width
sqrt(epsilon) across a support of dimension m in R^3 has an entropy of (3 - m) / 2 log(1 / epsilon) + constant: its
slope against log(1 / epsilon) counts the missing dimensions. Coulomb's is 1: a curve. The harmonic one is 1/2: a
surface.

[1] A. Gerolin, A. Kausamo, T. Rajala, "Nonexistence of optimal transport maps for the multimarginal repulsive harmonic
cost", arXiv:1805.00417, SIAM J. Math. Anal. 2019.

Run it: python docs/gallery/when_monge_fails.py
"""

from __future__ import annotations

import argparse
from pathlib import Path

import deblai
import numpy as np
from deblai import plot
from matplotlib.figure import Figure

INK, BLUE, RED = "#22252b", "#2b6cb0", "#c05621"


def main(out=None, quick=False):
    """Compute, draw into the folder `out` if there is one, and return the numbers."""
    n = 75 if quick else 151  # odd, so that midpoints have triples of constant sum as well
    x = (np.arange(n) + 0.5) / n
    ladders = {"coulomb": (0.2, 0.02 if quick else 0.006), "repulsive-harmonic": (0.05, 0.003 if quick else 0.001)}
    paths = {
        cost: deblai.multimarginal.epsilon_path(x, n_marginals=3, cost=cost, epsilons=np.geomspace(*ladder, 7))
        for cost, ladder in ladders.items()
    }
    if out is not None:
        draw(x, paths, Path(out) / "when_monge_fails.png")
    harmonic = paths["repulsive-harmonic"]
    return {
        "dimensions": {cost: path.dimension for cost, path in paths.items()},
        "limits": {cost: path.limit for cost, path in paths.items()},
        "spread": float(harmonic.spread[-1]),
    }


def draw(x, paths, file):
    """Draw both pair densities, and the entropies."""
    figure = Figure(figsize=(12.6, 4.3), layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    plot.pair_density(paths["coulomb"].results[-2], x, maps=True, ax=left)
    left.set_title("1 / |x − y|: x₁ tells where the others are", fontsize=10, loc="left")
    plot.pair_density(paths["repulsive-harmonic"].results[-1], x, ax=middle)
    corners = np.array([(0.5, 0), (1, 0), (1, 0.5), (0.5, 1), (0, 1), (0, 0.5), (0.5, 0)])
    middle.plot(*corners.T, color=RED, lw=1.6, clip_on=False)
    middle.set_title("−|x − y|²: all pairs that leave room for x₃", fontsize=10, loc="left")
    for cost, color, name in (("coulomb", BLUE, "1 / |x − y|"), ("repulsive-harmonic", RED, "−|x − y|²")):
        path = paths[cost]
        log = np.log(1 / path.epsilons)
        right.plot(log, path.entropy, "o", color=color, ms=4.5)
        middle_of = path.entropy[3] + path.slope * (log - log[3])
        right.plot(log, middle_of, color=color, lw=1.0, label=f"{name}: slope {path.slope:.2f}")
    right.set_xlabel("$\\log(1/\\varepsilon)$")
    right.set_ylabel("entropy of the plan, KL(π | ρ⊗ρ⊗ρ)")
    right.set_title("half the number of directions across the support", fontsize=10, loc="left")
    right.legend(frameon=False, fontsize=9)
    right.spines[["top", "right"]].set_visible(False)
    figure.savefig(file, dpi=100)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", default=Path(__file__).parent / "images", help="folder of the picture")
    numbers = main(parser.parse_args().out)
    for cost, dimension in numbers["dimensions"].items():
        print(f"{cost}: the support has dimension {dimension:.2f}")
    print(f"harmonic: variance of x_2 given x_1 is {numbers['spread']:.5f}, 1/16 = {1 / 16}")
