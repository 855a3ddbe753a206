"""The exact solvers: seconds to the optimum, what is certified, and the published search in the same run.

`genetic` starts from random columns and does not look at the proof of the line (certify=False) until the end: one
particle density in 1D, whose optimum N (N H_{N-1} - N + 1) is known, and densities in the plane. The goals are those of
issue 4. The peer is genetic column generation as published (Friesecke, Schulz, Voegler 2022): one random child of one
random active column at a time, to a neighbouring site, accepted if it prices out; its linear programs run on the same
warm HiGHS model. `linear_program` is held against scipy's HiGHS on all columns at once. One error for all: relative, of
the value against the optimum.
Usage: python bench/python/bench_multimarginal_exact.py [--quick] [--no-save]
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np
from deblai.multimarginal import genetic, linear_program
from peers import once, paired, save


def line(n: int) -> np.ndarray:
    return (np.arange(n) + 0.5) / n


def optimum(count: int) -> float:
    """T1 of the uniform density for 1 / r: N (N H_{N-1} - N + 1)."""
    return count * (count * float(np.sum(1 / np.arange(1, count))) - count + 1)


def ring(n: int) -> tuple[np.ndarray, np.ndarray]:
    """A density of the plane, dense along a ring, on n x n points."""
    t = np.linspace(-1, 1, n)
    points = np.stack(np.meshgrid(t, t), -1).reshape(-1, 2)
    return points, np.exp(-8 * (np.hypot(*points.T) - 0.7) ** 2)


def published(x: np.ndarray, count: int, rng: np.random.Generator, limit: float) -> float:
    """Return the value that one random child at a time reaches when it meets the optimum, or the time is up."""
    from deblai.multimarginal._exact import line as _line
    from deblai.multimarginal._exact.master import Master

    n = len(x)
    with np.errstate(divide="ignore"):
        costs = 1 / np.abs(x[:, None] - x)
    weights = np.full(n, 1 / n)
    master = Master("bench", count * weights)
    order = rng.permutation(n)
    columns = order[_line.tuples(_line.steps(weights, count, 1e-12), weights, count)[0]].astype(np.int32)

    def cost(rows: np.ndarray) -> np.ndarray:
        return np.asarray(sum(costs[rows[:, a], rows[:, b]] for a in range(count) for b in range(a)))

    master.add(columns, cost(columns))
    best, begin = master.solve(), time.perf_counter()
    while best.value > optimum(count) * (1 + 1e-9) and time.perf_counter() - begin < limit:
        active = columns[best.masses > 1e-12]
        for _ in range(100_000):
            child = active[rng.integers(len(active))].copy()
            child[rng.integers(count)] += rng.choice((-1, 1))
            if child.min() < 0 or child.max() >= n or len(np.unique(child)) < count:
                continue
            if best.duals[child].sum() - cost(child[None])[0] > 1e-10:
                break
        else:
            break
        if len(columns) >= 5 * n:
            old = master.inactive()[:n]
            master.delete(old)
            columns = np.delete(columns, old, axis=0)
        master.add(child[None], cost(child[None]))
        columns = np.concatenate([columns, child[None]])
        best = master.solve()
    return best.value


def searches(quick: bool) -> list[tuple[str, Any, Any, int, float | None, float | None]]:
    """(name, points, weights, N, optimum if known, seconds wanted)."""
    cases: list[tuple[str, Any, Any, int, float | None, float | None]] = [
        ("line, N=10, n=100", line(100), None, 10, optimum(10), 60.0),
        ("line, N=30, n=120", line(120), None, 30, optimum(30), 600.0),
        ("plane 12x12, N=4", *ring(12), 4, None, None),
    ]
    if not quick:
        cases += [
            ("line, N=30, n=300", line(300), None, 30, optimum(30), None),
            ("line, N=50, n=200", line(200), None, 50, optimum(50), None),
            ("plane 12x12, N=5", *ring(12), 5, None, None),
            ("plane 12x12, N=6", *ring(12), 6, None, None),
            ("plane 12x12, N=8", *ring(12), 8, None, None),
        ]
    return cases


def of_searches(quick: bool) -> list[dict[str, Any]]:
    rows = []
    for name, points, weights, count, known, goal in searches(quick):
        given = {"n_marginals": count, "rng": 0}
        begin = time.perf_counter()
        r = genetic(points, weights, **given, init="random", certify=known is None)
        seconds = time.perf_counter() - begin
        proof = genetic(points, weights, **given) if known is not None else r
        row = {"case": name, "goal_s": goal, "seconds": seconds, "value": float(r.value), "programs": r.n_iter}
        row |= {"lower": proof.lower, "upper": proof.upper, "certified": proof.certified}
        row |= {"error": None if known is None else abs(float(r.value) / known - 1)}
        rows.append(row)
        met = "" if goal is None else f" (goal {goal:g} s{'' if seconds <= goal else ': NOT MET'})"
        off = "" if known is None else f", {row['error']:.0e} from the optimum"
        bounds = f"{'certified' if proof.certified else 'NOT certified'} in [{proof.lower:.10g}, {proof.upper:.10g}]"
        print(f"{name:20} {seconds:8.2f} s{met}, {r.n_iter} programs, {float(r.value):.10g}{off}, {bounds}", flush=True)
    return rows


def against_peers() -> list[dict[str, Any]]:
    from scipy.optimize import linprog

    rows = []
    x, count = line(40), 5
    seeds = iter(range(1000))

    def ours() -> float:
        return float(genetic(x, n_marginals=count, init="random", certify=False, rng=next(seeds)).value)

    def theirs() -> float:
        return published(x, count, np.random.default_rng(next(seeds)), 60.0)

    row = {"case": "line, N=5, n=40", "peer": "published search", **paired(ours, theirs, 60.0)}
    row["ours_error"], row["peer_error"] = (row[k] / optimum(count) - 1 for k in ("ours_value", "peer_value"))
    rows.append(row)

    clouds = [np.random.default_rng(k).random((16 + 2 * k, 2)) for k in range(3)]
    sizes = [len(c) for c in clouds]
    gaps = {(p, q): np.sqrt(((clouds[p][:, None] - clouds[q]) ** 2).sum(-1)) for p in range(3) for q in range(p)}
    tensor = sum(1 / (gaps[p, q].T.reshape([n if k in (p, q) else 1 for k, n in enumerate(sizes)])) for p, q in gaps)
    index = np.indices(sizes).reshape(3, -1)

    def dense() -> float:
        from scipy.sparse import coo_matrix

        start = np.concatenate([[0], np.cumsum(sizes)[:-1]])
        at = (index + start[:, None]).ravel(), np.tile(np.arange(index.shape[1]), 3)
        rhs = np.concatenate([np.full(n, 1 / n) for n in sizes])
        found = linprog(tensor.ravel(), A_eq=coo_matrix((np.ones(len(at[0])), at)).tocsr(), b_eq=rhs, method="highs")
        return float(found.fun)

    row = {
        "case": "three clouds of 16 to 20 points",
        "peer": "scipy linprog, all columns",
        **paired(lambda: float(linear_program(clouds).value), dense),
    }
    rows.append(row | {"ours_error": abs(row["ours_value"] / row["peer_value"] - 1), "peer_error": 0.0})
    for row in rows:
        print(
            f"{row['case']:32} {row['ours_s']:7.3f} s, {row['peer']} {row['peer_s']:7.3f} s, ratio {row['ratio']:.1f} "
            f"({row['ratio_min']:.1f}-{row['ratio_max']:.1f}), errors {row['ours_error']:.0e}, {row['peer_error']:.0e}",
            flush=True,
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer rows")
    parser.add_argument("--no-save", action="store_true", help="print only")
    options = parser.parse_args()
    once(lambda: genetic(line(10), n_marginals=3, rng=0))  # HiGHS is loaded
    rows = of_searches(options.quick) + against_peers()
    if not options.no_save:
        print("written:", save("multimarginal_exact", rows))


if __name__ == "__main__":
    main()
