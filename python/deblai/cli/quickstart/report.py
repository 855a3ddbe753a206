"""The table of the quickstart."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np

from ... import _backend

Array = np.ndarray[Any, Any]
T = TypeVar("T")


class Story(NamedTuple):
    """What a story needs to know: where pictures go, the seed, steps of the flow, dots of the stipple."""

    out: Path
    seed: int
    steps: int
    sites: int


class Row(NamedTuple):
    """One line of the table; `bound` is what the error must stay under."""

    what: str
    size: str
    seconds: float
    value: float
    truth: float
    error: float
    bound: float


def row(what: str, size: str, seconds: float, value: Any, truth: float, bound: float) -> Row:
    """Return a row whose error is the distance of value and truth."""
    return Row(what, size, seconds, float(value), float(truth), abs(float(value) - float(truth)), float(bound))


def timed(f: Callable[[], T]) -> tuple[T, float]:
    """Return what f returns, and how long it took."""
    started = time.perf_counter()
    result = f()
    return result, time.perf_counter() - started


def write(rows: list[Row], out: Path) -> None:
    """Print the table for people and write it as JSON."""
    print(f"backend {_backend.plan('quickstart', 'cpu').label}, {_backend.plan('quickstart', 'cpu').threads} threads\n")
    width = max(len(row.what) for row in rows)
    wide = max(len(row.size) for row in rows)
    columns = f"{'seconds':>8}  {'value':>12}  {'truth':>12}  {'error':>8}  {'bound':>8}"
    print(f"{'what':{width}}  {'size':{wide}}  {columns}")
    for row in rows:
        print(
            f"{row.what:{width}}  {row.size:{wide}}  {row.seconds:8.3f}  {row.value:12.8f}  {row.truth:12.8f}  "
            f"{row.error:8.1e}  {row.bound:8.1e}{'' if row.error <= row.bound else '  EXCEEDED'}"
        )
    (out / "quickstart.json").write_text(json.dumps([row._asdict() for row in rows], indent=2) + "\n", "utf-8")
    names = ", ".join(sorted(path.name for path in out.glob("*.png")))
    print(f"\npictures in {out}/: {names}")
