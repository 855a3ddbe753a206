r"""Derivatives of the potentials: the equations that they solve, differentiated.

Potentials f solve F(f, theta) = 0, where F_p = (plan's marginal p) - a_p. The derivative of F in f is

.. math::
    H = \frac1\varepsilon \begin{pmatrix} \mathrm{diag}(a_1) & P_{12} & \cdots \\ P_{21} & \mathrm{diag}(a_2) & \\
    \vdots & & \ddots \end{pmatrix},

symmetric, with the plans of pairs P_pq off its diagonal; in symmetric mode (diag(a) + (N - 1) P) / epsilon. Of a loss
whose gradient in f is u, the gradient in theta is -lambda^T dF/dtheta with H lambda = u.

In the costs, dF is -1/epsilon times the marginals of plan dc, so that a cost c_pq(i, j) gets 1/epsilon times the pair's
marginal of plan (lambda_1(x_1) + ... + lambda_N(x_N)). That is exact, too: for each k, the plan whose weights of
marginal k are multiplied by lambda_k (plus a constant, taken off afterwards) is a plan like any other.
"""

from __future__ import annotations

from contextlib import suppress
from itertools import combinations
from typing import Any

import numpy as np

from ... import _backend, errors
from ..._array import NUMPY
from ...reference.multimarginal import pair_slope
from .._plans.given import Host
from .._problem import Problem
from .._runners import OPERATION, runner
from .evaluate import Array, pair_plan

TOLERANCE = 1e-6  # of the linear system's residual, relative


def pullback(q: Problem, potentials: Array, cotangents: list[Array], wanted: tuple[str, ...]) -> dict[str, list[Any]]:
    """Return the gradients of sum_p <cotangents[p], f_p> as NumPy arrays, by name, as the problem's own lists.

    `potentials` are those of the last evaluation, one after the other; the f_p are those of `potentials_of`. All in
    float64 on the CPU; a dense linear system of n_1 + ... + n_N unknowns, 32 bytes an entry.
    """
    _backend.require_memory(OPERATION, 32 * sum(q.sizes) ** 2)
    host = Host(q, potentials)
    given = [None if w is None else a for w, a in zip(q.weights, host.weights, strict=True)]
    q = q._replace(library=NUMPY, points=host.points, weights=given, matrices=host.matrices)
    u, direct = _ungauged(host, cotangents)
    for p, (a, v) in enumerate(zip(host.weights, u, strict=True)):
        empty = a == 0
        if empty.any() and ((v[empty] != 0).any() or ("weights" in wanted and given[p] is not None)):
            raise errors.InvalidValue(
                f"[{OPERATION}] weights: expected positive ones for gradients of potentials, got 0 at "
                f"[{int(np.flatnonzero(empty)[0])}] of marginal {p}"
            )
    plans = _plans(q, potentials)
    shifts = _solve(q, plans, u)
    gradients: dict[str, list[Any]] = {}
    if "weights" in wanted:
        gradients["weights"] = [
            None if w is None else _of_weights(host, p, shifts[p] - q.epsilon * u[p] / host.weights[p] + direct[p])
            for p, w in enumerate(q.weights)
        ]
    if "cost" in wanted or "points" in wanted:
        changes = _of_costs(q, host, plans, shifts)
        if "points" in wanted:
            gradients["points"] = _of_points(q, host, changes)
        if "cost" in wanted:
            gradients["cost"] = [sum(changes[1:], changes[0])] if q.shared and not q.symmetric else changes
    return gradients


def _ungauged(host: Host, cotangents: list[Array]) -> tuple[list[Array], list[Array]]:
    """Return the cotangents of potentials whose means differ, and those that weights get through the means."""
    if host.q.symmetric:
        return cotangents, [np.zeros_like(cotangents[0])]
    totals = [float(c.sum()) for c in cotangents]
    moved = [sum(totals) / len(totals) - t for t in totals]
    u = [c + t * a for c, t, a in zip(cotangents, moved, host.weights, strict=True)]
    return u, [t * f for t, f in zip(moved, host.potentials, strict=True)]


def _plans(q: Problem, potentials: Array) -> dict[tuple[int, int], Array]:
    """Return the plans of all pairs, whether a cost links them or not."""
    found = dict(zip(q.pairs, runner(q).evaluate(potentials, False, True).plans, strict=True))
    every = [(0, 1)] if q.symmetric else list(combinations(range(q.n_marginals), 2))
    return {pair: np.asarray(found[pair] if pair in found else pair_plan(q, potentials, pair)) for pair in every}


def _solve(q: Problem, plans: dict[tuple[int, int], Array], u: list[Array]) -> list[Array]:
    """Return lambda. The system is scaled to a diagonal of 1, and kept from moving constants between potentials."""
    at = np.concatenate([[0], np.cumsum(q.sizes)])
    matrix = np.zeros((at[-1], at[-1]))
    if q.symmetric:
        matrix[:] = (q.n_marginals - 1) * plans[0, 1]
        mass = plans[0, 1].sum(1)
    else:
        for (p, r), plan in plans.items():
            matrix[at[p] : at[p + 1], at[r] : at[r + 1]] = plan
            matrix[at[r] : at[r + 1], at[p] : at[p + 1]] = plan.T
        mass = np.concatenate([plans[0, 1].sum(1), *(plans[0, p].sum(0) for p in range(1, q.n_marginals))])
    root = np.sqrt(mass)
    inverse = np.divide(1.0, root, out=np.zeros_like(root), where=root > 0)
    matrix *= inverse[:, None] * inverse
    matrix[np.diag_indices_from(matrix)] += 1.0
    right = q.epsilon * np.concatenate(u) * inverse
    constants = np.zeros((len(q.sizes), len(root)))
    for p in range(len(q.sizes)):
        constants[p, at[p] : at[p + 1]] = root[at[p] : at[p + 1]]
    constants -= constants.mean(0)  # those that add up to zero; none in symmetric mode
    with suppress(np.linalg.LinAlgError):
        solution = np.linalg.solve(matrix + constants.T @ constants, right)
        if _solves(matrix, solution, right):
            return np.split(solution * inverse, at[1:-1])
    solution = np.linalg.lstsq(matrix, right, rcond=None)[0]
    if not _solves(matrix, solution, right):
        raise errors.InvalidValue(
            f"[{OPERATION}] potentials: expected ones that the problem determines up to constants, got ones that "
            "have no derivative (the plan falls apart into pieces)"
        )
    return np.split(solution * inverse, at[1:-1])


def _solves(matrix: Array, solution: Array, right: Array) -> bool:
    return bool(np.linalg.norm(matrix @ solution - right) <= TOLERANCE * np.linalg.norm(right))


def _of_weights(host: Host, p: int, gradient: Array) -> Array:
    """Return the gradient in weights before they were normalised."""
    total = float(np.asarray(host.q.library.numpy(host.q.weights[p]), np.float64).sum())
    return np.asarray((gradient - host.weights[p] @ gradient) / total)


def _of_costs(q: Problem, host: Host, plans: dict[tuple[int, int], Array], shifts: list[Array]) -> list[Array]:
    """Return the gradients in the costs of all pairs: marginals of the plan times the sum of the shifts."""
    count, flat = q.n_marginals, np.concatenate(host.potentials)
    if q.symmetric:
        plan, shift = plans[0, 1], shifts[0]
        total = plan * (shift[:, None] + shift)
        if count > 2:
            n = q.sizes[0]
            spread = q._replace(
                points=q.points * count, weights=q.weights * count, sizes=[n] * count, shared=bool(q.matrices)
            )
            flat = np.tile(flat, count)
            total += (count - 2) * _weighted(spread, host.weights[0], flat, 2, shift, {(0, 1): plan})[0, 1]
        return [total * ((count - 1) / (2 * q.epsilon))]
    totals = {(p, r): plan * (shifts[p][:, None] + shifts[r]) for (p, r), plan in plans.items()}
    for k in range(count if count > 2 else 0):
        chosen = {pair: plan for pair, plan in plans.items() if k not in pair and pair in q.pairs}
        for pair, part in _weighted(q, host.weights[k], flat, k, shifts[k], chosen).items():
            totals[pair] += part
    return [totals[pair] / q.epsilon for pair in q.pairs]


def _weighted(
    q: Problem, a: Array, potentials: Array, k: int, shift: Array, plans: dict[tuple[int, int], Array]
) -> dict[tuple[int, int], Array]:
    """Return the marginals of some pairs of the plan times shift(x_k): a plan with other weights, plus a constant."""
    low = float(shift[a > 0].min())
    weights = a * (shift - low)
    total = float(weights.sum())
    if not total > 0:
        return {pair: low * plan for pair, plan in plans.items()}
    changed = q._replace(weights=[weights if p == k else w for p, w in enumerate(q.weights)])
    if len(plans) == 1:
        (pair,) = plans
        found = {pair: pair_plan(changed, potentials, pair)}
    else:
        found = dict(zip(q.pairs, runner(changed).evaluate(potentials, False, True).plans, strict=True))
    return {pair: total * np.asarray(found[pair]) + low * plan for pair, plan in plans.items()}


def _of_points(q: Problem, host: Host, changes: list[Array]) -> list[Array]:
    """Return the gradients in the points, through the costs of pairs."""
    gradients = [np.zeros_like(x) for x in host.points]
    for (p, r), change in zip(q.pairs, changes, strict=True):
        for me, other, mine in ((p, r, change), (r, p, change.T)):
            x, y = host.points[host.own(me)], host.points[host.own(other)]
            slope = mine * pair_slope(x, y, *host.kind)
            gradients[host.own(me)] += slope.sum(1)[:, None] * x - slope @ y
    return gradients
