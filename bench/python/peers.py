"""Timing in pairs: the machine drifts, so a peer is always timed next to deblai and the ratio is what counts."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

RESULTS = Path(__file__).resolve().parent.parent / "results"


def once(f: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds of one call, and what it returned."""
    start = time.perf_counter()
    result = f()
    return time.perf_counter() - start, result


def settled(f: Callable[[], Any], rough: float) -> float:
    """Seconds of one call of a run of them.

    A call under a second is timed as the last of three: the first pays for what ran before (OpenBLAS threads that still
    spin, sleeping cores), which is nobody's speed.
    """
    if rough < 1:
        once(f)
        once(f)
    return once(f)[0]


def paired(ours: Callable[[], Any], theirs: Callable[[], Any], budget: float = 12.0) -> dict[str, Any]:
    """Run both in turn, A B A B ..., after a warm-up; medians of each and of the ratios pair by pair."""
    rough, value = once(ours)
    peer_rough, peer_value = once(theirs)
    least = 1 if peer_rough > budget / 2 else 3
    times: list[tuple[float, float]] = []
    start = time.perf_counter()
    while len(times) < least or (len(times) < 15 and time.perf_counter() - start < budget):
        times.append((settled(ours, rough), settled(theirs, peer_rough)))
    a, b = np.array(times).T
    return {
        "ours_s": float(np.median(a)),
        "peer_s": float(np.median(b)),
        "ratio": float(np.median(b / a)),
        "ratio_min": float((b / a).min()),
        "ratio_max": float((b / a).max()),
        "pairs": len(times),
        "ours_value": value,
        "peer_value": peer_value,
    }


def machine() -> dict[str, Any]:
    """What the numbers were measured on."""
    import deblai

    commit = os.environ.get("DEBLAI_COMMIT", "")
    if not commit:
        try:
            commit = subprocess.run(
                ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True, cwd=RESULTS
            ).stdout.strip()
        except (OSError, subprocess.CalledProcessError):
            commit = "unknown"
    cpuinfo = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    models = (line.partition(":")[2].strip() for line in cpuinfo if line.startswith("model name"))
    model = next(models, platform.processor())
    return {"commit": commit, "cpu": model, "cores": os.cpu_count(), **deblai.info()}


def save(name: str, rows: list[dict[str, Any]], **more: Any) -> Path:
    """Write rows to bench/results/<name>.json."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps({"machine": machine(), **more, "rows": rows}, indent=1) + "\n")
    return path
