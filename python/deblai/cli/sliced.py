"""Sliced Wasserstein distance of two point clouds in files, as JSON.

Example: python -m deblai sliced A.npy B.npy -p 2 --n-projections 1000 --seed 0 --plot distance.png
"""

from __future__ import annotations

import argparse
import time
from typing import Any

from .. import plot
from .._extras import require
from ..sliced import wasserstein
from .files import HELP, load, save_figure
from .say import print_json


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("x", metavar="A", help=f"points (n, d): {HELP}")
    parser.add_argument("y", metavar="B", help="points (m, d), of the same dtype")
    parser.add_argument("--a", metavar="FILE", help="weights of A (n,)")
    parser.add_argument("--b", metavar="FILE", help="weights of B (m,)")
    parser.add_argument("-p", type=float, default=2.0, help="exponent, at least 1 (default 2)")
    parser.add_argument("--n-projections", type=int, default=1000, metavar="L", help="directions (default 1000)")
    parser.add_argument("--seed", type=int, help="seed of the directions")
    parser.add_argument("--plot", metavar="FILE", help="draw the spread over directions (.png, .pdf, .svg)")


def run(options: argparse.Namespace) -> int:
    """Read, compute, print, draw."""
    if options.plot:
        require("matplotlib.figure", "sliced", "plot")
    names = ("x", "y", "a", "b")
    x, y, a, b = (None if (path := getattr(options, name)) is None else load("sliced", path) for name in names)
    a, b = (None if w is None else w.reshape(-1) for w in (a, b))
    started = time.perf_counter()
    result = wasserstein(x, y, a, b, p=options.p, n_projections=options.n_projections, rng=options.seed)
    seconds = time.perf_counter() - started
    report: dict[str, Any] = {name: getattr(result, name) for name in ("value", "value_p", "stderr", "stderr_p", "p")}
    report |= {
        "n_projections": result.n_projections,
        "n": len(x) if x is not None else 0,
        "m": len(y) if y is not None else 0,
        "d": int(result.directions.shape[1]),
        "dtype": str(result.directions.dtype),
        "seed": options.seed,
        "backend": result.backend,
        "seconds": round(seconds, 6),
    }
    if options.plot:
        figure = require("matplotlib.figure", "sliced", "plot").Figure(figsize=(10, 3.6), layout="constrained")
        left, right = figure.subplots(1, 2)
        plot.directions(result, ax=left)
        plot.running_estimate(result, ax=right)
        save_figure(figure, options.plot)
        report["plot"] = options.plot
    print_json(report)
    return 0
