"""Few points that stand for an image, a density or samples in a file; JSON, sites, pictures.

Examples: python -m deblai quantize photo.jpg -n 5000 --invert --out sites.npy --stipple dots.svg --plot cells.png
          python -m deblai quantize photo.jpg -n 500 --equal --out equal.npz
          python -m deblai quantize density.npy -n 100 --density --method auto --restarts 20 --out best.npz
          python -m deblai quantize samples.npy -n 64 --seed 0 --plot clusters.png
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np

from .. import errors, plot
from .._extras import require
from ..measures import Grid, Samples
from ..plot._axes import INK
from ..plot.quantization import diameters
from ..quantization import LloydState, QuantizeState, laguerre, lloyd, quantize, semidiscrete
from ..results import QuantizationResult
from .files import HELP, IMAGES, PLOTS, load, load_image, require_ending, save_figure
from .say import print_json, progress, remark, unwarned

OUTPUTS = (".npy", ".npz", ".csv")
DOTS = (".svg", ".png", ".pdf")
LONGEST = 1000.0  # side of a picture of dots, in pixels of SVG; a PNG has twice as many


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("file", metavar="FILE", help=f"an image ({', '.join(IMAGES)}), or samples (n, d): {HELP}")
    parser.add_argument("-n", "--sites", type=int, required=True, metavar="N", help="number of sites")
    parser.add_argument(
        "--density", action="store_true", help="FILE is a matrix of densities; axis 0 is x, axis 1 is y"
    )
    parser.add_argument("--invert", action="store_true", help="dark pixels are heavy, as ink is; bright ones otherwise")
    parser.add_argument("--periodic", action="store_true", help="take the box of an image or density as a torus")
    parser.add_argument("--weights", metavar="FILE", help="weights of samples (n,)")
    parser.add_argument(
        "--method",
        choices=("lloyd", "anderson", "lbfgs", "newton", "auto"),
        help="how to descend (Lloyd's algorithm by default; auto: L-BFGS, then Newton's method)",
    )
    parser.add_argument("--equal", action="store_true", help="all sites weigh the same; the best weights otherwise")
    parser.add_argument(
        "--restarts", type=int, default=0, metavar="K", help="more random starts, of which the best wins"
    )
    parser.add_argument("--max-iter", type=int, default=300, metavar="K", help="most moves of the sites (default 300)")
    parser.add_argument(
        "--tol",
        type=float,
        help="smallest relative decrease of the energy (default 1e-5); with --method, --equal or --restarts, for an "
        "image or a density, the largest distance of a site from the centre of its cell, in radii of the cell (1e-6)",
    )
    parser.add_argument("--seed", type=int, help="seed of the first sites")
    parser.add_argument("--out", metavar="FILE", help="write sites (.npy, .csv), or all results (.npz)")
    parser.add_argument(
        "--stipple",
        metavar="FILE",
        help="draw the sites alone, as dots whose areas are their weights (.svg of circles, .png, .pdf)",
    )
    parser.add_argument(
        "--plot", metavar="FILE", help="draw stipple and cells, or samples and sites (.png, .pdf, .svg)"
    )


def run(options: argparse.Namespace) -> int:
    """Read, compute, write, print, draw."""
    if options.plot or (options.stipple and not options.stipple.lower().endswith(".svg")):
        require("matplotlib.figure", "quantize", "plot")
    require_ending("quantize", options.plot, PLOTS)
    require_ending("quantize", options.stipple, DOTS)
    require_ending("quantize", options.out, OUTPUTS)
    source = _source(options)
    if options.stipple and (source.dim if isinstance(source, Grid) else source.shape[-1]) != 2:
        raise errors.InvalidValue(f"[quantize] --stipple: expected sites of the plane, got {options.file}")
    weights = None if options.weights is None else load("quantize", options.weights).reshape(-1)
    started = time.perf_counter()
    with progress(options.max_iter if options.restarts == 0 else None, "step") as show, unwarned():
        try:
            result = _descend(options, source, weights, show)
        except errors.Interrupted as stop:
            if options.out and stop.result is not None:
                _write(stop.result, options.out)
                remark("quantize", f"{options.out} has the best sites so far, energy {float(stop.result.energy):.6g}")
            raise
    seconds = time.perf_counter() - started
    if not result.converged:
        remark("quantize", f"not converged in {result.n_iter} steps (--max-iter, --tol)")
    if options.out:
        _write(result, options.out)
    if options.stipple:
        _stipple(source, result, options.stipple)
    if options.plot:
        _draw(options, source, result)
    report: dict[str, Any] = {
        "energy": result.energy,
        "n_sites": len(result.sites),
        "n_iter": result.n_iter,
        "converged": result.converged,
        "empty": int(result.empty.sum()),
        "source": repr(source) if isinstance(source, Grid) else f"samples {source.shape}",
        "dtype": str(result.sites.dtype),
        "seed": options.seed,
        "weights": "equal" if options.equal else "free",
        "backend": result.backend,
        "seconds": round(seconds, 6),
    }
    print_json(report | {name: v for name in ("out", "stipple", "plot") if (v := getattr(options, name))})
    return 0


def _descend(options: argparse.Namespace, source: Any, weights: Any, show: Any) -> QuantizationResult:
    """Run Lloyd's algorithm, or what was asked for."""

    def watch(state: LloydState | QuantizeState) -> None:
        show(state.step, f"energy {state.energy:.6g}")

    more: dict[str, Any] = {"max_iter": options.max_iter, "rng": options.seed, "callback": watch}
    if options.tol is not None:
        more["tol"] = options.tol
    if not (options.equal or options.method or options.restarts):
        return lloyd(source, options.sites, weights=weights, periodic=options.periodic, **more)
    if not isinstance(source, Grid):
        source = Samples(source, weights)
    elif weights is not None:
        raise errors.InvalidValue(f"[quantize] --weights: expected samples, got {options.file}")
    else:
        more.setdefault("tol", 1e-6)
    return quantize(
        source,
        options.sites,
        weights="uniform" if options.equal else "free",
        method=options.method or "auto",
        restarts=options.restarts,
        periodic=options.periodic,
        **more,
    )


def _source(options: argparse.Namespace) -> Any:
    """Return an image or a matrix as a Grid, samples as they are."""
    if Path(options.file).suffix.lower() in IMAGES:
        if options.density:
            raise errors.InvalidValue(f"[quantize] --density: expected a matrix in {HELP}, got an image")
        return Grid.from_image(load_image("quantize", options.file), invert=options.invert)
    if options.invert:
        raise errors.InvalidValue(f"[quantize] --invert: expected an image, got {options.file}")
    values = load("quantize", options.file)
    if not options.density:
        return values
    if values.ndim != 2 or 0 in values.shape:
        raise errors.InvalidValue(
            f"[quantize] {options.file}: expected a matrix of densities, got shape {values.shape}"
        )
    return Grid(values, (0.0, 0.0), tuple(side / max(values.shape) for side in values.shape))


def _write(result: QuantizationResult, path: str) -> None:
    ending = Path(path).suffix.lower()
    if ending == ".npy":
        np.save(path, result.sites)
    elif ending == ".csv":
        np.savetxt(path, result.sites.reshape(len(result.sites), -1), delimiter=",")
    else:
        labels = {} if result.labels is None else {"labels": result.labels}
        arrays = {"sites": result.sites, "weights": result.weights, "history": np.array(result.history)}
        np.savez(path, energy=result.energy, **arrays, **labels)


def _stipple(source: Any, result: QuantizationResult, path: str) -> None:
    """Draw dots that cover as much of the box as the image is dark; 0.4 of the box around samples."""
    sites, weights = np.asarray(result.sites, np.float64), np.asarray(result.weights, np.float64)
    if isinstance(source, Grid):
        lower, upper = np.array(source.lower), np.array(source.upper)
        ink = 0.8 * float(source.values.mean() / source.values.max())
    else:
        lower, upper, ink = source.min(0), source.max(0), 0.4
    size = np.where(upper > lower, upper - lower, 1)
    if path.lower().endswith(".svg"):
        _write_circles(path, (sites - lower) / size.max(), diameters(weights, ink * (size / size.max()).prod()), size)
        return
    figure = require("matplotlib.figure", "quantize", "plot").Figure(figsize=size / size.max() * LONGEST / 100)
    ax = plot.stipple(sites, weights, ink=ink, ax=figure.add_axes((0, 0, 1, 1)))
    ax.set_xlim(lower[0], lower[0] + size[0])
    ax.set_ylim(lower[1], lower[1] + size[1])
    save_figure(figure, path, dpi=200)


def _write_circles(path: str, at: Any, diameter: Any, size: Any) -> None:
    """Write SVG; `at` from the lower left corner, the longest side being 1."""
    width, height = size / size.max() * LONGEST
    x, y, r = at[:, 0] * LONGEST, height - at[:, 1] * LONGEST, diameter * LONGEST / 2
    circles = (f'<circle cx="{a:.2f}" cy="{b:.2f}" r="{c:.3f}"/>' for a, b, c in zip(x, y, r, strict=True))
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" fill="{INK}">'
    Path(path).write_text("\n".join((head, *circles, "</svg>", "")), encoding="utf-8")


def _draw(options: argparse.Namespace, source: Any, result: QuantizationResult) -> None:
    figures = require("matplotlib.figure", "quantize", "plot")
    if isinstance(source, Grid):
        width, height = np.subtract(source.upper, source.lower)
        figure = figures.Figure(figsize=(13, 0.3 + 6.4 * height / width), layout="constrained")
        left, right = figure.subplots(1, 2)
        ink = float(source.values.mean() / source.values.max())
        plot.stipple(result.sites, result.weights, ink=0.8 * ink, ax=left)
        if options.equal:
            cells = semidiscrete(source, result.sites, periodic=options.periodic).cells()
        else:
            cells = laguerre(result.sites, measure=source, periodic=options.periodic)
        plot.cells(cells, ax=right)
        for ax in (left, right):
            ax.set_xlim(source.lower[0], source.upper[0])
            ax.set_ylim(source.lower[1], source.upper[1])
    else:
        figure = figures.Figure(figsize=(7, 5), layout="constrained")
        plot.sites(result.sites, source, result.weights, ax=figure.subplots())
    save_figure(figure, options.plot)
