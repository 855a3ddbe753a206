"""Newton's method for optimal quantizers of N(0, 1) against Lloyd's, in one run.

Goal: residual 1e-12 (row 16 of the facts at N = 10) in a number of steps that does not grow with N, in seconds at 1e5.
Lloyd's iteration is written here in NumPy with closed forms (cell masses and means from the distribution function and
the density), from the same start, and stopped after a few seconds; what it would still need follows from the rate of
its last steps, and is a lower bound where that is not the final rate yet. No package on PyPI computes optimal
quantizers of laws of the line that we know of (kmeans1d and ckwrap take samples); the grids of quantize.maths-fi.com
are downloads.
Usage: python bench/python/bench_quantize_1d.py [--quick] [--no-save]
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import deblai
import numpy as np
from peers import once, save, settled
from scipy import special

LIMITS = {10: 0.022937052905, 100: 0.000266712219}


def lloyd(y: np.ndarray, seconds: float, tol: float) -> tuple[int, float, float, float]:
    """Steps, seconds, the last residual, and its rate a step over the last half."""
    start, step, seen = time.perf_counter(), 0, []
    while True:
        edges = np.concatenate([[-np.inf], (y[:-1] + y[1:]) / 2, [np.inf]])
        side = np.where(edges[:-1] > 0, -1.0, 1.0)  # differences of the smaller tail
        mass = side * (special.ndtr(side * edges[1:]) - special.ndtr(side * edges[:-1]))
        density = np.exp(-(edges**2) / 2) / np.sqrt(2 * np.pi)
        moved = -np.diff(density) / mass
        width = np.minimum(np.diff(edges), 1.0)
        seen.append(float((np.abs(moved - y) / width).max()) * 4)  # about |L - R| / (L + R)
        y = moved
        step += 1
        if seen[-1] < tol or time.perf_counter() - start > seconds:
            half = len(seen) // 2
            rate = (seen[-1] / seen[half]) ** (1 / max(1, len(seen) - 1 - half))
            return step, time.perf_counter() - start, seen[-1], rate


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a second of Lloyd's iteration a row, no N = 1e5")
    parser.add_argument("--no-save", action="store_true", help="print only")
    options = parser.parse_args()
    from scipy import stats

    law = deblai.measures.Law(stats.norm())
    rows: list[dict[str, Any]] = []
    print(
        f"{'N':>7} {'seconds':>8} {'steps':>5} {'residual':>9} {'gradient':>9} {'N^2 D':>12}   "
        f"{'Lloyd s':>8} {'steps':>7} {'residual':>9} {'steps to 1e-12':>14}"
    )
    for n in (10, 100, 1000, 10_000) if options.quick else (10, 100, 1000, 10_000, 100_000):
        first: list[np.ndarray] = []
        deblai.quantization.quantize(law, n, callback=lambda state, first=first: first.append(state.sites) or True)
        rough, r = once(lambda n=n: deblai.quantization.quantize(law, n))
        seconds = settled(lambda n=n: deblai.quantization.quantize(law, n), rough)
        steps, time_lloyd, residual, rate = lloyd(first[0], 1.0 if options.quick else 8.0, 1e-12)
        still = np.log(1e-12 / residual) / np.log(rate) if residual > 1e-12 and rate < 1 else 0.0
        row = {"n": n, "ours_s": seconds, "steps": r.n_iter, "residual": r.residual, "gradient_norm": r.gradient_norm}
        row |= {"zador": n * n * r.energy, "lloyd_s": time_lloyd, "lloyd_steps": steps, "lloyd_residual": residual}
        row |= {"lloyd_steps_needed": steps + still, "lloyd_s_needed": time_lloyd * (1 + still / steps)}
        rows.append(row)
        print(
            f"{n:7} {seconds:8.3f} {r.n_iter:5} {r.residual:9.1e} {r.gradient_norm:9.1e} {row['zador']:12.8f}   "
            f"{time_lloyd:8.3f} {steps:7} {residual:9.1e} {row['lloyd_steps_needed']:14.3g}",
            flush=True,
        )
        if n in LIMITS and abs(r.energy - LIMITS[n]) > 1e-12:
            print(f"        energy {r.energy!r}, expected {LIMITS[n]!r}: WRONG")
    if not options.no_save:
        print("written:", save("quantize_1d", rows))


if __name__ == "__main__":
    main()
