"""Entropic transport of many marginals, as of electrons that repel each other; JSON, potentials, pictures.

Examples: python -m deblai multimarginal points.npy -N 3 --weights density.npy --epsilon 0.01 --plot pairs.png
          python -m deblai multimarginal --density photo.png -N 2 --epsilon 0.05 --out pairs.npz --plot pairs.png
          python -m deblai multimarginal x.npy y.npy z.npy --cost sqeuclidean --epsilon 0.1 --out result.npz
          python -m deblai multimarginal x.npy y.npy z.npy --graph chain --cost sqeuclidean --epsilon 0.1 --certify
          python -m deblai multimarginal --matrix cost.npy -N 4 --epsilon 0.1
"""

from __future__ import annotations

import argparse
import time
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from .. import costs, errors, plot
from .._extras import require
from ..measures import Grid
from ..multimarginal import sinkhorn
from ..multimarginal._entropic.sinkhorn import SinkhornState
from ..multimarginal._graph import NAMES
from ..results import MultimarginalResult
from .files import HELP, IMAGES, PLOTS, load, load_image, require_ending, save_figure
from .say import print_json, progress, remark, unwarned

Array = np.ndarray[Any, Any]


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("points", nargs="*", metavar="FILE", help=f"points (n, d), one file or one a marginal: {HELP}")
    parser.add_argument("-N", "--n-marginals", type=int, metavar="N", help="number of equal marginals, with one FILE")
    parser.add_argument(
        "--weights", action="append", metavar="FILE", help="weights (n,); once, or once a marginal in their order"
    )
    parser.add_argument(
        "--cost",
        default="coulomb",
        metavar="COST",
        help="coulomb (default), log, euclidean, sqeuclidean, repulsive-harmonic, or with parameters riesz:S, "
        "yukawa:KAPPA, soft-coulomb:A, power:P, harmonic:STRENGTH; the middle three also with :STRENGTH; of all pairs",
    )
    parser.add_argument(
        "--graph",
        default="complete",
        metavar="GRAPH",
        help="which pairs have a cost: complete (default), chain, ring, star, or pairs as in 0-1,1-2,1-3",
    )
    parser.add_argument(
        "--density",
        metavar="FILE",
        help=f"the density of equal marginals on a grid, instead of points: an image ({', '.join(IMAGES)}; bright is "
        f"heavy), or an array of one to three dimensions ({HELP}; axis 0 is x); the longest side has length 1",
    )
    parser.add_argument("--invert", action="store_true", help="dark pixels of an image are heavy, as ink is")
    parser.add_argument(
        "--pixels", type=int, metavar="K", help="join pixels to at most K along the longest side (32 for an image)"
    )
    parser.add_argument("--matrix", metavar="FILE", help="a cost matrix (n, n) of all pairs, instead of points")
    parser.add_argument("--epsilon", type=float, required=True, help="entropic weight, in units of the cost")
    parser.add_argument("--tol", type=float, help="marginal error at which to stop (1e-6 in float64, 1e-4 in float32)")
    parser.add_argument("--max-iter", type=int, default=10_000, metavar="K", help="most sweeps (default 10000)")
    parser.add_argument("--gap", type=float, help="stop when the certified interval of the value is at most this wide")
    parser.add_argument(
        "--certify", action="store_true", help="print certified bounds of the value and of the optimum at epsilon = 0"
    )
    parser.add_argument("--out", metavar="FILE.npz", help="write points, weights, potentials, pair densities, history")
    parser.add_argument("--plot", metavar="FILE", help="draw the density of the first pair (.png, .pdf, .svg)")


def run(options: argparse.Namespace) -> int:
    """Read, compute, write, print, draw."""
    if options.plot:
        require("matplotlib.figure", "multimarginal", "plot")
    require_ending("multimarginal", options.plot, PLOTS)
    require_ending("multimarginal", options.out, (".npz",))
    points, weights, count = _marginals(options)
    cost: Any = load("multimarginal", options.matrix) if options.matrix else _cost(options.cost)
    started = time.perf_counter()
    with progress(None, "sweep") as show, unwarned():

        def watch(state: SinkhornState) -> None:
            falling = f", gap {state.gap:.1e}" if np.isfinite(state.gap) else ""
            show(state.step, f"marginal error {state.marginal_error:.1e}, value {state.value:.8g}{falling}")

        try:
            result = sinkhorn(
                points,
                weights,
                n_marginals=count,
                cost=cost,
                graph=_graph(options.graph),
                epsilon=options.epsilon,
                tol=options.tol,
                max_iter=options.max_iter,
                gap=options.gap,
                certify=options.certify,
                callback=watch,
            )
        except errors.Interrupted as stop:
            if options.out and stop.result is not None:
                _write(stop.result, options.out, None, None, pairs=False)
                remark("multimarginal", f"{options.out} has the potentials after {stop.result.n_iter} sweeps")
            raise
    seconds = time.perf_counter() - started
    if not result.converged:
        remark("multimarginal", f"not converged in {result.n_iter} sweeps (--max-iter, --tol, --epsilon)")
    if options.out:
        _write(result, options.out, points, weights)
    if options.plot:
        _draw(options, points, result)
    potentials = result.potentials if isinstance(result.potentials, list) else [result.potentials]
    names = ["value", "value_linear", "marginal_error", "converged", "n_iter", "epsilon", "n_marginals", "backend"]
    if options.certify:
        names += ["lower", "upper", "certified"]
    if options.certify or options.gap is not None:
        names += ["value_lower", "value_upper"]
    report = {name: getattr(result, name) for name in names}
    report |= {
        "n": [len(f) for f in potentials],
        "cost": options.matrix or options.cost,
        "graph": options.graph,
        **({"density": options.density} if options.density else {}),
        "dtype": str(potentials[0].dtype),
        "seconds": round(seconds, 6),
    }
    print_json(report | {name: v for name in ("out", "plot") if (v := getattr(options, name))})
    return 0


def _marginals(options: argparse.Namespace) -> tuple[Any, Any, int | None]:
    """Return points and weights as `sinkhorn` wants them, and the number of equal marginals or None."""
    files, count = options.points, options.n_marginals
    if options.density:
        return _grid(options)
    for name in ("invert", "pixels"):
        if getattr(options, name):
            raise errors.InvalidValue(f"[multimarginal] --{name}: expected --density FILE beside it")
    if options.matrix and files:
        raise errors.InvalidValue(f"[multimarginal] --matrix: expected no points, got {', '.join(files)}")
    if not options.matrix and not files:
        raise errors.InvalidValue("[multimarginal] FILE: expected points, --density, or a cost by --matrix")
    points = [load("multimarginal", path) for path in files]
    weights = [load("multimarginal", path).reshape(-1) for path in options.weights or ()]
    if len(files) > 1:
        if count not in (None, len(files)):
            raise errors.InvalidValue(f"[multimarginal] -N: expected {len(files)} to match the files, got {count}")
        return points, weights or None, None
    if options.matrix and count is None and len(weights) > 1:
        return None, weights, None
    if count is None:
        raise errors.InvalidValue("[multimarginal] -N: expected the number of equal marginals, or more than one FILE")
    if len(weights) > 1:
        raise errors.InvalidValue(
            f"[multimarginal] --weights: expected one file for equal marginals, got {len(weights)}"
        )
    return points[0] if points else None, weights[0] if weights else None, count


def _grid(options: argparse.Namespace) -> tuple[Any, Any, int]:
    """Return the centres of the cells of a density that have mass, their masses, and the number of marginals."""
    for name, given in (("FILE", options.points), ("--weights", options.weights), ("--matrix", options.matrix)):
        if given:
            raise errors.InvalidValue(f"[multimarginal] {name}: expected none beside --density")
    if options.n_marginals is None:
        raise errors.InvalidValue("[multimarginal] -N: expected the number of equal marginals, got none")
    if options.pixels is not None and options.pixels < 1:
        raise errors.InvalidValue(f"[multimarginal] --pixels: expected at least 1, got {options.pixels}")
    if Path(options.density).suffix.lower() in IMAGES:
        grid = Grid.from_image(load_image("multimarginal", options.density), invert=options.invert)
        values, most = grid.values, options.pixels or 32
    else:
        if options.invert:
            raise errors.InvalidValue(f"[multimarginal] --invert: expected an image, got {options.density}")
        values = load("multimarginal", options.density)
        values = values[:, 0] if values.ndim == 2 and values.shape[1] == 1 else values  # .csv gives a column
        if values.ndim not in (1, 2, 3) or 0 in values.shape:
            raise errors.InvalidValue(
                f"[multimarginal] --density: expected an array of one to three dimensions, got shape {values.shape}"
            )
        values, most = Grid(values, (0.0,) * values.ndim, (1.0,) * values.ndim).values, options.pixels
    longest = max(values.shape)
    edges = [np.linspace(0, side / longest, side + 1) for side in values.shape]
    mass: Array = np.asarray(values, np.float64)
    block = 1 if most is None else -(-longest // most)  # pixels to a cell; those at the far ends may be smaller
    for axis, side in enumerate(values.shape):
        first = np.append(np.arange(0, side, block), side)
        mass = np.add.reduceat(mass, first[:-1], axis=axis)
        edges[axis] = edges[axis][first]
    centres = np.stack(np.meshgrid(*((e[1:] + e[:-1]) / 2 for e in edges), indexing="ij"), axis=-1)
    heavy = mass.reshape(-1) > 0
    points = centres.reshape(-1, mass.ndim)[heavy]
    return points[:, 0] if mass.ndim == 1 else points, mass.reshape(-1)[heavy], options.n_marginals


# the class of a name with parameters, what the first of them is called, and whether a strength may follow
_PARAMETERS: dict[str, tuple[Any, str, bool]] = {
    "riesz": (costs.Riesz, "S with a positive S", False),
    "yukawa": (costs.Yukawa, "KAPPA with a nonnegative KAPPA", True),
    "soft-coulomb": (costs.SoftCoulomb, "A with a positive A", True),
    "power": (costs.Power, "P with a positive P", True),
    "harmonic": (costs.Harmonic, "STRENGTH with a number", False),
}


def _cost(name: str) -> Any:
    """Return a name that `costs` knows, or the cost of "riesz:S" and the like."""
    kind, colon, rest = name.partition(":")
    if kind not in _PARAMETERS or not colon:
        return name
    make, wanted, strength = _PARAMETERS[kind]
    try:
        numbers = [float(v) for v in rest.split(":")]
        if len(numbers) > 1 + strength:
            raise ValueError(rest)
        return make(*numbers)
    except ValueError as error:
        raise errors.InvalidValue(f"[multimarginal] --cost: expected {kind}:{wanted}, got {name}") from error


def _graph(name: str) -> Any:
    """Return a name, or the pairs of "0-1,1-2"."""
    if name in NAMES:
        return name
    try:
        return [(int(p), int(q)) for p, q in (edge.split("-") for edge in name.split(","))]
    except ValueError as error:
        raise errors.InvalidValue(
            f"[multimarginal] --graph: expected {', '.join(NAMES)}, or pairs as in 0-1,1-2, got {name}"
        ) from error


def _write(result: MultimarginalResult, path: str, points: Any, weights: Any, pairs: bool = True) -> None:
    several = isinstance(result.potentials, list)
    arrays = {f"potentials_{p}": f for p, f in enumerate(result.potentials)} if several else {}
    chosen = [] if not pairs else combinations(range(result.n_marginals), 2) if several else [(0, 1)]
    arrays |= {f"pair_{p}_{q}": result.pair_marginal(p, q) for p, q in chosen}
    if not several:
        arrays["potentials"] = result.potentials
    numbers = {name: getattr(result, name) for name in ("value", "value_linear", "marginal_error", "epsilon")}
    for name, given in (("points", points), ("weights", weights)):
        if isinstance(given, list):
            arrays |= {f"{name}_{p}": v for p, v in enumerate(given)}
        elif given is not None:
            arrays[name] = given
    np.savez(path, history=result.history, **arrays, **numbers)


def _draw(options: argparse.Namespace, points: Any, result: MultimarginalResult) -> None:
    figure = require("matplotlib.figure", "multimarginal", "plot").Figure(figsize=(5.2, 4.8), layout="constrained")
    repulsive = options.cost in ("coulomb", "log") or options.cost.startswith(("riesz", "yukawa"))
    equal = options.n_marginals is not None and (options.density or len(options.points) == 1)
    flat: Any = None if points is None else _line(points) if equal else [_line(x) for x in points]
    ax = figure.subplots()
    maps = repulsive and equal and flat.ndim == 1 and options.graph == "complete"
    plot.pair_density(result, flat, maps=maps, ax=ax)
    if ax.get_legend_handles_labels()[1]:
        ax.legend(frameon=False, fontsize=9, loc="upper center", bbox_to_anchor=(0.5, 1.1))
    save_figure(figure, options.plot)


def _line(x: Array) -> Array:
    """Return points of the line as a vector: .csv gives a column."""
    return x[:, 0] if x.ndim == 2 and x.shape[1] == 1 else x
