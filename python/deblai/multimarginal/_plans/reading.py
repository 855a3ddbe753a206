"""Reading a plan without building it: marginals of several, samples, expectations, conditional laws."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations_with_replacement, permutations, product
from math import nan, prod
from typing import Any

import numpy as np

from ... import _backend, _rng, _validate, errors
from ..._array import NUMPY, library_of
from ...results import Expectation
from .._entropic.evaluate import Array, pair_plan, whole_plan
from .._problem import Problem
from .given import Host, given, pair_given
from .graph import sample_graph

CHUNK = 1 << 18  # tuples that a function is given at once


class Reading:
    """What a result can be asked, from arguments as they were at the call."""

    def __init__(self, q: Problem, potentials: Array) -> None:
        self.q, self.potentials = q, potentials

    def pair(self, p: int, r: int) -> Any:
        """Return the plan of the pair (p, r)."""
        self._indices("multimarginal.pair_marginal", (p, r), ("p", "q"))
        plan = pair_plan(self.q, self.potentials, (min(p, r), max(p, r)))
        return plan if p < r else plan.T

    def whole(self) -> Any:
        """Return the plan with one axis a marginal."""
        return whole_plan(self.q, self.potentials)

    def marginal(self, *indices: int) -> Any:
        """Return the plan's marginal of some of its particles, one axis each."""
        operation = "multimarginal.marginal"
        if not indices:
            raise errors.InvalidValue(f"[{operation}] indices: expected one marginal or more, got none")
        self._indices(operation, indices)
        export, like = self.q.library.export, self.q.like
        if len(indices) == 1:
            return export(self._pair(indices[0], int(indices[0] == 0)).sum(1), like)
        if len(indices) == 2:
            return self.pair(*indices)
        return export(self._marginal(operation, indices), like)

    def conditional(self, p: int, r: int) -> Any:
        """Return the laws of x_r given x_p, one a row; NaN where x_p has no mass."""
        return self.q.library.export(self._conditional("multimarginal.conditional", p, r), self.q.like)

    def conditional_map(self, p: int, r: int) -> Any:
        """Return the means of x_r given x_p."""
        operation = "multimarginal.conditional_map"
        if self.q.points[0] is None:
            raise errors.InvalidValue(f"[{operation}] points: expected a problem given by points, got one by matrices")
        means = self._conditional(operation, p, r) @ self._host_points(r)
        return self.q.library.export(means[:, 0] if means.shape[1] == 1 else means, self.q.like)

    def sample(self, k: int, rng: Any) -> Any:
        """Return k independent tuples of indices, shape (k, N)."""
        return self.q.library.device_array(self._sample("multimarginal.sample", k, rng), self.q.like)

    def mass_at(self, tuples: Any) -> Array:
        """Return the plan's mass at tuples of indices."""
        return np.exp(Host(self.q, self.potentials).log_mass(self.check_tuples("multimarginal.mass_at", tuples)))

    def expectation(self, f: Callable[..., Any], indices: Sequence[int], samples: int | None, rng: Any) -> Expectation:
        """Return the mean of a function of some particles, exact or by samples."""
        operation = "multimarginal.expectation"
        if not callable(f):
            raise errors.InvalidType(f"[{operation}] f: expected a function of arrays, got {type(f).__name__}")
        indices = tuple(indices) or tuple(range(self.q.n_marginals))
        self._indices(operation, indices)
        if samples is None:
            mean = self._exact(operation, f, indices)
            return Expectation(mean, 0.0 * mean)
        tuples = self._sample(operation, _validate.positive_integer(operation, "samples", samples), rng)
        values = np.concatenate(
            [
                self._call(operation, f, indices, tuples[begin : begin + CHUNK, indices])
                for begin in range(0, len(tuples), CHUNK)
            ]
        )
        with np.errstate(invalid="ignore", divide="ignore"):
            spread = values.std(0, ddof=1) if len(values) > 1 else np.full(values.shape[1:], np.nan)
        return Expectation(_plain(values.mean(0)), _plain(spread / np.sqrt(len(values))))

    def shannon_entropy(self, relative: float) -> float:
        """Return -sum plan log plan, from its entropy relative to the product of the marginals."""
        q = self.q
        own = [-float((a[a > 0] * np.log(a[a > 0])).sum()) for a in Host(q, self.potentials).weights]
        return (own[0] * q.n_marginals if q.symmetric else sum(own)) - relative

    def spread(self) -> float:
        """Return the mean variance of x_1 given x_0, 0 of a map; nan where there are no points."""
        if self.q.points[0] is None:
            return nan
        plan, y = self._pair(0, 1), self._host_points(1)
        y = y - y.mean(0)
        mass, means = plan.sum(1), plan @ y
        there = mass > 0
        inside = (plan.sum(0) @ y**2).sum() - ((means[there] ** 2).sum(1) / mass[there]).sum()
        return max(0.0, float(inside / mass.sum()))

    def slope_bound(self) -> float:
        """Return half of the sum of the dimensions of all marginals but the largest; nan where there are no points."""
        x = self.q.points[0]
        return nan if x is None else (self.q.n_marginals - 1) * x.shape[1] / 2

    # --- inside -------------------------------------------------------------------------------------------------------

    def _indices(self, operation: str, indices: Sequence[Any], names: Sequence[str] = ()) -> None:
        count = self.q.n_marginals
        for name, k in zip(names or ["indices"] * len(indices), indices, strict=True):
            _validate.marginal(operation, name, k, count)
        if len(set(indices)) < len(indices):
            twice = next(k for k in indices if list(indices).count(k) > 1)
            name = ", ".join(names) or "indices"
            raise errors.InvalidValue(f"[{operation}] {name}: expected two different marginals, got {twice} twice")

    def check_tuples(self, operation: str, tuples: Any) -> Array:
        q = self.q
        given_ = np.asarray(tuples if isinstance(tuples, list | tuple) else q.library.numpy(tuples))
        sizes = np.array(q.sizes * q.n_marginals if q.symmetric else q.sizes)
        if given_.ndim != 2 or given_.shape[1] != q.n_marginals or given_.dtype.kind not in "iu":
            got = f"{given_.dtype} of shape {given_.shape}"
            raise errors.InvalidValue(f"[{operation}] tuples: expected integers (k, {q.n_marginals}), got {got}")
        if ((given_ < 0) | (given_ >= sizes)).any():
            raise errors.InvalidValue(f"[{operation}] tuples: expected indices of points, got some out of range")
        return given_.astype(np.int64)

    def _size(self, p: int) -> int:
        return self.q.sizes[0 if self.q.symmetric else p]

    def _host_points(self, p: int) -> Array:
        return np.asarray(self.q.library.numpy(self.q.points[0 if self.q.symmetric else p]), np.float64)

    def _pair(self, p: int, r: int) -> Array:
        return np.asarray(self.q.library.numpy(self.pair(p, r)), np.float64)

    def _conditional(self, operation: str, p: int, r: int) -> Array:
        self._indices(operation, (p, r), ("p", "q"))
        plan = self._pair(p, r)
        total = plan.sum(1, keepdims=True)
        laws: Array = np.divide(plan, total, out=np.full_like(plan, np.nan), where=total > 0)
        return laws

    def _marginal(self, operation: str, indices: Sequence[int]) -> Array:
        """Return the marginal of three particles or more, slice by slice: all but two of them are held fixed."""
        q = self.q
        sizes = [self._size(p) for p in indices]
        _backend.require_memory(operation, 16 * prod(sizes))
        found = np.zeros(sizes)
        first, others = indices[:2], indices[2:]
        rest = [p for p in range(q.n_marginals) if p not in others]
        pair = tuple(sorted(rest.index(p) for p in first))
        ranges = [range(n) for n in sizes[2:]]
        host = Host(q, self.potentials)
        for fixed in combinations_with_replacement(ranges[0], len(ranges)) if q.symmetric else product(*ranges):
            plan = pair_given(host, dict(zip(others, fixed, strict=True)), (pair[0], pair[1]))
            if plan is None:
                continue
            plan = plan if first[0] < first[1] else plan.T
            for order in set(permutations(fixed)) if q.symmetric else (fixed,):
                at_order: Any = (slice(None), slice(None), *order)
                found[at_order] = plan
        return found

    def _exact(self, operation: str, f: Callable[..., Any], indices: Sequence[int]) -> Any:
        sizes = tuple(self._size(p) for p in indices)
        try:
            if len(indices) > 2:
                table = self._marginal(operation, indices)
            else:
                table = np.asarray(self.q.library.numpy(self.marginal(*indices)), np.float64)
        except errors.OutOfMemory as error:
            raise errors.OutOfMemory(f"{error}; give samples= for a mean over random tuples") from None
        flat = table.reshape(-1)
        total: Any = 0.0
        for begin in range(0, flat.size, CHUNK):
            mass = flat[begin : begin + CHUNK]
            there = np.flatnonzero(mass)
            if len(there):
                tuples = np.stack(np.unravel_index(begin + there, sizes), axis=1)
                values = self._call(operation, f, indices, tuples)
                total = total + (mass[there].reshape(-1, *[1] * (values.ndim - 1)) * values).sum(0)
        return _plain(total / flat.sum())

    def _call(self, operation: str, f: Callable[..., Any], indices: Sequence[int], tuples: Array) -> Array:
        """Return f at the points of tuples (or at their indices, where there are no points)."""
        q, arguments = self.q, []
        for column, p in enumerate(indices):
            at = q.library.device_array(np.ascontiguousarray(tuples[:, column]), q.like)
            x = q.points[0 if q.symmetric else p]
            arguments.append(at if x is None else x[at, 0] if x.shape[1] == 1 else x[at])
        found = f(*arguments)
        values = np.asarray((library_of(found) or NUMPY).numpy(found), np.float64)
        if values.shape[:1] != (len(tuples),):
            raise errors.InvalidValue(
                f"[{operation}] f: expected {len(tuples)} values for as many tuples, got shape {values.shape}"
            )
        return values

    def _sample(self, operation: str, k: Any, rng: Any) -> Array:
        count = _validate.nonnegative_integer(operation, "k", k)
        found = np.empty((count, self.q.n_marginals), np.int64)
        stream = _rng.generator(operation, rng)
        if count and self.q.edges is not None:
            return sample_graph(self.q, self.potentials, count, stream)
        if count:
            _draw(self.q, self.potentials, stream, found)
        return found


def _plain(value: Any) -> Any:
    return float(value) if np.ndim(value) == 0 else value


def _pick(masses: Array, uniforms: Array) -> Array:
    """Return indices drawn with probabilities in proportion to masses, one a uniform number."""
    below = np.cumsum(masses)
    most = np.nextafter(below[-1], 0)
    return np.asarray(np.searchsorted(below, np.minimum(uniforms * below[-1], most), side="right"))


def _draw(q: Problem, potentials: Array, rng: np.random.Generator, out: Array) -> None:
    """Fill the rows of out: a pair from its plan, the others given that pair."""
    count, width = out.shape
    plan = np.asarray(q.library.numpy(pair_plan(q, potentials, (0, 1))), np.float64)
    chosen = _pick(plan.reshape(-1), rng.random(count))
    out[:, 0], out[:, 1] = np.divmod(chosen, plan.shape[1])
    if width == 2:
        return
    host = Host(q, potentials)
    if width == 3:
        _draw_last(host, rng, out)
        return
    kinds, which = np.unique(chosen, return_inverse=True)
    order = np.argsort(which, kind="stable")
    for rows in np.split(order, np.searchsorted(which[order], np.arange(1, len(kinds)))):
        part = given(host, {0: int(out[rows[0], 0]), 1: int(out[rows[0], 1])})
        assert part is not None  # what was drawn has mass
        rest = np.empty((len(rows), width - 2), np.int64)
        _draw(*part, rng, rest)
        out[rows, 2:] = rest


def _draw_last(host: Host, rng: np.random.Generator, out: Array) -> None:
    """Fill the last column of three given the others, by inverting each row's distribution."""
    rows = max(1, (1 << 22) // host.size(2))
    for begin in range(0, len(out), rows):
        part = out[begin : begin + rows]
        logs = host.log_weights(2) - (host.rows(0, 2, part[:, 0]) + host.rows(1, 2, part[:, 1])) / host.epsilon
        below = np.cumsum(np.exp(logs - logs.max(1, keepdims=True)), axis=1)
        uniforms = np.minimum(rng.random(len(part)) * below[:, -1], np.nextafter(below[:, -1], 0))
        part[:, 2] = (below <= uniforms[:, None]).sum(1)
