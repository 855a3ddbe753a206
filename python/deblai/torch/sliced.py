"""Sliced Wasserstein as a PyTorch operator, ``torch.ops.deblai.sliced_wasserstein``.

The forward pass computes the gradients that will be needed together with the value, in one sweep over the
directions; the backward pass scales them. Double backward is not supported and raises.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .. import _backend
from .._array import TORCH
from ..results import SlicedResult
from ..sliced._evaluate import NAMES, OPERATION, Evaluation, Problem, evaluate, summarize
from ._once import once


@torch.library.custom_op("deblai::sliced_wasserstein", mutates_args=())
def sliced_wasserstein(
    x: Tensor,
    y: Tensor,
    a: Tensor | None,
    b: Tensor | None,
    directions: Tensor,
    p: float,
    grad_x: bool,
    grad_y: bool,
    grad_a: bool,
    grad_b: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Return value_p (0-d), W_p^p of each direction, mean and standard error (float64, CPU), and four gradients.

    Gradients that are not wanted are empty.
    """
    problem = Problem(TORCH, x, y, a, b, directions, p, False)
    wanted = tuple(name for name, flag in zip(NAMES, (grad_x, grad_y, grad_a, grad_b), strict=True) if flag)
    evaluation = evaluate(problem, wanted)
    value_p = torch.tensor(evaluation.mean, dtype=x.dtype, device=x.device)
    moments = torch.tensor([evaluation.mean, evaluation.stderr], dtype=torch.float64)
    gradients = [evaluation.grad.get(name, x.new_empty(0)) for name in NAMES]
    return value_p, torch.from_numpy(evaluation.cost), moments, *gradients


@sliced_wasserstein.register_fake
def _(x, y, a, b, directions, p, grad_x, grad_y, grad_a, grad_b):  # type: ignore[no-untyped-def]
    def like(t: Any, wanted: bool) -> Tensor:
        return torch.empty(t.shape, dtype=t.dtype, device=t.device) if wanted else x.new_empty(0)

    cost = torch.empty(directions.shape[0], dtype=torch.float64, device="cpu")
    moments = torch.empty(2, dtype=torch.float64, device="cpu")
    return x.new_empty(()), cost, moments, like(x, grad_x), like(y, grad_y), like(a, grad_a), like(b, grad_b)


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    ctx.mark_non_differentiable(*output[1:])
    ctx.save_for_backward(*inputs[:4], *output[3:])


def _backward(ctx: Any, grad_value_p: Tensor, *_: Any) -> tuple[Any, ...]:
    if torch.is_grad_enabled():
        grad_value_p = once(OPERATION, grad_value_p, *ctx.saved_tensors[:4])
    gradients = []
    for needed, name, gradient in zip(ctx.needs_input_grad[:4], NAMES, ctx.saved_tensors[4:], strict=True):
        if needed and gradient.numel() == 0:
            raise RuntimeError(f"[{OPERATION}] {name} requires a gradient, but the operator was called without it")
        gradients.append(grad_value_p * gradient if needed else None)
    return (*gradients, None, None, None, None, None, None)


sliced_wasserstein.register_autograd(_backward, setup_context=_setup_context)


def wasserstein(problem: Problem, wanted: tuple[str, ...]) -> SlicedResult:
    """Call the operator on checked tensors and build the result, whose value carries the graph."""
    tensors = dict(zip(NAMES, problem[1:5], strict=True))
    tracks = torch.is_grad_enabled()
    flags = [name in wanted or (tracks and t is not None and t.requires_grad) for name, t in tensors.items()]
    value_p, cost, moments, *gradients = sliced_wasserstein(
        *tensors.values(), problem.directions.detach(), problem.p, *flags
    )
    by_name = dict(zip(NAMES, gradients, strict=True))
    label = _backend.plan(OPERATION, str(problem.x.device)).label
    mean, stderr = moments.tolist()
    evaluation = Evaluation(cost.numpy(), mean, stderr, {name: by_name[name].detach() for name in wanted}, label)
    return summarize(problem, evaluation, value_p)
