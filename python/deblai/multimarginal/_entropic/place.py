"""Where the sums of a certificate run: on the device of the arrays, in float64; on the CPU where that cannot be.

Certificates work on the host with what is O(n), on a copy of the problem in float64. Its sums over all tuples run on
another copy, on the device; what they give comes back as NumPy arrays.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import _tuples
from .._problem import Problem
from .._runners import Compiled, Evaluation, Minimum, Reference, runner

FASTER = 64  # nodes of a search on a device in the time of one on the CPU
TILE = 32  # points that the device takes at once
Array = np.ndarray[Any, Any]


class Place:
    """The device of a problem's arrays, or the host."""

    def __init__(self, q: Problem) -> None:
        self.library, self.like = q.library, q.like
        self.away = q.edges is None and q.library.device(q.like).startswith("cuda")
        if self.away:  # JAX has no float64 unless it is asked to
            self.away = self.library.dtype(self.library.device_array(np.zeros(1), self.like)) == "float64"

    def problem(self, h: Problem) -> Problem:
        """Return a problem of the host, in float64, with its arrays here."""
        if not self.away:
            return h

        def move(arrays: list[Any]) -> list[Any]:
            return [None if v is None else self.library.device_array(v, self.like) for v in arrays]

        return h._replace(
            library=self.library, points=move(h.points), weights=move(h.weights), matrices=move(h.matrices)
        )

    def runner(self, h: Problem) -> Compiled | Reference | Away:
        """Return what runs a problem of the host."""
        return Away(h, self.problem(h)) if self.away else runner(h)


class Away:
    """Sums on a device for a problem of the host."""

    def __init__(self, h: Problem, q: Problem) -> None:
        self.h, self.run, self.label = h, runner(q), "cuda"

    def evaluate(self, potentials: Array, grad_points: bool, plans: bool) -> Evaluation:
        """Return what the potentials say."""
        e, numpy = self.run.evaluate(potentials, grad_points, plans), self.run.q.library.numpy
        return e._replace(plans=[numpy(p) for p in e.plans], grad_points=[numpy(g) for g in e.grad_points])

    def minimum(self, potentials: Array, budget: int) -> Minimum:
        """Return bounds of the least reduced cost: of all tuples, or of a search on the CPU where they are too many."""
        n = max(self.h.sizes)
        found = self.run.minimum(potentials, int(FASTER * budget * min(1.0, (n / TILE) ** 3)))
        if found.exact:
            return found
        other = runner(self.h).minimum(potentials, budget)
        return other if other.exact or other.value >= found.value else found


def host(q: Problem) -> tuple[Problem, Place]:
    """Return a problem in float64 on the host, and where its sums run."""
    return _tuples.host(q), Place(q)
