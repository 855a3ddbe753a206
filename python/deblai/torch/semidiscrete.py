"""Semi-discrete transport as a PyTorch operator, ``torch.ops.deblai.semidiscrete``.

The gradients of the value are known when it is, so the backward pass only scales. Double backward is not supported and
raises.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .. import _backend
from .._array import TORCH
from .._form import Form
from ..quantization._transport import solution
from ..quantization._transport.solution import OPERATION, Problem, Solution
from ._once import once


@torch.library.custom_op("deblai::semidiscrete", mutates_args=())
def semidiscrete(
    sites: Tensor,
    masses: Tensor | None,
    init: Tensor | None,
    density: Tensor | None,
    lower: list[float],
    upper: list[float],
    periodic: bool,
    tol: float,
    max_iter: int,
    grad_density: bool,
    form: list[Tensor],
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Return value (0-d), numbers, psi, masses, centroids, gradients in sites, masses and density, history.

    Numbers are value, its upper bound, error of masses, converged, stalled, steps; these, psi, masses, centroids and
    history are float64, the history padded with zeros to `max_iter + 1`. The gradient in the density is empty where it
    is not wanted. `form`: empty, or the arrays of a `Form` (on the CPU).
    """
    box, given = (tuple(lower), tuple(upper), periodic), Form.of([v.numpy() for v in form])
    q = Problem.of(TORCH, sites, masses, init, density, *box, tol, max_iter, given)
    s = solution.solve(q, _backend.plan(OPERATION, "cpu"), lambda *_: None)
    history = np.zeros(max_iter + 1)
    history[: len(s.history)] = s.history
    numbers = np.array([s.value, s.value_upper, s.mass_error, s.converged, s.stalled, s.n_iter], np.float64)
    pixels = s.grad_density() if grad_density else np.empty(0)
    return (
        torch.tensor(s.value, dtype=sites.dtype),
        torch.from_numpy(numbers),
        torch.from_numpy(s.psi),
        torch.from_numpy(s.masses),
        torch.from_numpy(s.centroids),
        torch.from_numpy(s.grad_sites).to(sites.dtype),
        torch.from_numpy(s.grad_masses).to(sites.dtype),
        torch.from_numpy(pixels).to(sites.dtype),
        torch.from_numpy(history),
    )


@semidiscrete.register_fake
def _(sites, masses, init, density, lower, upper, periodic, tol, max_iter, grad_density, form):  # type: ignore[no-untyped-def]
    n, dim = sites.shape
    doubles = [sites.new_empty(shape, dtype=torch.float64) for shape in ((6,), (n,), (n,), (n, dim), (max_iter + 1,))]
    pixels = torch.empty_like(density, memory_format=torch.contiguous_format) if grad_density else sites.new_empty(0)
    gradients = sites.new_empty((n, dim)), sites.new_empty((n,)), pixels
    return sites.new_empty(()), *doubles[:4], *gradients, doubles[4]


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    ctx.mark_non_differentiable(*output[1:])
    ctx.no_form = [None] * len(inputs[10])
    ctx.save_for_backward(inputs[0], inputs[1], inputs[3], *output[5:8])


def _backward(ctx: Any, grad_value: Tensor, *_: Any) -> tuple[Any, ...]:
    sites, masses, density, *gradients = ctx.saved_tensors
    needed = ctx.needs_input_grad
    if needed[3] and gradients[2].numel() == 0:
        raise RuntimeError(f"[{OPERATION}] density requires a gradient, but the operator was called without it")
    if torch.is_grad_enabled():
        grad_value = once(OPERATION, grad_value, sites, masses, density)
    first, second, third = (
        grad_value * g if need else None for g, need in zip(gradients, (needed[0], needed[1], needed[3]), strict=True)
    )
    return first, second, None, third, None, None, None, None, None, None, ctx.no_form


semidiscrete.register_autograd(_backward, setup_context=_setup_context)


def solve(
    q: Problem, arrays: tuple[Any, Any, Any, Any], plan: _backend.Plan, callback: Callable[..., bool | None] | None
) -> tuple[Tensor, Solution]:
    """Call the operator on checked tensors; return the value, which carries the graph, and the solution.

    A callback cannot live in an operator: with one, the steps are done before, and the operator evaluates.
    """
    sites, masses, init, density = arrays
    before, max_iter = None, q.max_iter
    if callback is not None:
        before = solution.solve(q, plan, callback)
        init, max_iter = torch.from_numpy(before.psi), 0
    wanted = density is not None and torch.is_grad_enabled() and density.requires_grad
    init = None if init is None else init.detach()
    form = [] if q.form is None else [torch.from_numpy(v) for v in q.form.flat()]
    value, numbers, psi, masses, centroids, by_site, by_mass, by_pixel, history = semidiscrete(
        sites, masses, init, density, list(q.lower), list(q.upper), q.periodic, q.tol, max_iter, wanted, form
    )
    if before is not None:
        return value, before
    total, upper, error, converged, stalled, steps = numbers.tolist()
    found, reached, means = (v.detach().numpy() for v in (psi, masses, centroids))
    pull, push = (v.detach().numpy().astype(np.float64) for v in (by_site, by_mass))

    def grad_density() -> Any:
        if wanted:
            return by_pixel.detach().numpy()
        return solution.solve(q._replace(init=found, max_iter=0), plan, lambda *_: None).grad_density()

    return value, Solution(
        found,
        total,
        upper,
        reached,
        error,
        means,
        pull,
        push,
        bool(converged),
        False,
        bool(stalled),
        int(steps),
        history.numpy()[: int(steps) + 1].tolist(),
        grad_density,
    )
