"""Move handwritten digits by sliced transport: pictures, and a table of errors against known truths.

Needs the extra 'demo' (scikit-learn, matplotlib, tqdm). Writes pictures and quickstart.json to --out.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .. import _backend, _validate, plot
from .._extras import require
from ..results import FlowResult, SlicedResult
from ..sliced import gradient_flow, wasserstein
from ..sliced._flow import FlowState
from .files import save_figure

Array = np.ndarray[Any, Any]


class Row(NamedTuple):
    """One line of the table; `bound` is what the error must stay under."""

    what: str
    size: str
    seconds: float
    value: float
    truth: float
    error: float
    bound: float


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--out", default="deblai-quickstart", metavar="DIR", help="where the pictures go")
    parser.add_argument("--seed", type=int, default=0, help="seed of noise and directions (default 0)")
    parser.add_argument("--steps", type=int, default=1500, help="steps of the flow from noise (default 1500)")


def run(options: argparse.Namespace) -> int:
    """Run it all; exit code 1 when an error exceeds its bound."""
    datasets = require("sklearn.datasets", "quickstart", "demo")
    figures = require("matplotlib.figure", "quickstart", "demo")
    require("tqdm", "quickstart", "demo")
    _validate.positive_integer("quickstart", "steps", options.steps)
    out = Path(options.out)
    out.mkdir(parents=True, exist_ok=True)
    digits = datasets.load_digits()
    images: Array = digits.data / 16.0
    rng = np.random.default_rng(options.seed)

    rows, estimate = _distances(images, rng)

    noise = 0.5 + 0.3 * rng.standard_normal(images.shape)
    ones, eights = images[digits.target == 1], images[digits.target == 8]
    stories = [
        ("digits_from_noise", "noise → digits", noise, images, 1.0, options.steps),
        ("one_to_eight", "1 → 8", ones, eights, 0.1, options.steps),
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

    _report(rows, out)
    return 0 if all(row.error <= row.bound for row in rows) else 1


def _timed(f: Callable[[], SlicedResult]) -> tuple[SlicedResult, float]:
    started = time.perf_counter()
    result = f()
    return result, time.perf_counter() - started


def _distances(images: Array, rng: np.random.Generator) -> tuple[list[Row], tuple[SlicedResult, float]]:
    """Distances with a known value, on the digits and on Gaussians."""
    n, d = images.shape
    shift = 0.25 * rng.standard_normal(d)
    truth = float(shift @ shift) / d
    shifted, seconds = _timed(lambda: wasserstein(images, images + shift, n_projections=1000, rng=rng))
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
    scaled, seconds = _timed(lambda: wasserstein(images, affine, directions=theta))
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
    gauss, seconds = _timed(lambda: wasserstein(x, y, directions=circle))
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
    tqdm = require("tqdm", "quickstart", "demo").tqdm
    keep = sorted({0, *(int(k) for k in np.geomspace(1, n_steps, 7)[:-1])} - {n_steps})
    frames: list[Array] = []
    started = time.perf_counter()
    with tqdm(total=n_steps, desc=label, unit="step", file=sys.stderr, leave=False) as bar:

        def watch(state: FlowState) -> None:
            bar.update()
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


def _report(rows: list[Row], out: Path) -> None:
    """Print the table for people and write it as JSON."""
    print(f"backend {_backend.plan('quickstart', 'cpu').label}, {_backend.plan('quickstart', 'cpu').threads} threads\n")
    width = max(len(row.what) for row in rows)
    wide = max(len(row.size) for row in rows)
    columns = f"{'seconds':>8}  {'value':>12}  {'truth':>12}  {'error':>8}  {'bound':>8}"
    print(f"{'what':{width}}  {'size':{wide}}  {columns}")
    for row in rows:
        print(
            f"{row.what:{width}}  {row.size:{wide}}  {row.seconds:8.3f}  {row.value:12.8f}  {row.truth:12.8f}  "
            f"{row.error:8.1e}  {row.bound:8.1e}{'' if row.error <= row.bound else '  EXCEEDED'}"
        )
    (out / "quickstart.json").write_text(json.dumps([row._asdict() for row in rows], indent=2) + "\n", "utf-8")
    names = ", ".join(sorted(path.name for path in out.glob("*.png")))
    print(f"\npictures in {out}/: {names}")
