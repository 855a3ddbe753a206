"""Transport of many marginals on chains, trees, rings and a graph of treewidth 3: seconds to tolerance, and sweeps
against what one writes in PyTorch, timed in pairs in one run.

The peers are log-domain messages (torch.logsumexp) on the chain, whose cost matrices are stored, and a ring by matrix
products without log-domain safety. One sweep passes all messages once in each direction. Float64; points uniform in the
unit cube of R^d, squared distances, epsilon 0.05. Goals are those of issue 4: seconds.
Usage: python bench/python/bench_multimarginal_graph.py [--no-save] (needs torch; a missing peer is reported)
"""

from __future__ import annotations

import argparse
import importlib.util
import time
from itertools import pairwise
from typing import Any

import numpy as np

EPSILON = 0.05


def cases() -> dict[str, tuple[list[np.ndarray], Any]]:
    rng = np.random.default_rng(0)
    tree = [(int(rng.integers(0, k)), k) for k in range(1, 60)]
    three = [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3), (1, 4), (2, 4), (3, 4), (4, 5)]
    return {
        "chain, N=10, n=2000": ([rng.random((2000, 1)) for _ in range(10)], "chain"),
        "tree, N=60, n=50..200": ([rng.random((int(rng.integers(50, 200)), 2)) for _ in range(60)], tree),
        "ring, N=5, n=200": ([rng.random((200, 2)) for _ in range(5)], "ring"),
        "treewidth 3, N=6, n=40": ([rng.random((40, 2)) for _ in range(6)], three),
    }


def chain_in_torch(points: list[np.ndarray]) -> Any:
    import torch

    x = [torch.from_numpy(p) for p in points]
    M = [-(torch.cdist(a, b) ** 2) / EPSILON for a, b in pairwise(x)]
    n, N = len(points[0]), len(points)
    g = [torch.full((n,), -float(np.log(n)), dtype=torch.float64) for _ in points]

    def run(sweeps: int) -> None:
        for _ in range(sweeps):
            down = [torch.zeros(n, dtype=torch.float64)]
            for p in range(N - 1, 0, -1):
                down.append(torch.logsumexp(M[p - 1] + (g[p] + down[-1])[None], 1))
            up = torch.zeros(n, dtype=torch.float64)
            for p in range(N):
                heard = up + down[N - 1 - p]
                g[p] = -heard - float(np.log(n))
                if p < N - 1:
                    up = torch.logsumexp(M[p] + (g[p] + up)[:, None], 0)

    return run


def ring_in_torch(points: list[np.ndarray]) -> Any:
    import torch

    x = [torch.from_numpy(p) for p in points]
    n, N = len(points[0]), len(points)
    K = [torch.exp(-(torch.cdist(x[p], x[(p + 1) % N]) ** 2) / EPSILON) for p in range(N)]
    u = [torch.ones(n, dtype=torch.float64) for _ in points]

    def run(sweeps: int) -> None:
        for _ in range(sweeps):
            tails = [K[N - 1]]
            for p in range(N - 1, 0, -1):
                tails.append(K[p - 1] @ (u[p][:, None] * tails[-1]))
            head = None
            for p in range(N):
                tail = tails[N - 1 - p]
                heard = tail.diagonal() if head is None else (head * tail.T).sum(0)
                u[p] = 1 / (n * heard)
                if p < N - 1:
                    head = u[p][:, None] * K[p] if head is None else head @ (u[p][:, None] * K[p])

    return run


def ours(points: list[np.ndarray], graph: Any) -> Any:
    import warnings

    from deblai.multimarginal import _problem, _runners

    warnings.simplefilter("ignore")
    q = _problem.problem("bench", points, None, None, "sqeuclidean", EPSILON, graph)

    def run(sweeps: int) -> None:
        _runners.runner(q, 0).sweeps(np.zeros(sum(q.sizes)), sweeps, -1.0, 0, None)

    return run


def slope(run: Any, few: int, many: int) -> float:
    start = time.perf_counter()
    run(few)
    middle = time.perf_counter()
    run(many)
    return (time.perf_counter() - middle - (middle - start)) / (many - few)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--no-save", action="store_true", help="print only")
    options = parser.parse_args()
    import deblai
    from peers import save

    rows: list[dict[str, Any]] = []
    for name, (points, graph) in cases().items():
        times = []
        for _ in range(3):
            start = time.perf_counter()
            r = deblai.multimarginal.sinkhorn(points, cost="sqeuclidean", graph=graph, epsilon=EPSILON)
            times.append(time.perf_counter() - start)
        rows.append({"case": name, "seconds": float(np.median(times)), "sweeps": r.n_iter, "error": r.marginal_error})
        print(f"{name:24} {rows[-1]['seconds']:7.2f} s to {r.marginal_error:.0e} in {r.n_iter} sweeps", flush=True)
    torch = importlib.util.find_spec("torch") is not None
    if not torch:
        print("torch missing: pip install it to compare")
    for name, peer, few, many in (
        ("chain, N=10, n=2000", chain_in_torch, 1, 3),
        ("ring, N=5, n=200", ring_in_torch, 5, 25),
    ):
        if not torch:
            break
        points, graph = cases()[name]
        mine, theirs = ours(points, graph), peer(points)
        mine(1), theirs(1)
        pairs = np.array([(slope(mine, few, many), slope(theirs, few, many)) for _ in range(5)])
        ratio = pairs[:, 1] / pairs[:, 0]
        row = {
            "case": name,
            "peer": "torch",
            **dict(zip(("ours_s", "peer_s"), np.median(pairs, 0).tolist(), strict=True)),
        }
        row |= {"ratio": float(np.median(ratio)), "ratio_min": float(ratio.min()), "ratio_max": float(ratio.max())}
        rows.append(row)
        print(
            f"{name:24} a sweep: {row['ours_s'] * 1e3:.1f} ms, torch {row['peer_s'] * 1e3:.1f} ms, "
            f"ratio {row['ratio']:.1f} ({row['ratio_min']:.1f}-{row['ratio_max']:.1f})",
            flush=True,
        )
    if not options.no_save:
        save("multimarginal_graph", rows)


if __name__ == "__main__":
    main()
