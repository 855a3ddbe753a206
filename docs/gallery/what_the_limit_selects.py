r"""What the limit selects.

Where many plans are optimal, a solver returns one of them, and which one is an accident of its pivots. Entropy is
not: as epsilon falls, the entropic plan tends to the optimal plan that is nearest to the product of the marginals,

    argmin { KL(pi | mu_1 x ... x mu_N) : pi optimal }.

Three particles on {-2, -1, 0, 1, 2}, each place of mass 1/5, repel each other by -|x - y|^2. Every plan on triples of
sum 0 is optimal. Up to order there are five such triples, and the marginals leave one parameter t, the mass of
{-2, 1, 1}:

    {-2, 1, 1}: t    {2, -1, -1}: t    {-2, 0, 2}: 3/5 - t    {-1, 0, 1}: 3/5 - 2 t    {0, 0, 0}: t - 1/5

for 1/5 <= t <= 3/10. A linear program ends at one of the two ends. The entropy over t is concave, and its derivative
vanishes where 24 (t - 1/5) t^2 = (3/5 - 2 t)^2 (3/5 - t): at t = 0.211383146316. The ladder of epsilons gets there.

The same happens with |x - y| on the line: where all of mu lies left of nu, moving costs the difference of the means
whatever the plan, and what entropy selects is the product itself, at every epsilon. Not the monotone map.

Run it: python docs/gallery/what_the_limit_selects.py
"""

from __future__ import annotations

import argparse
from pathlib import Path

import deblai
import numpy as np
from deblai import plot
from matplotlib.figure import Figure

INK, BLUE, RED = "#22252b", "#2b6cb0", "#c05621"
TRIPLES = {(-2, 1, 1): 3, (2, -1, -1): 3, (-2, 0, 2): 6, (-1, 0, 1): 6, (0, 0, 0): 1}  # and their orders


def masses(t):
    """Return the masses of the triples, in their order."""
    return np.array([t, t, 0.6 - t, 0.6 - 2 * t, t - 0.2])


def entropy(t):
    """Return -sum pi log pi: a triple's mass is shared by its orders."""
    m, orders = masses(t), np.array(list(TRIPLES.values()))
    return -np.sum(m * np.log(np.maximum(m, 1e-300) / orders))


def stationary():
    """Return the root of 24 (t - 1/5) t^2 - (3/5 - 2 t)^2 (3/5 - t) in [1/5, 3/10], by bisection."""
    low, high = 0.2, 0.3
    for _ in range(60):
        t = (low + high) / 2
        above = 24 * (t - 0.2) * t**2 > (0.6 - 2 * t) ** 2 * (0.6 - t)
        low, high = (low, t) if above else (t, high)
    return low


def main(out=None, quick=False):
    """Compute, draw into the folder `out` if there is one, and return the numbers."""
    sites = np.arange(-2.0, 3.0)
    tuples = np.array(list(TRIPLES)) + 2
    ladder = np.geomspace(2, 0.05, 6 if quick else 14)
    path = deblai.multimarginal.epsilon_path(
        sites, n_marginals=3, cost="repulsive-harmonic", epsilons=ladder, tuples=tuples, tol=1e-11
    )
    x, y = np.linspace(0, 1, 60), np.linspace(1.5, 3, 60)
    a, b = np.exp(-40 * (x - 0.35) ** 2) + 0.3, np.exp(-8 * (y - 2.5) ** 2)
    apart = deblai.multimarginal.sinkhorn([x, y], [a, b], cost="euclidean", epsilon=0.02, tol=1e-11)
    if out is not None:
        draw(path, apart, (x, y), Path(out) / "what_the_limit_selects.png")
    product = np.outer(a / a.sum(), b / b.sum())
    return {
        "mass": float(path.masses[-1, 0]),
        "stationary": stationary(),
        "from the product": float(np.abs(apart.pair_marginal(0, 1) - product).sum()),
    }


def draw(path, apart, points, file):
    """Draw the entropy over the optimal plans, the ladder, and |x - y| between separated densities."""
    figure = Figure(figsize=(12.6, 4.0), layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    t, best = np.linspace(0.2, 0.3, 401), stationary()
    left.plot(t, [entropy(v) for v in t], color=BLUE, lw=1.6)
    left.plot(best, entropy(best), "o", color=RED, ms=6, label=f"entropic limit, t = {best:.6f}")
    left.plot([0.2, 0.3], [entropy(0.2), entropy(0.3)], "s", color=INK, ms=5, label="what a linear program returns")
    left.set(xlabel="$t$, the mass of {−2, 1, 1}", ylabel="entropy")
    left.set_title("all of these plans are optimal", fontsize=10, loc="left")
    left.legend(frameon=False, fontsize=9, loc="lower center")

    colors = ("#16233d", BLUE, "#7ba7d4", RED)
    for k, color in zip((0, 2, 3, 4), colors, strict=True):
        name = "{" + ", ".join(map(str, list(TRIPLES)[k])).replace("-", "−") + "}"
        middle.semilogx(path.epsilons, path.masses[:, k], "o-", color=color, ms=3.5, lw=1.2)
        middle.axhline(masses(best)[k], color=color, lw=0.8, ls=(0, (4, 3)))
        middle.text(path.epsilons[-1] * 0.9, masses(best)[k] + 0.008, name, color=color, fontsize=9, ha="left")
    middle.set_xlim(path.epsilons[0] * 1.2, path.epsilons[-1] * 0.33)
    middle.set(xlabel="$\\varepsilon$", ylabel="mass of the triple, in any order")
    middle.set_title("down the ladder; dashed: the limit", fontsize=10, loc="left")

    plot.pair_density(apart, list(points), ax=right)
    right.set_aspect("auto")
    right.set(xlabel="$x$", ylabel="$y$")
    right.set_title("|x − y|, one left of the other: the product", fontsize=10, loc="left")
    for ax in (left, middle):
        ax.spines[["top", "right"]].set_visible(False)
    figure.savefig(file, dpi=100)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", default=Path(__file__).parent / "images", help="folder of the picture")
    numbers = main(parser.parse_args().out)
    print(f"mass of {{-2, 1, 1}}: {numbers['mass']:.12f}, entropy is largest at {numbers['stationary']:.12f}")
    print(f"|x - y|: distance from the product {numbers['from the product']:.1e}")
