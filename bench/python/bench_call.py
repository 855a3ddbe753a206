"""What one call costs beside its work: overhead for each library, latency of Ctrl-C.

Goals: under 10 µs of overhead for NumPy (tiny problem, given directions), Ctrl-C answered within 0.5 s.
Usage: python bench/python/bench_call.py
"""

from __future__ import annotations

import os
import signal
import threading
import time
import timeit
from collections.abc import Callable
from typing import Any

import deblai
import numpy as np
from deblai import _core, _dlpack
from peers import save


def microseconds(f: Callable[[], Any], number: int = 2000) -> float:
    return min(timeit.repeat(f, number=number, repeat=25)) / number * 1e6


def overhead() -> list[dict[str, Any]]:
    rng = np.random.default_rng(0)
    x, y, theta = rng.standard_normal((4, 3)), rng.standard_normal((4, 3)), rng.standard_normal((2, 3))
    views = [_dlpack.view(v) for v in (x, y, theta)]
    cost = _dlpack.view(np.zeros(2), True)
    kernel = microseconds(
        lambda: _core.sliced(*views[:2], None, None, views[2], 2.0, cost, None, None, None, None, 1, "")
    )
    rows = [
        {"what": "one view (_dlpack.view)", "us": microseconds(lambda: _dlpack.view(x)), "goal_us": None},
        {"what": "one kernel call (_core.sliced, 4 points)", "us": kernel, "goal_us": None},
    ]
    generator = np.random.default_rng(1)
    whole = microseconds(lambda: deblai.sliced.wasserstein(x, y, directions=theta))
    drawn = microseconds(lambda: deblai.sliced.wasserstein(x, y, n_projections=2, rng=generator))
    rows.append({"what": "NumPy: sliced.wasserstein minus kernel", "us": whole - kernel, "goal_us": 10.0})
    rows.append({"what": "NumPy: the same, directions drawn", "us": drawn - kernel, "goal_us": None})
    try:
        import torch

        tensors = [torch.from_numpy(v) for v in (x, y, theta)]
        us = microseconds(lambda: deblai.sliced.wasserstein(*tensors[:2], directions=tensors[2]), 500)
        rows.append({"what": "PyTorch: sliced.wasserstein minus kernel", "us": us - kernel, "goal_us": None})
    except ImportError:
        pass
    return rows


def interrupt(n: int, trials: int = 5) -> dict[str, Any]:
    """Latency from the signal to the exception, over trials; n points, 10 coordinates."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((n, 10), dtype=np.float32)
    latencies = []
    for _ in range(trials):
        sent: list[float] = []

        def send(sent: list[float] = sent) -> None:
            sent.append(time.perf_counter())
            os.kill(os.getpid(), signal.SIGINT)

        timer = threading.Timer(0.4, send)
        timer.start()
        try:
            deblai.sliced.wasserstein(x, x + 1, n_projections=100_000, rng=0)
        except deblai.Interrupted:
            latencies.append(time.perf_counter() - sent[0])
        timer.join()
    return {
        "what": f"Ctrl-C, n={n}",
        "us": max(latencies) * 1e6,
        "median_us": float(np.median(latencies)) * 1e6,
        "goal_us": 5e5,
    }


def main() -> None:
    rows = [*overhead(), interrupt(10000), interrupt(1000000)]
    for row in rows:
        goal = (
            ""
            if row["goal_us"] is None
            else f"  goal {row['goal_us']:g}: " + ("met" if row["us"] <= row["goal_us"] else "NOT MET")
        )
        print(f"{row['what']:45} {row['us']:12.2f} us{goal}")
    print("written:", save("call", rows))


if __name__ == "__main__":
    main()
