"""Sliced W_2 against its peers, in one run, as ratios peer / deblai (bigger is better for deblai).

Peers: plain NumPy (product, then np.sort of contiguous rows), PyTorch's row sort, POT, OTT. Same directions, float32,
equal weights; every value is checked against a float64 computation. Goals are those of the issue that set them.
Usage: python bench/python/bench_sliced.py [--quick] (needs torch, POT, ott-jax; a missing peer is reported as missing)
"""

from __future__ import annotations

import argparse
import importlib.util
from collections.abc import Callable, Iterator
from typing import Any

import deblai
import numpy as np
from peers import paired, save

Call = Callable[[], float]


def clouds(n: int, d: int, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((n, d)).astype(np.float32)
    y = (rng.standard_normal((n, d)) * 0.8 + 0.3).astype(np.float32)
    theta = rng.standard_normal((count, d)).astype(np.float32)
    return x, y, theta / np.linalg.norm(theta, axis=1, keepdims=True)


def truth(x: np.ndarray, y: np.ndarray, theta: np.ndarray) -> float:
    total = 0.0
    for t in theta.astype(np.float64):
        total += float(np.mean((np.sort(x @ t) - np.sort(y @ t)) ** 2))
    return (total / len(theta)) ** 0.5


def numpy_rows(x: np.ndarray, y: np.ndarray, theta: np.ndarray) -> Call:
    xt, yt = np.ascontiguousarray(x.T), np.ascontiguousarray(y.T)
    block = max(1, min(len(theta), 20_000_000 // len(x)))

    def f() -> float:
        total = 0.0
        for i in range(0, len(theta), block):
            a, b = theta[i : i + block] @ xt, theta[i : i + block] @ yt
            a.sort(axis=1)
            b.sort(axis=1)
            a -= b
            total += float(np.einsum("ij,ij->", a, a, dtype=np.float64))
        return (total / (len(theta) * len(x))) ** 0.5

    return f


def torch_rows(x: np.ndarray, y: np.ndarray, theta: np.ndarray, backward: bool = False) -> Call:
    import torch

    a, b, t = (torch.from_numpy(v) for v in (x, y, theta))
    a.requires_grad_(backward)

    def f() -> float:
        a.grad = None
        gap = torch.sort(t @ a.T, dim=1).values - torch.sort(t @ b.T, dim=1).values
        value = torch.sqrt((gap**2).mean())
        if backward:
            value.backward()
        return float(value.detach())

    return f


def pot(x: np.ndarray, y: np.ndarray, theta: np.ndarray, backward: bool = False) -> Call:
    import ot

    if not backward:
        return lambda: float(ot.sliced_wasserstein_distance(x, y, projections=theta.T))
    import torch

    a, b, t = (torch.from_numpy(v) for v in (x, y, theta))
    a.requires_grad_(True)

    def f() -> float:
        a.grad = None
        value = ot.sliced_wasserstein_distance(a, b, projections=t.T)
        value.backward()
        return float(value.detach())

    return f


def ott(x: np.ndarray, y: np.ndarray, theta: np.ndarray) -> Call:
    import jax
    import jax.numpy as jnp
    from ott.tools import sliced

    a, b, t = (jnp.asarray(v) for v in (x, y, theta))
    run = jax.jit(lambda u, v: sliced.sliced_wasserstein(u, v, proj_fn=lambda z: z @ t.T)[0])
    return lambda: float(jax.block_until_ready(run(a, b))) ** 0.5


def ours(x: np.ndarray, y: np.ndarray, theta: np.ndarray) -> Call:
    return lambda: float(deblai.sliced.wasserstein(x, y, directions=theta).value)


def ours_backward(x: np.ndarray, y: np.ndarray, theta: np.ndarray) -> Call:
    import torch

    a, b, t = (torch.from_numpy(v) for v in (x, y, theta))
    a.requires_grad_(True)

    def f() -> float:
        a.grad = None
        value = deblai.sliced.wasserstein(a, b, directions=t).value
        value.backward()
        return float(value.detach())

    return f


def cases(quick: bool) -> Iterator[tuple[int, int, int, str, str, float | None]]:
    """(n, d, directions, peer, module it needs, goal for the ratio)."""
    yield 100_000, 10, 100, "numpy", "numpy", 1.0
    yield 100_000, 10, 100, "torch", "torch", 8.0
    yield 100_000, 10, 100, "pot", "ot", 50.0
    yield 10_000, 10, 100, "numpy", "numpy", None
    yield 10_000, 10, 100, "ott", "ott", None
    yield 100_000, 10, 100, "torch forward+backward", "torch", None
    if quick:
        return
    yield 100_000, 10, 100, "pot forward+backward", "ot", None
    yield 1_000_000, 10, 10, "numpy", "numpy", None
    yield 10_000, 100, 1000, "numpy", "numpy", None
    yield 100_000, 2, 1000, "numpy", "numpy", None


PEERS: dict[str, Callable[..., Call]] = {
    "numpy": numpy_rows,
    "torch": torch_rows,
    "pot": pot,
    "ott": ott,
    "torch forward+backward": lambda *v: torch_rows(*v, backward=True),
    "pot forward+backward": lambda *v: pot(*v, backward=True),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rows")
    parser.add_argument("--no-save", action="store_true", help="print only")
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    print(
        f"{'peer':24} {'n':>8} {'d':>4} {'L':>5} {'deblai s':>9} {'peer s':>9} {'ratio':>7} {'range':>13} {'goal':>5}  "
        f"{'our error':>9} {'its error':>9}"
    )
    for n, d, count, peer, module, goal in cases(options.quick):
        if importlib.util.find_spec(module) is None:
            print(f"{peer:24} missing: pip install it to compare")
            continue
        data = clouds(n, d, count)
        mine = ours_backward(*data) if "backward" in peer else ours(*data)
        row = paired(mine, PEERS[peer](*data))
        exact = truth(*data)
        row |= {"peer": peer, "n": n, "d": d, "directions": count, "goal": goal}
        row["ours_error"] = abs(row.pop("ours_value") / exact - 1)
        row["peer_error"] = abs(row.pop("peer_value") / exact - 1)
        rows.append(row)
        verdict = "" if goal is None else f"{goal:5.0f}" + ("" if row["ratio"] >= goal else " NOT MET")
        print(
            f"{peer:24} {n:8} {d:4} {count:5} {row['ours_s']:9.4f} {row['peer_s']:9.4f} {row['ratio']:7.1f} "
            f"{row['ratio_min']:6.1f}-{row['ratio_max']:<6.1f} {verdict:>5}  {row['ours_error']:9.1e} "
            f"{row['peer_error']:9.1e}",
            flush=True,
        )
    if not options.no_save:
        print("written:", save("sliced_peers", rows))


if __name__ == "__main__":
    main()
