"""The value of semi-discrete transport in the graph of PyTorch: its gradients are known when it is."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ._once import once

OPERATION = "quantization.semidiscrete"


class _Attached(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, value: Tensor, sites: Tensor, masses: Tensor | None, *gradients: Tensor) -> Tensor:
        ctx.save_for_backward(sites, masses, *gradients)
        return value.clone()

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        sites, masses, by_site, by_mass = ctx.saved_tensors
        grad = once(OPERATION, grads[0], sites, masses) if torch.is_grad_enabled() else grads[0]
        _, of_sites, of_masses, *_ = ctx.needs_input_grad
        return None, grad * by_site if of_sites else None, grad * by_mass if of_masses else None, None, None


def attached(value: Tensor, sites: Tensor, masses: Tensor | None, grad: dict[str, Tensor]) -> Tensor:
    """Return the value as a function of sites and masses, differentiable once."""
    out: Tensor = _Attached.apply(  # type: ignore[no-untyped-call]
        value, sites, masses, grad["sites"].detach(), grad["masses"].detach()
    )
    return out
