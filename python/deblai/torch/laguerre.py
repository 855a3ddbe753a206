"""Laguerre cells as a PyTorch operator, ``torch.ops.deblai.laguerre``.

The gradient of the value is known from masses and means, so the backward pass only scales. Double backward is not
supported and raises.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .. import _backend
from .._array import TORCH
from .._form import Form
from ..quantization._cells import OPERATION, Evaluation, Problem, evaluate, summarize
from ..results import Cells
from ._once import once


@torch.library.custom_op("deblai::laguerre", mutates_args=())
def laguerre(
    sites: Tensor,
    psi: Tensor | None,
    density: Tensor | None,
    lower: list[float],
    upper: list[float],
    periodic: bool,
    form: list[Tensor],
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Return value (0-d), masses, centroids, second moments, counts, gradient in sites, [energy, value] (CPU).

    `form`: empty, or the arrays of a `Form` (on the CPU).
    """
    given = Form.of([v.numpy() for v in form])
    problem = Problem(TORCH, sites, psi, density, tuple(lower), tuple(upper), periodic, given)
    e = evaluate(problem, True)
    value = torch.tensor(e.value, dtype=sites.dtype, device=sites.device)
    sums = torch.tensor([e.energy, e.value], dtype=torch.float64)
    return value, e.mass, e.centroid, e.second_moment, e.count, e.grad_sites, sums


@laguerre.register_fake
def _(sites, psi, density, lower, upper, periodic, form):  # type: ignore[no-untyped-def]
    n, dim = sites.shape
    count = sites.new_empty((n,) if dim == 2 else (n, 3), dtype=torch.int64)
    sums = torch.empty(2, dtype=torch.float64, device="cpu")
    one, pair = sites.new_empty((n,)), sites.new_empty((n, dim))
    return sites.new_empty(()), one, pair, torch.empty_like(one), count, torch.empty_like(pair), sums


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    ctx.mark_non_differentiable(*output[1:])
    ctx.no_form = [None] * len(inputs[6])
    ctx.save_for_backward(inputs[0], inputs[1], output[1], output[5])


def _backward(ctx: Any, grad_value: Tensor, *_: Any) -> tuple[Any, ...]:
    sites, psi, mass, grad_sites = ctx.saved_tensors
    if torch.is_grad_enabled():
        grad_value = once(OPERATION, grad_value, sites, psi)
    return (
        grad_value * grad_sites if ctx.needs_input_grad[0] else None,
        -grad_value * mass if ctx.needs_input_grad[1] else None,
        None,
        None,
        None,
        None,
        ctx.no_form,
    )


laguerre.register_autograd(_backward, setup_context=_setup_context)


def cells(problem: Problem, wanted: tuple[str, ...]) -> Cells:
    """Call the operator on checked tensors and build the result, whose value carries the graph."""
    q = problem
    density = None if q.density is None else q.density.detach()
    form = [] if q.form is None else [torch.from_numpy(v) for v in q.form.flat()]
    value, mass, centroid, second, count, grad_sites, sums = laguerre(
        q.sites, q.psi, density, list(q.lower), list(q.upper), q.periodic, form
    )
    energy, total = sums.tolist()
    plan = _backend.plan(OPERATION, str(q.sites.device))
    evaluation = Evaluation(mass, centroid, second, count, grad_sites.detach(), energy, total, plan)
    return summarize(q, evaluation, wanted, value)
