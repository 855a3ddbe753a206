"""A sweep over all potentials of N marginals against OTT's MMSinkhorn and PyTorch, in one run, as ratios peer / deblai.

General mode, N clouds of n points of R^3, Coulomb cost, epsilon 0.5, float32. Seconds a sweep are the slope between two
numbers of sweeps (no acceleration), so that set-up and compilation do not count. What the potentials are worth is seen
by one evaluation for all of them: the marginal error after the same number of sweeps. Memory is the peak over the
inputs of one more run, in a process of its own. The peers: OTT; "torch", the log-sum-exp over the tensor; "products",
Sinkhorn through torch's matrix products of exp(-c / epsilon), without any safety at small epsilon.
Floors: the matrix product, 2 flops an entry at 227 GFLOP/s a core (its peak); one exp2 an entry at 104 ps a core.
"done" is the rate of flops that are really done, N/2 products of 2 n^N flops a sweep, "nominal" counts N of them; "mm"
is torch.mm's rate at n x n in the same run. Last, symmetric and general mode of equal marginals: time to equal error.
Usage: python bench/python/bench_multimarginal.py [--quick] (needs ott-jax, torch; a missing peer is reported)
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

EPSILON = 0.5
Run = Callable[[int], list[np.ndarray]]  # potentials after so many sweeps, of plans exp((sum f - c) / epsilon) a x ...


def clouds(N: int, n: int) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.standard_normal((n, 3)).astype(np.float32) for _ in range(N)]


def ours(points: list[np.ndarray]) -> Run:
    import warnings

    from deblai.multimarginal import _problem, _runners

    warnings.simplefilter("ignore")
    q = _problem.problem("bench", points, None, None, "coulomb", EPSILON)
    sizes = np.cumsum(q.sizes)[:-1]

    def run(sweeps: int) -> list[np.ndarray]:
        runner = _runners.runner(q, 0)
        potentials = np.zeros(sum(q.sizes))
        runner.sweeps(potentials, sweeps, -1.0, 0, None)  # never converged, not even where nothing moves
        return np.split(potentials, sizes)

    return run


def ott(points: list[np.ndarray]) -> Run:
    import jax
    import jax.numpy as jnp
    from ott.experimental.mmsinkhorn import MMSinkhorn
    from ott.geometry import costs

    @jax.tree_util.register_pytree_node_class
    class Coulomb(costs.CostFn):
        def __call__(self, x: Any, y: Any) -> Any:
            return 1.0 / jnp.sqrt(jnp.sum((x - y) ** 2))

    given = tuple(jnp.asarray(x) for x in points)
    compiled: dict[int, Any] = {}

    def run(sweeps: int) -> list[np.ndarray]:
        if sweeps not in compiled:
            solver = MMSinkhorn(threshold=0.0, inner_iterations=sweeps, min_iterations=sweeps, max_iterations=sweeps)
            compiled[sweeps] = jax.jit(lambda x: solver(x, cost_fns=Coulomb(), epsilon=EPSILON).potentials)
        found = jax.block_until_ready(compiled[sweeps](given))
        return [np.asarray(f, np.float64) + EPSILON * np.log(len(f)) for f in found]

    return run


def torch_dense(points: list[np.ndarray]) -> Run:
    """The log-sum-exp that one writes first: the tensor, and torch.logsumexp over all axes but one."""
    import torch

    N, n = len(points), len(points[0])
    x = [torch.from_numpy(p) for p in points]
    cost = torch.zeros([n] * N)
    for p in range(N):
        for q in range(p + 1, N):
            cost += torch.cdist(x[p], x[q]).reciprocal().reshape([n if k in (p, q) else 1 for k in range(N)])

    def run(sweeps: int) -> list[np.ndarray]:
        f = [torch.zeros(n) for _ in range(N)]
        for _ in range(sweeps):
            for p in range(N):
                z = -cost
                for q in range(N):
                    if q != p:
                        z = z + (f[q] - EPSILON * np.log(n)).reshape([-1 if k == q else 1 for k in range(N)])
                f[p] = -EPSILON * torch.logsumexp(z / EPSILON, dim=[k for k in range(N) if k != p])
        return [v.double().numpy() for v in f]

    return run


def torch_products(points: list[np.ndarray]) -> Run:
    """Scalings by matrix products of exp(-c / epsilon), as one writes it where nothing under- or overflows."""
    import torch

    N, n = len(points), len(points[0])
    x = [torch.from_numpy(p) for p in points]
    K = {(p, q): torch.exp(-torch.cdist(x[p], x[q]).reciprocal() / EPSILON) for p in range(N) for q in range(N)}

    def three(v: list[torch.Tensor], p: int) -> torch.Tensor:
        q, r = (k for k in range(3) if k != p)
        return (K[p, q] * ((K[p, r] * v[r]) @ K[r, q])) @ v[q]

    def four(v: list[torch.Tensor], p: int) -> torch.Tensor:
        q, r, s = (k for k in range(4) if k != p)
        inner = ((K[p, r][:, None, :] * (K[s, r] * v[r])).reshape(n * n, n) @ K[r, q]).reshape(n, n, n)
        return ((inner * K[p, q][:, None, :] * (K[s, q] * v[q])).sum(2) * K[p, s]) @ v[s]

    marginal = {3: three, 4: four}[N]

    def run(sweeps: int) -> list[np.ndarray]:
        v = [torch.full((n,), 1.0 / n) for _ in range(N)]
        for _ in range(sweeps):
            for p in range(N):
                v[p] = 1.0 / (n * marginal(v, p))
        return [EPSILON * np.log(n * w.double().numpy()) for w in v]

    return run


PEERS = {"deblai": ours, "ott": ott, "torch": torch_dense, "products": torch_products}


def product_rate(n: int) -> float:
    """Return flops a second of torch.mm, n x n in float32."""
    import torch

    a, b, out = torch.rand(n, n), torch.rand(n, n), torch.empty(n, n)
    torch.mm(a, b, out=out)
    count = max(1, 2 * 10**9 // n**3)
    start = time.perf_counter()
    for _ in range(count):
        torch.mm(a, b, out=out)
    return 2.0 * n**3 * count / (time.perf_counter() - start)


def slope(run: Run, few: int, many: int) -> float:
    time.sleep(0.3)  # threads of whoever ran before spin for so long
    start = time.perf_counter()
    run(few)
    middle = time.perf_counter()
    run(many)
    return (time.perf_counter() - middle - (middle - start)) / (many - few)


def marginal_error(points: list[np.ndarray], potentials: list[np.ndarray]) -> float:
    import deblai

    double = [x.astype(np.float64) for x in points]
    return deblai.multimarginal.sinkhorn(double, epsilon=EPSILON, init=potentials, max_iter=0).marginal_error


def status(key: str) -> float:
    with open("/proc/self/status", encoding="ascii") as lines:
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(key))


def peak(name: str, N: int, n: int) -> float:
    """MB that a fresh process grows by over its inputs, at the peak of the first run."""
    done = subprocess.run(
        [sys.executable, __file__, "--peak", name, str(N), str(n)], capture_output=True, text=True, check=True
    )
    return float(json.loads(done.stdout))


def fresh_peak(name: str, N: int, n: int) -> float:
    PEERS[name](clouds(N, 8))(2)  # code is loaded and compiled
    run = PEERS[name](clouds(N, n))
    with open("/proc/self/clear_refs", "w", encoding="ascii") as file:
        file.write("5")
    before = status("VmRSS")
    run(2)
    return status("VmHWM") - before


def cases(quick: bool) -> Iterator[tuple[int, int, str, str, float | None, int]]:
    """(N, n, peer, module it needs, goal for the ratio, sweeps)."""
    yield 3, 256, "ott", "ott", 150.0, 9
    yield 3, 256, "products", "torch", 1.0, 65
    yield 4, 64, "products", "torch", 1.0, 33
    yield 3, 1024, "products", "torch", 1.0, 5
    if quick:
        return
    yield 4, 64, "ott", "ott", 100.0, 9
    yield 3, 64, "ott", "ott", None, 65
    yield 3, 128, "ott", "ott", None, 33
    yield 3, 400, "ott", "ott", None, 5
    yield 3, 256, "torch", "torch", None, 3


def modes() -> Iterator[dict[str, Any]]:
    """Equal marginals, once as one with `n_marginals` and once as a list: seconds to the same marginal error."""
    import deblai

    for N, n, dtype, tol in ((3, 256, np.float32, 1e-4), (3, 256, np.float64, 1e-8), (4, 64, np.float64, 1e-8)):
        x = clouds(1, n)[0].astype(dtype)
        times: list[list[float]] = [[], []]
        found: list[Any] = [None, None]
        for _ in range(7):
            for k, given in enumerate((x, [x] * N)):
                start = time.perf_counter()
                many = N if k == 0 else None
                found[k] = deblai.multimarginal.sinkhorn(given, n_marginals=many, epsilon=EPSILON, tol=tol)
                times[k].append(time.perf_counter() - start)
        row: dict[str, Any] = {"peer": "modes", "N": N, "n": n, "dtype": np.dtype(dtype).name, "tol": tol}
        for name, seconds, r in zip(("symmetric", "general"), times, found, strict=True):
            row |= {f"{name}_s": float(np.median(seconds)), f"{name}_sweeps": r.n_iter}
            row |= {f"{name}_error": float(r.marginal_error)}
        yield row | {"ratio": row["general_s"] / row["symmetric_s"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rows")
    parser.add_argument("--no-save", action="store_true", help="print only")
    parser.add_argument("--peak", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.peak:
        name, N, n = options.peak
        print(json.dumps(fresh_peak(name, int(N), int(n))))
        return
    import deblai
    from peers import save

    rows: list[dict[str, Any]] = []
    print(
        f"{'peer':8} {'N':>2} {'n':>5} {'deblai ms':>10} {'peer ms':>9} {'ratio':>6} {'range':>13} {'goal':>5} "
        f"{'ps/entry':>9} {'done':>5} {'nominal':>8} {'mm':>5} {'our MB':>7} {'its MB':>7}  {'our error':>9} "
        f"{'its error':>9}"
    )
    for N, n, peer, module, goal, sweeps in cases(options.quick):
        if importlib.util.find_spec(module) is None:
            print(f"{peer:8} missing: pip install it to compare")
            continue
        points = clouds(N, n)
        mine, theirs = ours(points), PEERS[peer](points)
        few = max(1, sweeps // 4)
        for run in (mine, theirs):
            run(few)
            run(sweeps)
        many = 8 * sweeps  # ours are so short that more of them are timed
        pairs = np.array([(slope(mine, few, many), slope(theirs, few, sweeps)) for _ in range(7)])
        ratios = pairs[:, 1] / pairs[:, 0]
        entries = N * float(n) ** N
        threads = deblai.get_num_threads()
        row = {"peer": peer, "N": N, "n": n, "goal": goal}
        row |= dict(zip(("ours_s", "peer_s"), np.median(pairs, axis=0).tolist(), strict=True))
        row |= {"ratio": float(np.median(ratios)), "ratio_min": float(ratios.min()), "ratio_max": float(ratios.max())}
        row |= {"ps_per_entry": row["ours_s"] / entries * 1e12}
        rates = [product_rate(n) for _ in range(5)] if importlib.util.find_spec("torch") else [float("nan")]
        row |= {"gflops_done": entries / row["ours_s"] * 1e-9, "gflops_nominal": 2 * entries / row["ours_s"] * 1e-9}
        row |= {"gflops_torch_mm": float(np.median(rates)) * 1e-9}
        row |= {"gemm_floor_share": 2 * entries / (227e9 * threads) / row["ours_s"]}
        row |= {"exp_floor_share": 104e-12 * entries / threads / row["ours_s"]}
        row |= {"ours_MB": peak("deblai", N, n), "peer_MB": peak(peer, N, n)}
        row |= {"ours_error": marginal_error(points, mine(5)), "peer_error": marginal_error(points, theirs(5))}
        rows.append(row)
        verdict = "" if goal is None else f"{goal:g}" + ("" if row["ratio"] >= goal else " NOT MET")
        print(
            f"{peer:8} {N:2} {n:5} {row['ours_s'] * 1e3:10.3f} {row['peer_s'] * 1e3:9.2f} {row['ratio']:6.1f} "
            f"{row['ratio_min']:6.1f}-{row['ratio_max']:<6.1f} {verdict:>5} {row['ps_per_entry']:9.1f} "
            f"{row['gflops_done']:5.0f} {row['gflops_nominal']:8.0f} {row['gflops_torch_mm']:5.0f} "
            f"{row['ours_MB']:7.1f} {row['peer_MB']:7.1f} "
            f" {row['ours_error']:9.1e} {row['peer_error']:9.1e}",
            flush=True,
        )
    for row in () if options.quick else modes():
        rows.append(row)
        print(
            f"modes N={row['N']} n={row['n']} {row['dtype']} to {row['tol']:g}: "
            f"symmetric {row['symmetric_s'] * 1e3:.2f} ms, {row['symmetric_sweeps']} sweeps; "
            f"general {row['general_s'] * 1e3:.2f} ms, {row['general_sweeps']} sweeps; ratio {row['ratio']:.1f}"
        )
    if not options.no_save:
        print("written:", save("multimarginal_peers", rows))


if __name__ == "__main__":
    main()
