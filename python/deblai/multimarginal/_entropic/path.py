"""The way to the minimum: down a ladder of epsilon, by accelerated sweeps and Newton's steps on one set of potentials.

Sweeps alone need thousands where epsilon is small; a few of each from the rung above, moved along the line through the
last two rungs, are enough.
"""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import Any, NamedTuple

import numpy as np

from .._problem import Problem
from .._runners import Evaluation, runner
from .._tuples import spread
from . import newton as _newton

CHUNK = 100_000  # sweeps of one call of the kernel, which its arrays of errors are sized for
FIRST, NEXT = 50, 20  # sweeps before Newton's steps, from a cold and from a warm start
ROUGH, FAIR, FINE = 1e-2, 1e-3, 1e-5  # marginal error of a rung by sweeps, where steps are dear, and by steps
STEPS = 200  # of Newton's on one rung
LIGHT = 1e-9  # mass of a point over the mean one, below which it moves nothing
RATIO = 2.0  # of one rung's epsilon to the next one's
LARGE = 0.1  # epsilon over the spread of the cost, from which a cold start is near enough
EVERY = 0.09  # seconds between two reports
Array = np.ndarray[Any, Any]


class Seen(NamedTuple):
    """What a watch gets: potentials, history so far, the rung's epsilon and the certified gap (NaN: not known)."""

    potentials: Array
    history: Array
    epsilon: float
    gap: float


Watch = Callable[[Seen], bool]  # True stops


def ladder(q: Problem) -> tuple[float, ...]:
    """Return decreasing values above a problem's epsilon, none where it is large beside the spread of the cost."""
    top, rungs = LARGE * spread(q), []
    if q.epsilon < top:
        step = q.epsilon
        while step < 2 * top:
            step *= RATIO
            rungs.append(step)
    return tuple(rungs[::-1])


class Path:
    """Potentials (float64, one after the other) on their way; `history` has rows of error, dual value, epsilon."""

    def __init__(self, q: Problem, start: Array, memory: int, max_iter: int, watch: Watch | None) -> None:
        self.potentials = np.array(start, np.float64)
        self.history, self.gap = np.empty((0, 3)), float("nan")
        self.memory, self.max_iter, self.watch = min(memory, max_iter), max_iter, watch
        self.stopped, self.reported = False, monotonic()
        self.at(q)

    @property
    def left(self) -> int:
        """How many more sweeps or steps may be done."""
        return 0 if self.stopped else self.max_iter - len(self.history)

    def at(self, q: Problem) -> None:
        """Go on with this problem."""
        self.q, self.run = q, runner(q, self.memory)

    def rows(self, seen: Array) -> Array:
        """Return the history with more errors and values."""
        new = np.column_stack([seen, np.full(len(seen), self.q.epsilon)])
        return np.concatenate([self.history, new])

    def tell(self, history: Array) -> bool:
        """Show the watch where this is, now and then; return whether it has stopped the run."""
        if self.watch and not self.stopped and monotonic() >= self.reported + EVERY:
            self.reported = monotonic()
            self.stopped = self.watch(Seen(self.potentials, history, self.q.epsilon, self.gap))
        return self.stopped

    def sweep(self, count: int, tol: float) -> bool:
        """Sweep at most so often; return whether the last one's error was at most tol."""
        count, converged = min(count, self.left), False

        def report(seen: Array) -> bool:
            return self.tell(self.rows(seen))

        while count > 0 and not (converged or self.stopped):
            batch = min(count, CHUNK)
            done, converged = self.run.sweeps(self.potentials, batch, tol, self.memory, report if self.watch else None)
            self.history = self.rows(done)
            count -= batch
            self.tell(self.history)
        return converged

    def newton(self, tol: float, spare: int = 0) -> None:
        """Take Newton's steps until the marginal error is at most tol, or they no longer help."""

        def seen(_: Array, e: Evaluation) -> bool:
            self.history = self.rows(np.array([[e.marginal_error, e.value]]))
            return self.tell(self.history)

        _newton.ascend(self.q, self.run, self.potentials, tol, min(STEPS, self.left - spare), seen)

    def lift(self) -> None:
        """Give points of hardly any weight, whose potentials move nothing, those of a plain sweep: f = T(f).

        Newton's steps leave them alone, and the sweeps of symmetric mode are only on their way there.
        """
        masses = _newton.masses(self.q)
        light = masses < LIGHT / len(masses)
        if not light.any():
            return
        count = self.q.n_marginals if self.q.symmetric else 1
        swept = (
            self.potentials.copy()
        )  # in symmetric mode a sweep moves by (T(f) - f) / N, and the last one is measured
        self.run.sweeps(swept, 2 if self.q.symmetric else 1, -1.0, 0, None)
        self.potentials[light] += count * (swept - self.potentials)[light]

    def descend(self, rungs: tuple[float, ...], newton: bool) -> None:
        """Warm the potentials up on a ladder of epsilon above the problem's, and come back to the problem."""
        target, dear = self.q, newton and _newton.dear(self.q)
        past: list[tuple[float, Array]] = []
        for epsilon in rungs:
            if self.left <= FIRST:  # the rest is for the problem itself
                break
            self.extrapolate(past, epsilon)
            self.at(target._replace(epsilon=epsilon))
            swept = self.sweep(min(NEXT if past else FIRST, self.left - NEXT), FAIR if dear else ROUGH)
            if newton and not (dear and swept):
                self.newton(FINE, spare=NEXT)
            past = [*past[-1:], (epsilon, self.potentials.copy())]
        if not self.stopped:
            self.extrapolate(past, target.epsilon)
        self.at(target)
        if self.stopped:  # potentials of another epsilon may say anything of this one
            self.stopped = False
            self.sweep(3, 0.0)
            self.stopped = True

    def extrapolate(self, past: list[tuple[float, Array]], epsilon: float) -> None:
        """Move along the line through the last two rungs: potentials are nearly linear in a small epsilon."""
        if len(past) == 2:
            (before, old), (here, now) = past
            self.potentials[:] = now + (epsilon - here) / (before - here) * (old - now)
