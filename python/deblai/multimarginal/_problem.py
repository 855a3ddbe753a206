"""Arguments of the multi-marginal solvers, checked and brought into one form."""

from __future__ import annotations

import math
from itertools import combinations
from typing import Any, NamedTuple

from .. import _validate, costs, errors
from .._array import NUMPY, TORCH, Library, gather, library_of
from ._graph import Edges, edges_of, is_complete


class Problem(NamedTuple):
    """Checked arguments; lists hold one entry a distinct marginal, which is one in symmetric mode.

    `points` is [None, ...] where `matrices` are given: one a pair, in the order of `pairs`, None otherwise. `shared`
    says that one given matrix stands for all pairs. `edges` are the pairs that have a cost, None for all; `tied` says
    that one argument was given for marginals that are listed one by one, as a graph wants them.
    """

    library: Library
    points: list[Any]
    weights: list[Any]
    matrices: list[Any]
    sizes: list[int]
    n_marginals: int
    cost: costs.PairCost
    epsilon: float
    shared: bool
    edges: Edges | None = None
    tied: bool = False

    @property
    def symmetric(self) -> bool:
        """Whether all marginals are the same."""
        return len(self.sizes) == 1

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """Pairs of marginals in the kernels' order; (0, 1) stands for all in symmetric mode."""
        if self.edges is not None:
            return self.edges
        return [(0, 1)] if self.symmetric else list(combinations(range(self.n_marginals), 2))

    @property
    def like(self) -> Any:
        """An array whose library, dtype and device all share."""
        return next(a for a in (*self.matrices, *self.points) if a is not None)


def _is_list(x: Any) -> bool:
    return isinstance(x, list | tuple)


def _marginals(operation: str, points: Any, weights: Any, cost: Any, n_marginals: int | None) -> tuple[int, bool]:
    """Return the number of marginals and whether they are all equal."""
    if _is_list(points) and (n_marginals is None or all(hasattr(v, "shape") for v in points)):
        found, argument = len(points), "points"
    elif points is None and _is_list(weights) and (n_marginals is None or all(hasattr(v, "shape") for v in weights)):
        found, argument = len(weights), "weights"
    elif points is None and isinstance(cost, dict) and cost:
        keys = [k for k in cost if _is_list(k) and len(k) == 2 and all(type(i) is int for i in k)]
        found, argument = max((max(k) for k in keys), default=0) + 1, "cost"
        found = max(found, n_marginals or 0)
    else:
        if n_marginals is None:
            raise errors.InvalidValue(
                f"[{operation}] n_marginals: expected the number of equal marginals, or a list of arrays as "
                f"{'weights' if points is None else 'points'}, got None"
            )
        return n_marginals, True
    if n_marginals is not None and found != n_marginals:
        raise errors.InvalidValue(f"[{operation}] {argument}: expected {n_marginals} marginals, got {found}")
    if found < 2:
        raise errors.InvalidValue(f"[{operation}] {argument}: expected at least 2 marginals, got {found}")
    return found, False


def _matrices(
    operation: str, cost: Any, count: int, symmetric: bool, edges: Edges | None
) -> tuple[dict[str, Any], bool, Edges | None]:
    """Return given matrices by their name in errors, one a pair, whether one stands for all, and the edges.

    Where no graph is given, the keys of a dict are one.
    """
    if not isinstance(cost, dict):
        return {"cost": cost}, True, edges
    if edges is None and not symmetric:
        keys = [k for k in cost if _is_list(k) and len(k) == 2 and all(type(i) is int for i in k)]
        edges = [(p, q) for p, q in keys if 0 <= p < q < count]
        wanted = f"a matrix for each of some pairs (p, q) with p < q < {count}"
    else:
        wanted = f"a matrix for each edge of the graph, {edges}"
    if symmetric or not edges or set(cost) != set(edges):
        expected = "one symmetric matrix for equal marginals" if symmetric else wanted
        raise errors.InvalidValue(f"[{operation}] cost: expected {expected}, got the keys {sorted(map(str, cost))}")
    if is_complete(edges, count):
        edges = list(combinations(range(count), 2))
    return {f"cost[{p}, {q}]": cost[p, q] for p, q in edges}, False, edges


def _sizes(operation: str, matrices: list[Any], edges: Edges, weights: list[Any], count: int) -> list[int]:
    """Return how many points each marginal has: what its first matrix, or else its weights, say."""
    known: dict[int, int] = {}
    for (p, q), c in zip(edges, matrices, strict=True):
        known.setdefault(p, int(c.shape[0]))
        known.setdefault(q, int(c.shape[1]))
    sizes = []
    for p in range(count):
        if p not in known and weights[p] is None:
            raise errors.InvalidValue(
                f"[{operation}] weights[{p}]: expected weights, since marginal {p} is in no pair, got None"
            )
        sizes.append(known[p] if p in known else int(weights[p].shape[0]))
    return sizes


def _require_squares(operation: str, name: str, library: Library, x: Any) -> None:
    """Raise where squared distances would overflow: infinite costs forbid pairs."""
    if library.device(x) != "cpu" or library not in (NUMPY, TORCH):
        return
    largest = (1e18 if library.dtype(x) == "float32" else 1e153) / math.sqrt(x.shape[1])
    most = float(abs(library.numpy(x)).max())
    if largest < most < math.inf:
        raise errors.InvalidValue(
            f"[{operation}] {name}: expected coordinates up to {largest:.1e}, whose squares are finite, got {most:g}"
        )


def problem(
    operation: str, points: Any, weights: Any, n_marginals: Any, cost: Any, epsilon: Any, graph: Any = None
) -> Problem:
    """Check shapes, libraries, dtypes and devices; raise a designed error for what does not fit."""
    if n_marginals is not None:
        n_marginals = _validate.positive_integer(operation, "n_marginals", n_marginals)
        if n_marginals < 2:
            raise errors.InvalidValue(f"[{operation}] n_marginals: expected at least 2, got {n_marginals}")
    epsilon = _validate.real(operation, "epsilon", epsilon)
    if not epsilon > 0:
        raise errors.InvalidValue(f"[{operation}] epsilon: expected a positive number, got {epsilon!r}")
    count, symmetric = _marginals(operation, points, weights, cost, n_marginals)
    distinct = 1 if symmetric else count
    edges = None if graph is None else edges_of(operation, graph, count)

    def several(name: str, given: Any) -> dict[str, Any]:
        if symmetric:
            return {name: given}
        if given is None:
            given = [None] * count
        if not _is_list(given) or len(given) != count:
            got = f"{len(given)}" if _is_list(given) else type(given).__name__
            raise errors.InvalidValue(f"[{operation}] {name}: expected a list of {count}, one a marginal, got {got}")
        return {f"{name}[{p}]": v for p, v in enumerate(given)}

    named = several("points", points) | several("weights", weights)
    by_points = points is not None
    matrices: dict[str, Any] = {}
    shared = False
    if by_points:
        if isinstance(cost, dict) or hasattr(cost, "shape"):
            matrices_given = "a dict" if isinstance(cost, dict) else f"an array of shape {tuple(cost.shape)}"
            raise errors.InvalidType(
                f"[{operation}] cost: expected a name or a cost of deblai.costs beside points, got {matrices_given}; "
                "matrices stand alone (points=None)"
            )
        pair_cost = costs.named(operation, cost)
    else:
        if isinstance(cost, str | costs.PairCost):
            raise errors.InvalidValue(f"[{operation}] points: expected points for the cost {cost!r}, got None")
        pair_cost = costs.Coulomb()
        matrices, shared, edges = _matrices(operation, cost, count, symmetric, edges)
    if edges is not None and is_complete(edges, count):
        edges = None
    pairs = list(combinations(range(count), 2)) if edges is None else edges
    if not pairs and shared:
        raise errors.InvalidValue(
            f"[{operation}] graph: expected at least one edge for a cost given as a matrix, got none"
        )
    library, arrays = gather(operation, named | matrices, traces=True)
    pts, wts, mats = arrays[:distinct], arrays[distinct : 2 * distinct], arrays[2 * distinct :]
    if by_points:
        for p, x in enumerate(pts):
            name = "points" if symmetric else f"points[{p}]"
            pts[p] = _validate.points(operation, name, x, pts[0] if p else None, "points[0]")
            _require_squares(operation, name, library, pts[p])
        sizes = [int(x.shape[0]) for x in pts]
    else:
        matrices = dict(zip(matrices, mats, strict=True))
        for name, c in matrices.items():
            if c is None or c.ndim != 2 or 0 in c.shape:
                got = None if c is None else tuple(c.shape)
                raise errors.InvalidValue(f"[{operation}] {name}: expected a matrix (n, m), got {got}")
        first = int(mats[0].shape[0])
        sizes = [first] * distinct if shared else _sizes(operation, mats, pairs, wts, count)
        for (name, c), (p, q) in zip(matrices.items(), pairs, strict=False):
            want = (first, first) if shared else (sizes[p], sizes[q])
            if tuple(c.shape) != want:
                raise errors.InvalidValue(f"[{operation}] {name}: expected shape {want}, got {tuple(c.shape)}")
    largest = 1e30 if library.dtype(pts[0] if by_points else mats[0]) == "float32" else 1e250
    if not 1 / largest <= epsilon <= largest:
        raise errors.InvalidValue(
            f"[{operation}] epsilon: expected a number from {1 / largest:g} to {largest:g}, by which costs of this "
            f"dtype can be divided, got {epsilon!r}"
        )
    like_name = "points" if by_points else "cost"
    for p, w in enumerate(wts):
        name = "weights" if symmetric else f"weights[{p}]"
        if w is not None and tuple(w.shape) != (sizes[p],):
            match = like_name if symmetric or not by_points else f"{like_name}[{p}]"
            raise errors.InvalidValue(
                f"[{operation}] {name}: expected {sizes[p]} values to match {match}, got shape {tuple(w.shape)}"
            )
    tied = symmetric and edges is not None
    if tied:
        pts, wts, sizes = pts * count, wts * count, sizes * count
    return Problem(library, pts, wts, mats, sizes, count, pair_cost, epsilon, shared, edges, tied)


def detached(v: Any) -> Any:
    """Return an argument whose arrays carry no graph."""
    if isinstance(v, list | tuple):
        return [detached(x) for x in v]
    if isinstance(v, dict):
        return {key: detached(c) for key, c in v.items()}
    return v.detach() if library_of(v) is TORCH else v


def parts_of(v: Any) -> list[tuple[str, Any]]:
    """Return the arrays of an argument, each with its place for messages."""
    if isinstance(v, dict):
        return [(f"[{key}]", c) for key, c in v.items()]
    return [(f"[{k}]", x) for k, x in enumerate(v)] if isinstance(v, list | tuple) else [("", v)]


def is_batch(points: Any, weights: Any, cost: Any) -> bool:
    """Return whether any argument has a leading axis of problems."""
    return any(
        getattr(x, "ndim", 0) == rank for v, rank in ((points, 3), (weights, 2), (cost, 3)) for _, x in parts_of(v)
    )
