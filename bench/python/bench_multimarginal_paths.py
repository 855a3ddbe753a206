"""Ways to the minimum of `multimarginal.sinkhorn`: steps and seconds to a marginal error of 1e-8.

Plain sweeps, sweeps with Anderson acceleration, those with annealing, Newton's steps without and with annealing (the
default): float64, on the line and in the plane, equal and different marginals, epsilon from 1e-1 to 1e-3. A way that
takes longer than the limit is stopped and marked "!".
Usage: python bench/python/bench_multimarginal_paths.py [--limit SECONDS] [--out FILE.json]
(OPENBLAS_NUM_THREADS=1 where other work shares the machine: threads of the linear algebra that wait for a core cost
more than they save.)
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from deblai.multimarginal import sinkhorn

WAYS: dict[str, dict[str, Any]] = {
    "plain": {"method": "sinkhorn", "annealing": False, "memory": 0},
    "anderson": {"method": "sinkhorn", "annealing": False},
    "anderson, annealed": {"method": "sinkhorn"},
    "newton": {"method": "newton", "annealing": False},
    "default": {},
}


def problems() -> dict[str, tuple[Any, Any, int | None, str]]:
    """Points, weights, number of equal marginals and cost by name."""
    rng = np.random.default_rng(0)
    line, uneven, cloud, short = (
        (np.arange(240) + 0.5) / 240,
        rng.random(240),
        rng.standard_normal((200, 2)),
        np.linspace(-2, 2, 60),
    )
    clouds = [cloud, cloud[:150] + 0.1, cloud[:100] * 1.5]
    return {
        "line N=3": (line, None, 3, "coulomb"),
        "uneven line N=2": (line, uneven, 2, "coulomb"),
        "uneven line N=3": (line, uneven, 3, "coulomb"),
        "Gaussian line N=4": (short, np.exp(-(short**2)), 4, "coulomb"),
        "plane N=3": (cloud, None, 3, "coulomb"),
        "plane, three": (clouds, None, None, "coulomb"),
        "plane, four": ([cloud[40 * k : 40 * k + 40] for k in range(4)], None, None, "coulomb"),
        "repulsive harmonic N=3": (line, uneven, 3, "repulsive-harmonic"),
        "harmonic, two": (clouds[:2], None, None, "sqeuclidean"),
        "harmonic, three": (clouds, None, None, "sqeuclidean"),
    }


def main() -> None:
    """Print a table and write it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--limit", type=float, default=6.0, help="seconds for one run")
    parser.add_argument("--out", type=Path, help="write the table as JSON")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    rows = []
    for name, (points, weights, count, cost) in problems().items():
        for epsilon in (1e-1, 1e-2, 1e-3):
            row: dict[str, Any] = {"problem": name, "epsilon": epsilon}
            for way, how in WAYS.items():
                start = time.perf_counter()
                r = sinkhorn(
                    *(points, weights),
                    n_marginals=count,
                    cost=cost,
                    epsilon=epsilon,
                    tol=1e-8,
                    max_iter=100_000,
                    callback=lambda _, start=start: time.perf_counter() - start > options.limit,
                    **how,
                )
                seconds = time.perf_counter() - start
                row[way] = {"steps": r.n_iter, "seconds": round(seconds, 4), "converged": r.converged}
            rows.append(row)
            cells = (
                f"{v['steps']:6d}{' ' if v['converged'] else '!'}{v['seconds']:6.2f} s" for v in list(row.values())[2:]
            )
            print(f"{name:24}{epsilon:7g}" + " ".join(cells), flush=True)
    if options.out:
        options.out.write_text(json.dumps({"ways": WAYS, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
