"""All tuples of finite cost, listed."""

from __future__ import annotations

from math import comb, prod
from typing import Any

import numpy as np

from ... import errors

Array = np.ndarray[Any, Any]
Costs = dict[tuple[int, int], Array]
BLOCK = 4_000_000  # sums at a time


def listed(operation: str, costs: Costs, sizes: list[int], count: int, most: int) -> tuple[Array, Array]:
    """Return the tuples (k, N) of finite cost and their costs; sorted ones alone where there is one size.

    `costs` has a matrix a pair that costs anything, the one of (0, 1) for all pairs where there is one size. Raises
    OutOfMemory where there are more than `most`, or more beginnings of tuples than that.
    """
    symmetric = len(sizes) == 1
    tuples, total = np.arange(sizes[0], dtype=np.int32)[:, None], np.zeros(sizes[0])
    for p in range(1, count):
        n = sizes[0 if symmetric else p]
        parts, found = [(np.empty((0, p + 1), np.int32), np.empty(0))], 0
        step = max(1, BLOCK // n)
        for begin in range(0, len(tuples), step):
            block = tuples[begin : begin + step]
            held = np.repeat(total[begin : begin + step, None], n, axis=1)
            for r in range(p):
                matrix = costs.get((0, 1) if symmetric else (r, p))
                if matrix is not None:
                    held += matrix[block[:, r]]
            if symmetric:
                held[np.arange(n) < block[:, -1:]] = np.inf
            rows, places = np.nonzero(np.isfinite(held))
            found += len(rows)
            if found > most:
                whole = comb(n + count - 1, count) if symmetric else prod(sizes)
                raise errors.OutOfMemory(
                    f"[{operation}] max_columns: expected at most {most} tuples of finite cost, got more (there are "
                    f"{whole:.3g} tuples in all); raise max_columns"
                    + (", or use multimarginal.genetic" if symmetric else "")
                )
            parts.append((np.column_stack([block[rows], places.astype(np.int32)]), held[rows, places]))
        tuples = np.concatenate([t for t, _ in parts])
        total = np.concatenate([c for _, c in parts])
    return tuples, total
