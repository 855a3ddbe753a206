"""Graphs of the pairs of marginals that have a cost: what users may write."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations
from typing import Any

import numpy as np

from .. import _core, errors

Edges = list[tuple[int, int]]

NAMES = ("complete", "chain", "ring", "star")


def named(name: str, count: int) -> Edges:
    """Return the edges of a graph with a name."""
    chain = [(p, p + 1) for p in range(count - 1)]
    if name == "ring":
        return chain + ([(0, count - 1)] if count > 2 else [])
    return {"complete": list(combinations(range(count), 2)), "star": [(0, p) for p in range(1, count)]}.get(name, chain)


def edges_of(operation: str, graph: Any, count: int) -> Edges:
    """Return the edges p < q of what a user wrote; raise a designed error for what is no graph on `count` marginals."""
    expected = f"expected one of {', '.join(map(repr, NAMES))} or a list of edges (p, q)"
    if isinstance(graph, str):
        if graph not in NAMES:
            raise errors.InvalidValue(f"[{operation}] graph: {expected}, got {graph!r}")
        return named(graph, count)
    if not isinstance(graph, Iterable):
        raise errors.InvalidType(f"[{operation}] graph: {expected}, got {type(graph).__name__}")
    found: dict[tuple[int, int], None] = {}
    for edge in graph:
        try:
            p, q = (int(k) for k in edge if int(k) == k)
        except (TypeError, ValueError):
            raise errors.InvalidValue(f"[{operation}] graph: {expected}, got {edge!r} among them") from None
        if not (0 <= p < count and 0 <= q < count):
            raise errors.InvalidValue(
                f"[{operation}] graph: expected edges between marginals from 0 to {count - 1}, got ({p}, {q})"
            )
        if p == q:
            raise errors.InvalidValue(
                f"[{operation}] graph: expected edges between different marginals, got ({p}, {q})"
            )
        edge = (min(p, q), max(p, q))
        if edge in found:
            raise errors.InvalidValue(f"[{operation}] graph: expected each edge once, got ({p}, {q}) again")
        found[edge] = None
    return list(found)


def is_complete(edges: Edges, count: int) -> bool:
    """Whether all pairs are there."""
    return len(edges) == count * (count - 1) // 2


def clique_note(sizes: list[int], edges: Edges) -> str:
    """Say which marginals make the sums on a graph large."""
    bags = _core.multimarginal_bags(sizes, edges)
    entries = [float(np.prod([float(sizes[p]) for p in bag])) for bag in bags]
    largest = int(np.argmax(entries))
    return (
        f"; on this graph the marginals {sorted(bags[largest])} come together: each sum runs over their "
        f"{entries[largest]:.1e} tuples"
    )
