"""Sweeps and evaluations of the multi-marginal kernel: the compiled one, CPU or CUDA, and the reference."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import inf, nan
from typing import Any, NamedTuple

import numpy as np

from .. import _backend, _core, _dlpack, costs, errors
from .._array import view_of
from . import _tuples
from ._graph import clique_note
from ._problem import Problem

OPERATION = "multimarginal.sinkhorn"
Array = np.ndarray[Any, Any]
Report = Callable[[Array], bool]  # history of one call of the kernel; True stops


class Evaluation(NamedTuple):
    """What the kernels say of potentials: see `Outcome`."""

    value: float
    value_linear: float
    mass: float
    marginal_error: float
    marginals: Array
    grad_points: list[Any]
    plans: list[Any]
    exact_rows: int = 0


class Minimum(NamedTuple):
    """A lower bound of min (c - sum_p f_p), what was attained and where, whether both are equal, nodes searched."""

    value: float
    best: float
    exact: bool
    nodes: int
    at: list[int]


def runner(q: Problem, memory: int = 0) -> Compiled | Reference:
    """Return what runs a problem where its arrays are."""
    plan = _backend.plan(OPERATION, q.library.device(q.like))
    return Reference(q) if plan.backend == "reference" else Compiled(q, plan, memory)


class Compiled:
    """The C++ kernels, CPU or CUDA."""

    def __init__(self, q: Problem, plan: _backend.Plan, memory: int) -> None:
        self.q, self.plan, self.label = q, plan, plan.label
        named = [("points", v) for v in q.points] + [("weights", v) for v in q.weights]
        named += [("cost", v) for v in q.matrices]
        views = [view_of(OPERATION, name, q.library, v) for name, v in named]
        n = len(q.sizes)
        given = views[2 * n :] * (len(q.pairs) if q.shared else 1)
        kind = costs.KINDS.index(q.cost.kind)
        self.arguments = (
            *(views[:n], views[n : 2 * n], given, q.sizes, q.n_marginals),
            *(kind, q.cost.s, q.cost.strength, q.epsilon, q.edges),
        )
        if self.plan.backend == "cuda":
            self.core = _backend.cuda_module()
            self.where: tuple[Any, ...] = (
                q.library.stream(q.like),
                int(q.library.device(q.like).partition(":")[2] or 0),
            )
        else:
            self.core = _core
            self.where = (self.plan.threads, self.plan.simd)
            wanted = _core.multimarginal_workspace(*self.arguments, self.plan.threads, memory)
            self.require(wanted)
        self.errors = self.values = np.empty(0)

    def require(self, wanted: int) -> None:
        """Raise before a run whose workspace would not fit."""
        with self.explained():
            _backend.require_memory(OPERATION, wanted)

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Say of a graph that does not fit in memory what makes it so."""
        try:
            yield
        except errors.OutOfMemory as error:
            if self.q.edges is None:
                raise
            raise errors.OutOfMemory(f"{error}{clique_note(self.q.sizes, self.q.edges)}") from None

    def pair(self, potentials: Array, pair: tuple[int, int]) -> Any:
        """Return the plan of any pair p < q of a graph, an edge or not."""
        library, (p, r) = self.q.library, pair
        if self.core is _core:
            self.require(_core.multimarginal_pair_workspace(*self.arguments, p, r, self.plan.threads))
        plan = library.empty((self.q.sizes[p], self.q.sizes[r]), library.dtype(self.q.like), self.q.like)
        with self.explained():
            self.core.multimarginal_pair(
                *self.arguments, _dlpack.view(potentials, True), p, r, library.view(plan, True), *self.where
            )
        return library.finish(plan, self.q.like)

    def sweeps(
        self, potentials: Array, count: int, tol: float, memory: int, report: Report | None
    ) -> tuple[Array, bool]:
        """Sweep in place; return errors and values, and whether the last error was at most tol."""
        self.errors, self.values = np.full(count, nan), np.full(count, nan)
        view = _dlpack.view
        with self.explained():
            done, converged = self.core.multimarginal(
                *self.arguments,
                *(tol, count, memory, report and (lambda sweeps: report(self.seen()))),
                *(view(potentials, True), view(self.errors, True), view(self.values, True)),
                *self.where,
            )
        history = np.stack([self.errors[:done], self.values[:done]], axis=1)
        self.errors = self.values = np.empty(0)
        return history, converged

    def seen(self) -> Array:
        """Return what the sweeps of a call have written so far."""
        done = len(self.errors) - int(np.isnan(self.errors).sum())
        return np.stack([self.errors[:done], self.values[:done]], axis=1)

    def evaluate(
        self, potentials: Array, grad_points: bool, plans: bool, only: tuple[int, int] | None = None
    ) -> Evaluation:
        """Return what the potentials say; `only` one plan, everything else void."""
        q, library = self.q, self.q.library
        gradients = [library.zeros(x) for x in q.points] if grad_points else []
        at = (lambda k: q.sizes[0]) if q.symmetric else q.sizes.__getitem__
        wanted = [pair if plans and only in (None, pair) else None for pair in q.pairs]
        dtype = library.dtype(q.like)
        made = [pair and library.empty((at(pair[0]), at(pair[1])), dtype, q.like) for pair in wanted]
        with self.explained():
            value, linear, mass, error, marginals, exact_rows = self.core.multimarginal_evaluate(
                *self.arguments,
                _dlpack.view(potentials, True),
                [None if p is None else library.view(p, True) for p in made] if plans else [],
                [library.view(g, True) for g in gradients],
                only is not None,
                *self.where,
            )
        gradients, plans_made = (
            [library.finish(v, q.like) for v in arrays if v is not None] for arrays in (gradients, made)
        )
        return Evaluation(value, linear, mass, error, np.array(marginals), gradients, plans_made, exact_rows)

    def minimum(self, potentials: Array, budget: int) -> Minimum:
        """Return bounds of the least reduced cost, within so many nodes of its search."""
        given = (*self.arguments, _dlpack.view(potentials, True))
        with self.explained():
            if self.core is _core:
                return Minimum(*self.core.multimarginal_minimum(*given, budget, inf, False, *self.where)[:5])
            if self.q.edges is not None:
                return Minimum(*self.core.multimarginal_graph_minimum(*given, *self.where))
            return Minimum(*self.core.multimarginal_minimum(*given, budget, *self.where))


class Reference:
    """Plain NumPy on the whole tensor."""

    label = "reference"

    def __init__(self, q: Problem) -> None:
        from ..reference import multimarginal

        self.q, self.module = q, multimarginal
        count = q.n_marginals
        terms = float(np.prod([float(q.sizes[0 if q.symmetric else p]) for p in range(count)]))
        _backend.require_memory(OPERATION, int(min(32 * terms, 2**62)))

        h = _tuples.host(q)
        _tuples.check(OPERATION, h._replace(tied=False))  # named as the kernels do
        self.points = h.points
        self.weights = _tuples.masses(h) * (count if q.symmetric else 1)
        self.costs = {pair: _tuples.block(h, pair) for pair in _tuples.every_pair(q)}

    def pair(self, potentials: Array, pair: tuple[int, int]) -> Any:
        """Return the plan of any pair."""
        plan = self.module.plan(self.costs, self.weights, self.q.epsilon, self.split(potentials))
        found = plan.sum(axis=tuple(k for k in range(self.q.n_marginals) if k not in pair))
        return self.q.library.export(found, self.q.like)

    def minimum(self, potentials: Array, budget: int) -> Minimum:
        """Return the least reduced cost, of all tuples whatever the budget."""
        masses = [a > 0 for a in self.weights]
        value, at = self.module.minimum(self.costs, masses, self.split(potentials))
        return Minimum(value, value, True, 1, at)

    def split(self, potentials: Array) -> list[Array]:
        """Return one potential a marginal."""
        parts = np.split(potentials, np.cumsum(self.q.sizes)[:-1])
        return parts * self.q.n_marginals if self.q.symmetric else parts

    def sweeps(
        self, potentials: Array, count: int, tol: float, memory: int, report: Report | None
    ) -> tuple[Array, bool]:
        """Sweep in place, without acceleration."""
        q = self.q
        f, seen = self.module.sinkhorn(
            self.costs, self.weights, q.epsilon, tol, count, q.symmetric, self.split(potentials)
        )
        potentials[:] = f[0] if q.symmetric else np.concatenate(f)
        history = np.stack([seen, np.full(len(seen), nan)], axis=1)
        if report:
            report(history)
        return history, seen[-1] <= tol

    def seen(self) -> Array:
        """Return nothing: NumPy keeps no half-done sweeps."""
        return np.empty((0, 2))

    def evaluate(
        self, potentials: Array, grad_points: bool, plans: bool, only: tuple[int, int] | None = None
    ) -> Evaluation:
        """Return what the potentials say."""
        q, export = self.q, self.q.library.export
        found = self.module.evaluate(self.costs, self.weights, q.epsilon, self.split(potentials))
        error = max(float(np.abs(m - a).sum()) for m, a in zip(found.marginals, self.weights, strict=True))
        at = [0] * q.n_marginals if q.symmetric else list(range(q.n_marginals))
        gradients = [np.zeros_like(x) for x in self.points] if grad_points else []
        for (a, b), plan in found.pairs.items() if grad_points else ():
            for me, other, mine in ((a, b, plan), (b, a, plan.T)):
                x, y = self.points[at[me]], self.points[at[other]]
                slope = mine * self.module.pair_slope(x, y, q.cost.kind, q.cost.s, q.cost.strength)
                gradients[at[me]] += slope.sum(1)[:, None] * x - slope @ y
        chosen = [only] if only else q.pairs if plans else []
        return Evaluation(
            *(found.value, found.value_linear, found.mass, error),
            found.marginals[0] if q.symmetric else np.concatenate(found.marginals),
            [export(g, q.like) for g in gradients],
            [export(found.pairs[pair], q.like) for pair in chosen],
        )
