"""Iterations of Lloyd's algorithm against faiss and scikit-learn, in one run, as ratios peer / deblai.

The same samples (float32) and initial sites; no early stop. Seconds an iteration are the slope between two numbers of
iterations, so that set-up does not count; the energies of the sites reached are compared in float64.
Floors: d <= 3, bytes and sums as in bench/bench_lloyd.cpp; else the matrix product alone at 154 GFLOP/s a core.
Usage: python bench/python/bench_lloyd.py [--quick] (needs faiss-cpu, scikit-learn; a missing peer is reported)
"""

from __future__ import annotations

import argparse
import importlib.util
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import deblai
import numpy as np
from peers import save

Run = Callable[[int], np.ndarray]  # sites after so many iterations


def data(n: int, d: int, k: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    x = rng.random((n, d), dtype=np.float32) if d <= 2 else rng.standard_normal((n, d)).astype(np.float32)
    return x, x[rng.choice(n, k, replace=False)].copy()


def ours(x: np.ndarray, init: np.ndarray) -> Run:
    return lambda iterations: deblai.quantization.lloyd(x, len(init), init=init, tol=0, max_iter=iterations).sites


def faiss(x: np.ndarray, init: np.ndarray) -> Run:
    import faiss

    faiss.omp_set_num_threads(deblai.get_num_threads())
    limits = {"nredo": 1, "max_points_per_centroid": 10**9, "min_points_per_centroid": 1}

    def run(iterations: int) -> np.ndarray:
        means = faiss.Kmeans(x.shape[1], len(init), niter=iterations, **limits)
        means.train(x, init_centroids=init)
        return means.centroids

    return run


def scikit_learn(x: np.ndarray, init: np.ndarray) -> Run:
    from sklearn.cluster import KMeans

    def run(iterations: int) -> np.ndarray:
        means = KMeans(len(init), init=init, n_init=1, max_iter=iterations, tol=0, algorithm="lloyd")
        return means.fit(x).cluster_centers_

    return run


def energy(x: np.ndarray, sites: np.ndarray, count: int = 2000) -> float:
    """Return the mean squared distance of some samples to their nearest site, float64."""
    some, sites = x[:: max(1, len(x) // count)].astype(np.float64), sites.astype(np.float64)
    return float(np.mean([((p - sites) ** 2).sum(1).min() for p in some]))


def slope(run: Run, few: int, many: int) -> float:
    start = time.perf_counter()
    run(few)
    middle = time.perf_counter()
    run(many)
    return (time.perf_counter() - middle - (middle - start)) / (many - few)


def floor(n: int, d: int, k: int) -> float:
    one = n * ((4 * d + 4) / 10e9 + (d + 1) / 3.6e9) if d <= 3 else 2 * n * k * d / 154e9
    return one / deblai.get_num_threads()


def cases(quick: bool) -> Iterator[tuple[int, int, int, str, str, float | None, int]]:
    """(n, d, k, peer, module it needs, goal for the ratio, iterations)."""
    yield 1_000_000, 2, 1000, "faiss", "faiss", 10.0, 8
    yield 100_000, 64, 1000, "faiss", "faiss", 1.5, 8
    yield 100_000, 64, 1000, "scikit-learn", "sklearn", 1.5, 8
    if quick:
        return
    yield 1_000_000, 2, 1000, "scikit-learn", "sklearn", 70.0, 4
    yield 1_000_000, 3, 1000, "faiss", "faiss", None, 8
    yield 1_000_000, 16, 4096, "faiss", "faiss", 1.5, 3


PEERS: dict[str, Callable[[np.ndarray, np.ndarray], Run]] = {"faiss": faiss, "scikit-learn": scikit_learn}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rows")
    parser.add_argument("--no-save", action="store_true", help="print only")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    rows: list[dict[str, Any]] = []
    print(
        f"{'peer':14} {'n':>8} {'d':>3} {'k':>5} {'deblai ms':>10} {'floor ms':>9} {'peer ms':>9} {'ratio':>6} "
        f"{'range':>11} {'goal':>5}  {'energies':>8}"
    )
    for n, d, k, peer, module, goal, iterations in cases(options.quick):
        if importlib.util.find_spec(module) is None:
            print(f"{peer:14} missing: pip install it to compare")
            continue
        x, init = data(n, d, k)
        mine, theirs = ours(x, init), PEERS[peer](x, init)
        one, other = energy(x, mine(2)), energy(x, theirs(2))  # also the warm-up
        few = max(1, iterations // 4)
        pairs = np.array([(slope(mine, few, iterations), slope(theirs, few, iterations)) for _ in range(3)])
        ratios = pairs[:, 1] / pairs[:, 0]
        row = {"peer": peer, "n": n, "d": d, "k": k, "goal": goal, "floor_s": floor(n, d, k)}
        row |= dict(zip(("ours_s", "peer_s"), np.median(pairs, axis=0).tolist(), strict=True))
        row |= {"ratio": float(np.median(ratios)), "ratio_min": float(ratios.min()), "ratio_max": float(ratios.max())}
        row |= {"energies_differ": abs(one / other - 1)}
        rows.append(row)
        verdict = "" if goal is None else f"{goal:g}" + ("" if row["ratio"] >= goal else " NOT MET")
        print(
            f"{peer:14} {n:8} {d:3} {k:5} {1e3 * row['ours_s']:10.1f} {1e3 * row['floor_s']:9.1f} "
            f"{1e3 * row['peer_s']:9.1f} {row['ratio']:6.1f} {row['ratio_min']:5.1f}-{row['ratio_max']:<5.1f} "
            f"{verdict:>5}  {row['energies_differ']:8.1e}",
            flush=True,
        )
    if not options.no_save:
        print("written:", save("lloyd_peers", rows))


if __name__ == "__main__":
    main()
