"""Sliced W_2 on a GPU against PyTorch's row sort on the same tensors, in one run; ratios are peer / deblai.

Both get the same float32 points and directions; calls are timed in pairs, each with a synchronisation. Values are
checked against float64 on the device. Usage: python bench/gpu_sliced.py RESULTS.json
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from statistics import median
from time import perf_counter
from typing import Any

import deblai
import torch

CASES = [(1000, 2, 1000), (10_000, 2, 100), (100_000, 10, 100), (10_000, 100, 1000), (1_000_000, 10, 10)]


def timed(f: Callable[[], float], repeats: int) -> Callable[[], tuple[float, float]]:
    def once() -> tuple[float, float]:
        torch.cuda.synchronize()
        begin = perf_counter()
        for _ in range(repeats):
            value = f()
        torch.cuda.synchronize()
        return (perf_counter() - begin) / repeats, value

    return once


def row(n: int, d: int, count: int, backward: bool) -> dict[str, Any]:
    rng = torch.Generator(device="cuda").manual_seed(0)
    x = torch.randn(n, d, device="cuda", generator=rng)
    y = 0.8 * torch.randn(n, d, device="cuda", generator=rng) + 0.3
    theta = torch.nn.functional.normalize(torch.randn(count, d, device="cuda", generator=rng))

    def gap(a: torch.Tensor, b: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        return torch.sort(t @ a.T, dim=1).values - torch.sort(t @ b.T, dim=1).values

    truth = sum(float((gap(x.double(), y.double(), t[None]) ** 2).mean()) for t in theta.double()) / count
    x.requires_grad_(backward)

    def run(value_p: Callable[[], torch.Tensor]) -> Callable[[], float]:
        def f() -> float:
            x.grad = None
            value = value_p()
            if backward:
                value.backward()
            return float(value.detach())

        return f

    mine = timed(run(lambda: deblai.sliced.wasserstein(x, y, directions=theta).value_p), 3)
    peer = timed(run(lambda: (gap(x, y, theta) ** 2).mean()), 3)
    mine(), peer()
    pairs = [(mine(), peer()) for _ in range(9)]
    ours, theirs = median(a[0] for a, _ in pairs), median(b[0] for _, b in pairs)
    name = f"n={n} d={d} L={count}" + (" value+grad" if backward else " value")
    error = abs(pairs[-1][0][1] / truth - 1)
    print(f"{name:36} deblai {1e3 * ours:8.3f} ms  torch {1e3 * theirs:8.3f} ms  x{theirs / ours:6.2f}  {error:.1e}")
    return {"case": name, "deblai_s": ours, "torch_s": theirs, "ratio": theirs / ours, "error": error}


def main() -> None:
    torch.backends.cuda.matmul.allow_tf32 = False
    print(torch.cuda.get_device_name())
    rows = [row(*case, backward) for case in CASES for backward in (False, True)]
    with open(sys.argv[1], "w", encoding="utf-8") as file:
        json.dump(rows, file, indent=1)


if __name__ == "__main__":
    main()
