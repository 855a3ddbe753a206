"""Digits: noise becomes digits and ones become eights by sliced transport."""

from __future__ import annotations

import time

import numpy as np

from ... import plot
from ..._extras import require
from ...results import FlowResult, SlicedResult
from ...sliced import gradient_flow, wasserstein
from ...sliced._flow import FlowState
from ..files import save_figure
from ..say import progress
from .report import Array, Row, Story, timed


def tell(story: Story) -> list[Row]:
    """Return rows of the table; save pictures."""
    datasets = require("sklearn.datasets", "quickstart", "demo")
    figures = require("matplotlib.figure", "quickstart", "demo")
    out, rng = story.out, np.random.default_rng(story.seed)
    digits = datasets.load_digits()
    images: Array = digits.data / 16.0

    rows, estimate = _distances(images, rng)

    noise = 0.5 + 0.3 * rng.standard_normal(images.shape)
    ones, eights = images[digits.target == 1], images[digits.target == 8]
    stories = [
        ("digits_from_noise", "noise → digits", noise, images, 1.0, story.steps),
        ("one_to_eight", "1 → 8", ones, eights, 0.1, story.steps),
    ]
    histories: list[tuple[str, list[float]]] = []
    for name, label, start, target, step_size, n_steps in stories:
        frames, steps, result, seconds = _flow(label, start, target, step_size, n_steps, rng)
        figure = figures.Figure(figsize=(11, 0.62 * len(frames) + 0.2), layout="constrained")
        plot.image_flow(frames, [f"step {k}" for k in steps], (8, 8), n_images=17, ax=figure.subplots())
        save_figure(figure, out / f"{name}.png")
        histories.append((label, result.history))
        rows.append(_moved(label, start, target, result, seconds, rng))

    figure = figures.Figure(figsize=(10, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    plot.running_estimate(*estimate[:1], truth=estimate[1], ax=left)
    left.set_title("error bars: digits against shifted digits", fontsize=10, loc="left")
    for label, values in histories:
        plot.history(values, label=label, ax=right)
    right.set_title("descent of the flows", fontsize=10, loc="left")
    save_figure(figure, out / "error_bars.png")
    return rows


def _distances(images: Array, rng: np.random.Generator) -> tuple[list[Row], tuple[SlicedResult, float]]:
    """Distances with a known value, on the digits and on Gaussians."""
    n, d = images.shape
    shift = 0.25 * rng.standard_normal(d)
    truth = float(shift @ shift) / d
    shifted, seconds = timed(lambda: wasserstein(images, images + shift, n_projections=1000, rng=rng))
    size = f"{n} × {d}, 1000 directions"
    rows = [
        Row(
            "digits, shifted by t: SW₂² = |t|²/d",
            size,
            seconds,
            float(shifted.value_p),
            truth,
            abs(float(shifted.value_p) - truth),
            4 * float(shifted.stderr_p),
        )
    ]
    theta = shifted.directions
    affine = 1.5 * images + shift
    scaled, seconds = timed(lambda: wasserstein(images, affine, directions=theta))
    truth_scaled = float(np.mean(((affine - images) @ theta.T) ** 2))
    rows.append(
        Row(
            "digits, 1.5 x + t, these directions",
            size,
            seconds,
            float(scaled.value_p),
            truth_scaled,
            abs(float(scaled.value_p) - truth_scaled),
            1e-12,
        )
    )
    points, count = 1_000_000, 32
    x = (rng.standard_normal((points, 2)) * np.array([2.0, 1.0])).astype(np.float32)
    y = rng.standard_normal((points, 2)).astype(np.float32)
    # Equispaced directions integrate this smooth periodic function to rounding, so only sampling error is left:
    # W_2^2 = (s - 1)^2 in a direction of variance s^2 moves by 2 (s - 1) sqrt((s^2 + 1) / (2 n)), at most at s = 2.
    angle = np.pi * np.arange(count) / count
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)
    gauss, seconds = timed(lambda: wasserstein(x, y, directions=circle))
    exact = 0.41607114961991993
    rows.append(
        Row(
            "N(0, diag(4,1)), N(0, I): 7/2 - (8/π) E(3/4)",
            f"{points} × 2, {count} directions",
            seconds,
            float(gauss.value_p),
            exact,
            abs(float(gauss.value_p) - exact),
            4 * 2 * (5 / (2 * points)) ** 0.5,
        )
    )
    return rows, (shifted, truth)


def _flow(
    label: str, start: Array, target: Array, step_size: float, n_steps: int, rng: np.random.Generator
) -> tuple[list[Array], list[int], FlowResult, float]:
    """Run one flow with a progress bar and keep a few moments of it."""
    keep = sorted({0, *(int(k) for k in np.geomspace(1, n_steps, 7)[:-1])} - {n_steps})
    frames: list[Array] = []
    started = time.perf_counter()
    with progress(n_steps, "step", label, always=True) as show:

        def watch(state: FlowState) -> None:
            show(state.step, "")
            if state.step in keep:
                frames.append(np.asarray(state.x))

        result = gradient_flow(start, target, n_steps=n_steps, step_size=step_size, rng=rng, callback=watch)
    frames.append(result.x)
    return frames, [*keep, n_steps], result, time.perf_counter() - started


def _moved(
    label: str, start: Array, target: Array, result: FlowResult, seconds: float, rng: np.random.Generator
) -> Row:
    """How far the flow's end is from its target, seen along fresh directions; the truth is 0."""
    before = wasserstein(start, target, n_projections=500, rng=rng)
    after = wasserstein(result.x, target, n_projections=500, rng=rng)
    n, d = start.shape
    left = float(after.value_p) / float(before.value_p)
    what = f"{label}: share of SW₂² left after {result.n_iter} steps"
    return Row(what, f"{n} × {d} → {len(target)}", seconds, left, 0.0, left, 0.02)
