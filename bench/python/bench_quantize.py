"""Newton's method for optimal quantizers of the plane against Lloyd's iteration, Anderson's and L-BFGS, in one run.

Goal: from one start, residual 1e-12 at N = 1000 in a few hundred steps at the most and in about a second, where Lloyd's
iteration needs tens of thousands; energies between the bound of hexagons, 5 / (18 sqrt 3 N), and 2% above it. Every
method starts from the same sites, drawn at random, uniform on the unit square and on its torus. Lloyd's iteration is
`quantize(method="lloyd")` on the same cells, stopped after some steps; what it would still need follows from the rate
of its last half, and is a lower bound where that is not the final rate yet. sdot and pysdot have no method but Lloyd's.
Usage: python bench/python/bench_quantize.py [--quick] [--no-save]
"""

from __future__ import annotations

import argparse
import time
import warnings
from typing import Any

import deblai
import numpy as np
from peers import save

HEXAGON = 5 / (18 * np.sqrt(3))
SQUARE = deblai.measures.UniformBox((0, 0), (1, 1))


def descend(start: np.ndarray, periodic: bool, method: str, steps: int, **options: Any) -> dict[str, Any]:
    """Steps and seconds to residuals 1e-8 and 1e-12, the rate of the last half, and how it ended."""
    begin = time.perf_counter()
    seen: list[tuple[float, float]] = []

    def watch(state: deblai.quantization.QuantizeState) -> None:
        seen.append((time.perf_counter() - begin, state.residual))

    r = deblai.quantization.quantize(
        SQUARE, len(start), periodic=periodic, init=start, method=method, max_iter=steps, callback=watch, **options
    )
    row: dict[str, Any] = {"steps": r.n_iter, "seconds": seen[-1][0], "residual": r.residual, "energy": r.energy}
    for tol in (1e-8, 1e-12):
        first = next((k for k, (_, residual) in enumerate(seen) if residual <= tol), None)
        row[f"steps_{tol:.0e}"] = first
        row[f"seconds_{tol:.0e}"] = None if first is None else seen[first][0]
    half = len(seen) // 2
    rate = (seen[-1][1] / seen[half][1]) ** (1 / max(1, len(seen) - 1 - half))
    still = 0.0 if r.residual <= 1e-12 else np.log(1e-12 / r.residual) / np.log(rate) if rate < 1 else np.nan
    row["steps_needed"] = r.n_iter + still
    row["last"] = [residual for _, residual in seen[-6:]]
    row["over_hexagons"] = r.energy * len(start) / HEXAGON - 1
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="N = 200, 200 steps of Lloyd's iteration")
    parser.add_argument("--no-save", action="store_true", help="print only")
    options = parser.parse_args()
    warnings.simplefilter("ignore", deblai.ConvergenceWarning)
    n, lloyds = (200, 200) if options.quick else (1000, 2000)
    rows: list[dict[str, Any]] = []
    print(
        f"{'':8}{'weights':8}{'method':9}{'N':>6}{'steps':>6}{'s':>7}{'residual':>9}{'to 1e-8':>9}{'s':>7}"
        f"{'to 1e-12':>9}{'s':>7}{'needed':>9}{'over hexagons':>14}"
    )
    for periodic in (False, True):
        for weights in ("free", "uniform"):
            start = np.random.default_rng(0).random((n, 2))
            for method in ("auto", "lbfgs", "anderson", "lloyd"):
                if weights == "uniform" and method == "anderson":
                    continue
                steps = lloyds if weights == "free" else lloyds // 10
                steps = steps if method in ("lloyd", "anderson") else 3000
                row = descend(start, periodic, method, steps, weights=weights)
                row = {"periodic": periodic, "weights": weights, "method": method, "n": n, **row}
                rows.append(row)
                a, b = (row[f"steps_{tol}"] for tol in ("1e-08", "1e-12"))
                s, t = (row[f"seconds_{tol}"] for tol in ("1e-08", "1e-12"))
                print(
                    f"{'torus' if periodic else 'square':8}{weights:8}{method:9}{n:6}{row['steps']:6}"
                    f"{row['seconds']:7.2f}{row['residual']:9.1e}{a if a is not None else '-':>9}{s or np.nan:7.2f}"
                    f"{b if b is not None else '-':>9}{t or np.nan:7.2f}{row['steps_needed']:9.3g}"
                    f"{100 * row['over_hexagons']:13.2f}%",
                    flush=True,
                )
                if method == "auto":
                    print("        last residuals:", " ".join(f"{v:.1e}" for v in row["last"]))
    if not options.no_save:
        print("written:", save("quantize", rows))


if __name__ == "__main__":
    main()
