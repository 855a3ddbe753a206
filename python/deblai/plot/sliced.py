"""Pictures of sliced distances and their flows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..results import SlicedResult
from ._axes import BLUE, INK, RED, clean, new_axes, numpy

__all__ = ["directions", "history", "image_flow", "running_estimate"]


def image_flow(
    frames: Sequence[Any], labels: Sequence[str], shape: tuple[int, int], *, n_images: int = 16, ax: Any = None
) -> Any:
    """Draw particles that are small grey images: one column a particle, one row a moment.

    Parameters
    ----------
    frames : sequence of array (n, height * width)
        The particles at each moment, values 0 (white) to 1 (black).
    labels : sequence of str
        What to write beside each row.
    shape : (int, int)
        Height and width of an image.
    n_images : int, default 16
        How many particles to show, the first ones.
    ax : matplotlib axes, optional

    Examples
    --------
    >>> import numpy as np, deblai
    >>> noise = np.random.default_rng(0).random((20, 64))
    >>> ax = deblai.plot.image_flow([noise, np.sort(noise)], ["before", "after"], (8, 8))
    >>> len(ax.images)
    1
    """
    ax = new_axes(ax, "plot.image_flow", figsize=(0.62 * n_images + 1.0, 0.62 * len(frames)))
    height, width = shape
    gap = 1
    sheet = np.full((len(frames) * (height + gap) - gap, n_images * (width + gap) - gap), np.nan)
    for row, frame in enumerate(frames):
        for column in range(min(n_images, len(frame))):
            top, left = row * (height + gap), column * (width + gap)
            sheet[top : top + height, left : left + width] = np.asarray(frame[column]).reshape(shape)
    ax.imshow(sheet, cmap="gray_r", vmin=0, vmax=1, interpolation="nearest")
    ax.set_xticks([])
    ax.set_yticks([row * (height + gap) + (height - 1) / 2 for row in range(len(frames))], labels)
    ax.tick_params(length=0, colors=INK, labelsize=10)
    ax.spines[:].set_visible(False)
    return ax


def history(values: Sequence[float], *, label: str | None = None, ax: Any = None) -> Any:
    """Draw SW_2^2 against steps, both axes logarithmic.

    Parameters
    ----------
    values : sequence of float
        As in `FlowResult.history`.
    label : str, optional
        Legend entry.
    ax : matplotlib axes, optional

    Examples
    --------
    >>> import deblai
    >>> ax = deblai.plot.history([1.0, 0.3, 0.1])
    >>> len(ax.lines)
    1
    """
    ax = new_axes(ax, "plot.history", figsize=(5, 3.4))
    ax.loglog(np.arange(1, len(values) + 1), values, lw=1.4, label=label)
    ax.set_xlabel("step")
    ax.set_ylabel("$SW_2^2$ to the target")
    if label:
        ax.legend(frameon=False)
    clean(ax)
    return ax


def running_estimate(result: SlicedResult, *, truth: float | None = None, ax: Any = None) -> Any:
    """Draw SW_p^p as estimated from the first 2, 3, ... directions, with two standard errors.

    Parameters
    ----------
    result : SlicedResult
    truth : float, optional
        A known value, drawn as a line.
    ax : matplotlib axes, optional

    Examples
    --------
    >>> import numpy as np, deblai
    >>> x = np.random.default_rng(0).standard_normal((100, 3))
    >>> r = deblai.sliced.wasserstein(x, x + 1.0, n_projections=50, rng=0)
    >>> ax = deblai.plot.running_estimate(r, truth=1.0)
    >>> ax.get_xscale()
    'log'
    """
    ax = new_axes(ax, "plot.running_estimate", figsize=(5, 3.4))
    cost = numpy(result.per_direction).astype(np.float64)
    count = np.arange(1, len(cost) + 1)
    mean = np.cumsum(cost) / count
    spread = np.cumsum(cost**2) / count - mean**2
    first = min(4, len(cost) - 1)
    band = 2 * np.sqrt(np.maximum(spread, 0) / np.maximum(count - 1, 1))
    ax.fill_between(
        count[first:], (mean - band)[first:], (mean + band)[first:], color=BLUE, alpha=0.18, lw=0, label="± 2 stderr"
    )
    ax.plot(count[first:], mean[first:], color=BLUE, lw=1.4, label="estimate")
    if truth is not None:
        ax.axhline(truth, color=RED, lw=1.2, ls=(0, (4, 3)), label="known value")
    if len(cost) > 20:
        ax.set_xscale("log")
    ax.set_xlabel("directions")
    ax.set_ylabel(f"$SW_{{{result.p:g}}}^{{{result.p:g}}}$")
    ax.legend(frameon=False, fontsize=9)
    clean(ax)
    return ax


def directions(result: SlicedResult, *, ax: Any = None) -> Any:
    """Draw how W_p is spread over the directions, with SW_p and its standard error.

    Parameters
    ----------
    result : SlicedResult
    ax : matplotlib axes, optional

    Examples
    --------
    >>> import numpy as np, deblai
    >>> x = np.random.default_rng(0).standard_normal((100, 3))
    >>> ax = deblai.plot.directions(deblai.sliced.wasserstein(x, x + 1.0, n_projections=50, rng=0))
    >>> ax.get_xlabel()
    '$W_{2}$ along one direction'
    """
    ax = new_axes(ax, "plot.directions", figsize=(5, 3.4))
    distances = numpy(result.per_direction).astype(np.float64) ** (1 / result.p)
    ax.hist(distances, bins="auto", color=BLUE, alpha=0.35)
    value, stderr = float(result.value), float(result.stderr)
    ax.axvline(value, color=RED, lw=1.4)
    ax.set_title(f"$SW_{{{result.p:g}}}$ = {value:.4g} ± {stderr:.2g}", fontsize=10, loc="left", color=RED)
    if np.isfinite(stderr):
        ax.axvspan(value - 2 * stderr, value + 2 * stderr, color=RED, alpha=0.15, lw=0)
    ax.set_xlabel(f"$W_{{{result.p:g}}}$ along one direction")
    ax.set_ylabel("directions")
    clean(ax)
    return ax
