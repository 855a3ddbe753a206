"""Multi-marginal Sinkhorn as a PyTorch operator, ``torch.ops.deblai.multimarginal_sinkhorn``.

The forward pass computes the gradients that will be needed together with the value; the backward pass scales them.
Potentials carry a graph of their own, whose backward pass solves for their derivatives. Double backward is not
supported and raises.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from .. import _backend
from .._array import TORCH
from ..costs import KINDS, PairCost, of_kind
from ..multimarginal._entropic.evaluate import Array, Outcome, Schedule, potentials_of, solve
from ..multimarginal._entropic.implicit import pullback
from ..multimarginal._entropic.path import Watch
from ..multimarginal._graph import Edges
from ..multimarginal._problem import Problem
from ..multimarginal._runners import OPERATION
from ..results import MultimarginalResult
from ._once import once

NAMES = ("points", "weights", "cost")


@torch.library.custom_op("deblai::multimarginal_sinkhorn", mutates_args=())
def multimarginal_sinkhorn(
    points: list[Tensor],
    weights: list[Tensor],
    matrices: list[Tensor],
    sizes: list[int],
    n_marginals: int,
    kind: int,
    s: float,
    strength: float,
    epsilon: float,
    shared: bool,
    start: Tensor,
    tol: float,
    max_iter: int,
    memory: int,
    method: str,
    by_spread: bool,
    rungs: Tensor,
    gap: float,
    grad_points: bool,
    grad_weights: bool,
    grad_cost: bool,
    edges: list[int] | None,
) -> tuple[Tensor, Tensor, Tensor, Tensor, list[Tensor]]:
    """Return value (0-d), numbers, potentials, history and gradients.

    Numbers are value, <c, plan>, mass, marginal error, converged, bounds of the optimum, steps, exact rows; these,
    potentials and history are float64 on the CPU, the history padded with zeros to `max_iter` rows. An empty tensor
    stands for a weight that is not there; `edges` are p, q, p, q, ... or None for all pairs. Gradients that are not
    wanted are empty, in the order points, weights, matrices.
    """
    cost = of_kind(KINDS[kind], s, strength)
    pairs = None if edges is None else list(zip(edges[::2], edges[1::2], strict=True))
    q = _problem(points, weights, matrices, sizes, n_marginals, cost, epsilon, shared, pairs)
    wanted = tuple(n for n, flag in zip(NAMES, (grad_points, grad_weights, grad_cost), strict=True) if flag)
    schedule = Schedule(tol, max_iter, memory, method, None if by_spread else tuple(rungs.tolist()), gap)
    outcome = solve(q, start.numpy(), schedule, wanted=wanted)
    value = torch.tensor(outcome.value, dtype=q.like.dtype, device=q.like.device)
    bounds = (outcome.value_lower, outcome.value_upper)
    numbers = torch.tensor([*outcome[:5], *bounds, len(outcome.history), outcome.exact_rows], dtype=torch.float64)
    history = torch.zeros((max_iter, 3), dtype=torch.float64)
    history[: len(outcome.history)] = torch.from_numpy(outcome.history)
    gradients = []
    for name, arrays in zip(NAMES, (points, weights, matrices), strict=True):
        found = outcome.grad.get(name) or [None] * len(arrays)
        gradients += [q.like.new_empty(0) if g is None else g.clone() for g in found]
    return value, numbers, torch.from_numpy(outcome.potentials), history, gradients


def _problem(
    points: list[Any],
    weights: list[Tensor],
    matrices: list[Tensor],
    sizes: list[int],
    n_marginals: int,
    cost: PairCost,
    epsilon: float,
    shared: bool,
    edges: Edges | None,
) -> Problem:
    given = [w if w.numel() else None for w in weights]
    points = points or [None] * len(sizes)
    return Problem(TORCH, points, given, matrices, sizes, n_marginals, cost, epsilon, shared, edges)


@multimarginal_sinkhorn.register_fake
def _(points, weights, matrices, sizes, n_marginals, *rest):  # type: ignore[no-untyped-def]
    start, max_iter, flags = rest[5], rest[7], rest[13:16]
    like = (points or matrices)[0]
    doubles = [torch.empty(shape, dtype=torch.float64, device="cpu") for shape in ((9,), start.shape, (max_iter, 3))]
    gradients = []
    for wanted, arrays in zip(flags, (points, weights, matrices), strict=True):
        gradients += [torch.empty_like(t) if wanted else like.new_empty(0) for t in arrays]
    return like.new_empty(()), *doubles, gradients


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Any, ...]) -> None:
    ctx.mark_non_differentiable(*output[1:4], *output[4])
    ctx.counts = [len(group) for group in inputs[:3]]
    ctx.save_for_backward(*inputs[0], *inputs[1], *inputs[2], *output[4])


def _backward(ctx: Any, grad_value: Tensor, *_: Any) -> tuple[Any, ...]:
    total = sum(ctx.counts)
    inputs, gradients = ctx.saved_tensors[:total], list(ctx.saved_tensors[total:])
    if torch.is_grad_enabled():
        grad_value = once(OPERATION, grad_value, *inputs)
    groups: list[list[Tensor | None]] = []
    for k, (count, name) in enumerate(zip(ctx.counts, NAMES, strict=True)):
        group: list[Tensor | None] = []
        for p in range(count):
            gradient = gradients.pop(0)
            needed = _needed(ctx.needs_input_grad[k], p)
            if needed and gradient.numel() == 0 and inputs[sum(ctx.counts[:k]) + p].numel():
                raise RuntimeError(f"[{OPERATION}] {name} requires a gradient, but the operator was called without it")
            group.append(grad_value * gradient if needed and gradient.numel() else None)
        groups.append(group)
    return (*groups, *[None] * 19)


def _needed(flags: Any, p: int) -> bool:
    return bool(flags[p] if isinstance(flags, list | tuple) else flags)


multimarginal_sinkhorn.register_autograd(_backward, setup_context=_setup_context)


def _detached(q: Problem) -> Problem:
    points, weights, matrices = (
        [t if t is None else t.detach() for t in group] for group in (q.points, q.weights, q.matrices)
    )
    return q._replace(points=points, weights=weights, matrices=matrices)


def _plain(s: Schedule) -> tuple[Any, ...]:
    """Return what the operator's schema can take: None for rungs is a flag of its own."""
    return (*s[:4], s.annealing is None, torch.tensor(s.annealing or (), dtype=torch.float64), s.gap)


def sinkhorn(
    q: Problem, start: Array, schedule: Schedule, wanted: tuple[str, ...], watch: Watch | None
) -> tuple[Tensor, Outcome]:
    """Call the operator on checked tensors; return the value, which carries the graph, and the outcome.

    A callback cannot live in an operator: with one, the sweeps are done before, and the operator evaluates.
    """
    before = None
    if watch is not None:
        before = solve(_detached(q), start, schedule, watch=watch)
        start, schedule = before.potentials, schedule._replace(max_iter=0)
    like = q.like
    groups = (
        [x for x in q.points if x is not None],
        [like.new_empty(0) if w is None else w for w in q.weights],
        q.matrices,
    )
    tracks = torch.is_grad_enabled()
    flags = [
        name in wanted or (tracks and any(t.requires_grad for t in group))
        for name, group in zip(NAMES, groups, strict=True)
    ]
    value, numbers, potentials, history, gradients = multimarginal_sinkhorn(
        *groups,
        *(q.sizes, q.n_marginals, KINDS.index(q.cost.kind), q.cost.s, q.cost.strength, q.epsilon, q.shared),
        *(torch.from_numpy(start), *_plain(schedule)),
        *flags,
        None if q.edges is None else [k for edge in q.edges for k in edge],
    )
    by_name = {}
    rest = list(gradients)
    for name, group in zip(NAMES, groups, strict=True):
        mine = [rest.pop(0).detach() for _ in group]
        if name in wanted:
            by_name[name] = [g if g.numel() else None for g in mine]
    *summary, sweeps, exact = numbers.tolist()
    seen = history.numpy()[: int(sweeps)] if before is None else before.history
    label = _backend.plan(OPERATION, str(like.device)).label
    total, linear, mass, error, met, low, high = summary
    converged = bool(met)
    if before is not None:
        converged, low, high = before.converged, before.value_lower, before.value_upper
    found = (converged, potentials.numpy(), seen, by_name, label, low, high, int(exact))
    return value, Outcome(total, linear, mass, error, *found)


class _Potentials(torch.autograd.Function):
    """Potentials as functions of points, weights and matrices; the backward pass solves a linear system."""

    @staticmethod
    def forward(ctx: Any, q: Problem, flat: Array, *tensors: Tensor | None) -> tuple[Tensor, ...]:
        ctx.save_for_backward(*tensors)
        ctx.q, ctx.flat = q._replace(points=[], weights=[], matrices=[]), flat
        return tuple(torch.as_tensor(f).to(q.like) for f in potentials_of(q, flat))

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor) -> tuple[Any, ...]:
        n = len(ctx.q.sizes)
        saved = list(ctx.saved_tensors)
        q = ctx.q._replace(points=saved[:n], weights=saved[n : 2 * n], matrices=saved[2 * n :])
        groups = (q.points, q.weights, q.matrices)
        needed = ctx.needs_input_grad[2:]
        wanted = tuple(
            name
            for name, begin, group in zip(NAMES, (0, n, 2 * n), groups, strict=True)
            if any(needed[begin : begin + len(group)])
        )
        found = pullback(q, ctx.flat, [TORCH.numpy(c).astype("float64") for c in cotangents], wanted)
        gradients = [
            None if g is None or t is None else TORCH.export(g, t)
            for name, group in zip(NAMES, groups, strict=True)
            for g, t in zip(found.get(name) or [None] * len(group), group, strict=True)
        ]
        if torch.is_grad_enabled():
            one = once(OPERATION, torch.ones_like(cotangents[0][0]), *saved, *cotangents)
            gradients = [None if g is None else one * g for g in gradients]
        return None, None, *(g if need else None for g, need in zip(gradients, needed, strict=True))


def attached(q: Problem, flat: Array, result: MultimarginalResult) -> MultimarginalResult:
    """Return the result with potentials that carry the graph, where one is recorded."""
    tensors = [*q.points, *q.weights, *q.matrices]
    if not (torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in tensors)):
        return result
    potentials = _Potentials.apply(q, flat, *tensors)  # type: ignore[no-untyped-call]
    return replace(result, potentials=potentials[0] if q.symmetric else list(potentials))
