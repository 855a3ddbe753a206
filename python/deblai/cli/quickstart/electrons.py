"""Electrons: three of them repel each other in a trap, on the line and in the plane."""

from __future__ import annotations

import numpy as np

from ... import plot
from ..._extras import require
from ...multimarginal import sinkhorn
from ...multimarginal._entropic.sinkhorn import SinkhornState
from ...results import MultimarginalResult
from ..files import save_figure
from ..say import progress
from .report import Array, Row, Story, row, timed

BLUR = 0.03  # epsilon of the picture, so that the maps are not the only thing to be seen
BLUES = ("#bcd3ea", "#7ba7d4", "#2b6cb0")


def tell(story: Story) -> list[Row]:
    """Return rows of the table; save the picture."""
    x = np.linspace(-4, 4, 321)
    trap = np.exp(-x * x / 2)
    line, seconds = timed(lambda: _solve("electrons on the line", x, trap, epsilon=5e-3, tol=1e-5))
    # <c, plan> tends to the strictly correlated cost, sum over pairs of the mean of 1 / |f_i - f_j|, by quadrature.
    blurred = _solve("electrons on the line", x, trap, epsilon=BLUR, tol=1e-5)
    name = "three electrons, N(0, 1): cost → 2.403561757"
    rows = [row(name, "321³, ε = 0.005", seconds, line.value_linear, 2.403561757, 0.024)]

    side = np.linspace(-2.7, 2.7, 31)
    plane = np.stack(np.meshgrid(side, side, indexing="ij"), -1).reshape(-1, 2)
    weights = np.exp(-(plane**2).sum(1) / 2)
    flat, _ = timed(lambda: _solve("electrons in the plane", plane, weights, epsilon=0.03, tol=1e-5))
    _draw(story, (x, trap, blurred), (plane, flat))
    return [*rows, *_known()]


def _solve(label: str, points: Array, weights: Array | None, epsilon: float, tol: float) -> MultimarginalResult:
    """Solve for three electrons with a progress bar."""
    with progress(None, "sweep", label, always=True) as show:

        def watch(state: SinkhornState) -> None:
            show(state.step, f"marginal error {state.marginal_error:.1e}")

        return sinkhorn(points, weights, n_marginals=3, epsilon=epsilon, tol=tol, callback=watch)


def _known() -> list[Row]:
    """Problems whose answers are closed forms."""
    midpoints = (np.arange(240) + 0.5) / 240
    uniform, seconds = timed(lambda: _solve("uniform density", midpoints, None, epsilon=1e-2, tol=1e-6))
    rows = [row("three electrons, U[0, 1]: cost → 15/2", "240³, ε = 0.01", seconds, uniform.value_linear, 7.5, 0.075)]
    # N(0, 1)^3 with minus the sum of (x_i - x_j)^2: the plan is Gaussian, its covariance the root of a quadratic.
    x = np.linspace(-5.5, 5.5, 81)
    repelled, seconds = timed(
        lambda: sinkhorn(x, np.exp(-x * x / 2), n_marginals=3, cost="repulsive-harmonic", epsilon=0.5, tol=1e-10)
    )
    name = "three Gaussians, cost -|x - y|²: closed form"
    rows.append(row(name, "81³, ε = 0.5", seconds, repelled.value, -8.317806, 1e-5))
    three = (np.arange(3) + 0.5) / 3
    pairs, seconds = timed(lambda: sinkhorn(three, n_marginals=2, epsilon=0.1, tol=1e-12))
    name = "two electrons on three points: each pair 1/6"
    rows.append(row(name, "3², ε = 0.1", seconds, pairs.pair_marginal()[0, 1], 1 / 6, 1e-9))
    return rows


def _draw(
    story: Story, on_line: tuple[Array, Array, MultimarginalResult], in_plane: tuple[Array, MultimarginalResult]
) -> None:
    """Draw the density in thirds, the pair density on the line, and the others around one electron in the plane."""
    figure = require("matplotlib.figure", "quickstart", "demo").Figure(figsize=(12.6, 4.3), layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    x, trap, line = on_line
    density = trap / (trap.sum() * (x[1] - x[0]))
    below = (np.cumsum(density) - density / 2) * (x[1] - x[0])
    for k, color in enumerate(BLUES):
        left.fill_between(x, density, where=(below >= k / 3 - 2e-3) & (below <= (k + 1) / 3 + 2e-3), color=color, lw=0)
    left.set_xlabel("$x$")
    left.set_title("three electrons, one in each third of the density", fontsize=10, loc="left")
    left.spines[["top", "right", "left"]].set_visible(False)
    left.set_yticks([])
    left.set_ylim(0)
    plot.pair_density(line, x, maps=True, ax=middle)
    middle.set(xlim=(-3, 3), ylim=(-3, 3))
    middle.set_title(f"two of the three, ε = {BLUR}; lines: ε → 0", fontsize=10, loc="left")
    plane, flat = in_plane
    at = int(np.argmin(((plane - (0.9, 0.0)) ** 2).sum(1)))
    plot.pair_density(flat, plane, at=at, ax=right)
    right.set_title("in the plane: where the others are, given one", fontsize=10, loc="left")
    save_figure(figure, story.out / "electrons.png", dpi=120)
