"""Solving on checked arrays: sweeps until the final state is right, then values, gradients and plans."""

from __future__ import annotations

from collections.abc import Callable
from math import nan
from typing import Any, NamedTuple

import numpy as np

from ._problem import Problem
from ._runners import Evaluation, Reference, runner

CHUNK = 100_000  # sweeps of one call of the kernel, which its arrays of errors are sized for
Array = np.ndarray[Any, Any]


class Schedule(NamedTuple):
    """When to stop, and how many past sweeps the acceleration looks at."""

    tol: float
    max_iter: int
    memory: int


class Outcome(NamedTuple):
    """Potentials (float64, one after the other) and what they say.

    `history` has a row a sweep: marginal error, dual value. `grad` has a list by name, as the problem's own lists.
    """

    value: float
    value_linear: float
    mass: float
    marginal_error: float
    potentials: Array
    history: Array
    grad: dict[str, list[Any]]
    backend: str
    exact_rows: int = 0


Watch = Callable[[Array, Array], bool]  # potentials and history so far; True stops


def solve(
    q: Problem, start: Array, schedule: Schedule, *, wanted: tuple[str, ...] = (), watch: Watch | None = None
) -> Outcome:
    """Sweep until the marginal error of the final potentials is at most tol, then evaluate them."""
    run = runner(q, min(schedule.memory, schedule.max_iter))
    potentials = np.array(start, np.float64)
    history = np.empty((0, 2))
    tol, stopped, converged = schedule.tol, False, True
    try:
        while True:
            left = schedule.max_iter - len(history)
            while left > 0 and not stopped:
                before, count = history, min(left, CHUNK)

                def report(seen: Array, before: Array = before) -> bool:
                    nonlocal stopped
                    stopped = watch is not None and watch(potentials, np.concatenate([before, seen]))
                    return stopped

                done, converged = run.sweeps(potentials, count, tol, schedule.memory, report if watch else None)
                history = np.concatenate([before, done])
                left = schedule.max_iter - len(history)
                if converged:
                    break
            e = run.evaluate(potentials, "points" in wanted, "cost" in wanted)
            # A sweep sees each marginal before the later ones have moved: what counts is the final state.
            if e.marginal_error <= schedule.tol or left <= 0 or stopped:
                break
            tol *= 0.5
    except KeyboardInterrupt:
        history = np.concatenate([history, run.seen()])
        error, value = map(float, history[-1]) if len(history) else (nan, nan)
        raise Stopped(Outcome(value, nan, nan, error, potentials, history, {}, run.label)) from None
    summary = (e.value, e.value_linear, e.mass, e.marginal_error)
    return Outcome(*summary, potentials, history, _gradients(q, e, potentials, wanted), run.label, e.exact_rows)


def _gradients(q: Problem, e: Evaluation, potentials: Array, wanted: tuple[str, ...]) -> dict[str, list[Any]]:
    """Gradients of the value at fixed potentials, which are those of the minimum (Danskin)."""
    gradients: dict[str, list[Any]] = {}
    count = q.n_marginals if q.symmetric else 1
    if "points" in wanted:
        gradients["points"] = e.grad_points
    if "weights" in wanted:
        parts = np.split(potentials, np.cumsum(q.sizes)[:-1])
        gradients["weights"] = [None] * len(parts)
        for p, (w, f) in enumerate(zip(q.weights, parts, strict=True)):
            if w is not None:
                a = np.asarray(q.library.numpy(w), np.float64)
                centred = (f - float(a @ f) / a.sum()) * (count / a.sum())
                gradients["weights"][p] = q.library.export(centred, q.like)
    if "cost" in wanted:
        plans = e.plans
        if q.shared and not q.symmetric:
            plans = [sum(plans[1:], plans[0])]
        gradients["cost"] = [plan * (count * (count - 1) / 2) for plan in plans] if q.symmetric else plans
    return gradients


def potentials_of(q: Problem, flat: Array) -> list[Array]:
    """Return potentials one a distinct marginal, of equal means where constants can move between them."""
    parts = np.split(flat, np.cumsum(q.sizes)[:-1])
    if q.symmetric:
        return parts
    means = []
    for w, f in zip(q.weights, parts, strict=True):
        a = np.ones(len(f)) if w is None else np.asarray(q.library.numpy(w), np.float64)
        means.append(float(a @ f) / float(a.sum()))
    return [f - (mean - sum(means) / len(means)) for f, mean in zip(parts, means, strict=True)]


def pair_plan(q: Problem, potentials: Array, pair: tuple[int, int]) -> Any:
    """Return the plan of one pair p < q."""
    if q.edges is not None:
        return runner(q).pair(potentials, pair)
    return runner(q).evaluate(potentials, False, True, (0, 1) if q.symmetric else pair).plans[0]


def whole_plan(q: Problem, potentials: Array) -> Any:
    """Return the plan, one axis a marginal, by the reference."""
    run = Reference(q)
    return q.library.export(run.module.plan(run.costs, run.weights, q.epsilon, run.split(potentials)), q.like)


class Stopped(Exception):
    """Ctrl-C, with what there is so far."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__()
        self.outcome = outcome
