"""Integrals of |x - y|^k against a density over half cells, a segment at a time, to rounding."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from ..._extras import require

Array = np.ndarray[Any, Any]
NODES, BLOCK, DEEPEST = 8, 1 << 14, 60
WIDE, SHORTEST = 1.6, 2.0**-47
SMOOTH, ENOUGH = 3e-8, 1e-17  # the rule is exact to twice the degree of the last coefficient, whose square counts


class Segments(NamedTuple):
    """Distances `near` < `far` from `site` on one `side` (-1 or 1), and to which half cell they belong."""

    half: Array
    site: Array
    side: Array
    near: Array
    far: Array

    def take(self, which: Array | slice) -> Segments:
        """Return some of them."""
        return Segments(*(v[which] for v in self))


@lru_cache(maxsize=64)
def _rule(exponent: float) -> tuple[Array, Array, Array]:
    """Return Gauss's rule for t^exponent on (0, 1), and what takes values to their last two coefficients."""
    special = require("scipy.special", "quantization.quantize", "exact")
    at, weight = special.roots_jacobi(NODES, 0.0, exponent)
    last = np.stack([special.eval_jacobi(k, 0.0, exponent, at) for k in (NODES - 2, NODES - 1)])
    size = np.maximum(1.0, np.abs([special.eval_jacobi(k, 0.0, exponent, -1.0) for k in (NODES - 2, NODES - 1)]))
    tail = last * weight * (size / (last**2 @ weight))[:, None]
    return (1 + at) / 2, weight / 2 ** (1 + exponent), tail


def integrate(f: Callable[[Array], Array], segments: Segments, exponent: float, count: int, halves: int) -> Array:
    r"""Return :math:`\int r^{exponent + j} f(y \pm r) dr` for j < count over each half cell, shape (count, halves).

    Where the last coefficients of f on a segment are not small, and the segment counts, it is cut in two.
    """
    total = np.zeros((count, halves))
    integer = float(exponent).is_integer()
    for start in range(0, len(segments.half), BLOCK):
        todo = segments.take(slice(start, start + BLOCK))
        most = 4 * len(todo.half) + 4096  # corners of f need one segment a level each, noise twice as many every time
        depth = 0
        while len(todo.half):
            todo = _round(f, todo, exponent, total, integer, depth == DEEPEST or len(todo.half) > most)
            depth += 1
    return total


def _round(
    f: Callable[[Array], Array], todo: Segments, exponent: float, total: Array, integer: bool, last: bool
) -> Segments:
    """Add the segments that are smooth enough to the total, and return the halves of the others."""
    rest: list[Segments] = []
    touching = todo.near == 0
    for some, weighted in ((todo.take(touching), True), (todo.take(~touching), False)):
        if not len(some.half):
            continue
        at, weight, tail = _rule(exponent if weighted else 0.0)
        width = some.far - some.near
        r = some.near[:, None] + width[:, None] * at
        value = f(some.site[:, None] + some.side[:, None] * r)
        if weighted:
            scaled = value * width[:, None] ** (exponent + 1)
        else:
            scaled = value * width[:, None] * r**exponent if exponent else value * width[:, None]
        parts = np.empty((len(total), len(width)))
        for j in range(len(total)):
            parts[j] = scaled @ weight
            scaled = scaled * r
        rough = np.abs(value @ tail.T).sum(1) / np.maximum(np.abs(value).max(1), 1e-300)
        if not integer and not weighted:  # nor is the power a polynomial
            rough = np.maximum(rough, np.where(some.far > WIDE * some.near, 1e-6, 0.0))
        again = rough > SMOOTH
        counts = np.abs(parts) * np.minimum(rough, 1.0) > ENOUGH * np.maximum(total[:, some.half], 1e-300)
        again &= counts.any(0)
        again &= width > SHORTEST * (np.abs(some.site) + some.far)
        middle = np.where(some.near > 0, np.sqrt(some.near * np.maximum(some.far, 1e-300)), some.far / 2)
        middle = np.where(some.far > 4 * some.near, middle, (some.near + some.far) / 2)
        if last:
            again[:] = False
        for j in range(len(total)):
            total[j] += np.bincount(some.half[~again], parts[j, ~again], minlength=total.shape[1])
        if again.any():
            cut, middle = some.take(again), middle[again]
            rest += [cut._replace(far=middle), cut._replace(near=middle)]
    empty = todo.take(slice(0, 0))
    return Segments(*(np.concatenate(v) for v in zip(*rest, strict=True))) if rest else empty
