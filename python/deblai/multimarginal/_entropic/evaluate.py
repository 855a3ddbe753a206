"""Solving on checked arrays: sweeps until the final state is right, then values, gradients and plans."""

from __future__ import annotations

from math import inf, nan
from typing import Any, NamedTuple

import numpy as np

from .._problem import Problem
from .._runners import Evaluation, Reference, runner
from . import newton as _newton
from .certify import entropic
from .path import FIRST, NEXT, ROUGH, Path, Watch, ladder

Array = np.ndarray[Any, Any]


class Schedule(NamedTuple):
    """When to stop, and on which way to get there.

    `annealing` is None for a ladder of epsilon that the costs tell; `gap` 0 for none.
    """

    tol: float
    max_iter: int
    memory: int
    method: str = "auto"
    annealing: tuple[float, ...] | None = None
    gap: float = 0.0


class Outcome(NamedTuple):
    """Potentials (float64, one after the other) and what they say.

    `history` has a row a sweep or Newton step: marginal error, dual value, epsilon. `grad` has a list by name, as the
    problem's own lists.
    """

    value: float
    value_linear: float
    mass: float
    marginal_error: float
    converged: bool
    potentials: Array
    history: Array
    grad: dict[str, list[Any]]
    backend: str
    value_lower: float = -inf
    value_upper: float = inf
    exact_rows: int = 0


def solve(
    q: Problem, start: Array, schedule: Schedule, *, wanted: tuple[str, ...] = (), watch: Watch | None = None
) -> Outcome:
    """Go on until the final potentials are right, then evaluate them."""
    newton = schedule.method != "sinkhorn" and _newton.possible(q)
    low, high = -inf, inf
    path = Path(q, start, schedule.memory, schedule.max_iter, watch)
    tol, stalled = schedule.tol if schedule.gap == 0 else min(schedule.tol, ROUGH), False
    try:
        path.descend(ladder(q) if schedule.annealing is None else schedule.annealing, newton)
        while True:
            once = newton and not stalled
            swept = path.sweep(
                (NEXT if len(path.history) and not _newton.dear(q) else FIRST) if once else path.left, tol
            )
            if once and not swept:
                path.newton(tol)
            if len(path.history):
                path.lift()
            e = path.run.evaluate(path.potentials, "points" in wanted, "cost" in wanted)
            # A sweep sees each marginal before the later ones have moved: what counts is the final state.
            met = e.marginal_error <= schedule.tol
            if met and schedule.gap:
                low, high = entropic(q, path.potentials)
                path.gap = high - low
                met = path.gap <= schedule.gap
            if met or path.left <= 0:
                break
            stalled = stalled or not (swept or e.marginal_error <= tol)
            tol *= 0.5 if schedule.gap == 0 else 0.1
    except KeyboardInterrupt:
        history = path.rows(path.run.seen())
        here = len(history) > 0 and history[-1, 2] == q.epsilon
        error, value = map(float, history[-1, :2]) if here else (nan, nan)
        outcome = Outcome(value, nan, nan, error, False, path.potentials, history, {}, path.run.label)
        raise Stopped(outcome) from None
    summary = (e.value, e.value_linear, e.mass, e.marginal_error, bool(met and e.mass == e.mass))
    found = (path.potentials, path.history, _gradients(q, e, path.potentials, wanted))
    return Outcome(*summary, *found, path.run.label, low, high, e.exact_rows)


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
                a = np.ascontiguousarray(q.library.numpy(w), np.float64)
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
        a = np.ones(len(f)) if w is None else np.ascontiguousarray(q.library.numpy(w), np.float64)
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
