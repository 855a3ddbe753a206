"""Values that are differentiable once."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class _Once(torch.autograd.Function):
    """The identity, whose backward raises: the gradient's own derivatives are not known, and not zero."""

    @staticmethod
    def forward(ctx: Any, operation: str, value: Tensor, *inputs: Tensor | None) -> Tensor:
        ctx.operation = operation
        return value.clone()

    @staticmethod
    def backward(ctx: Any, *_: Any) -> Any:
        raise RuntimeError(f"[{ctx.operation}] double backward is not supported: value is differentiable once")


def once(operation: str, value: Tensor, *inputs: Tensor | None) -> Tensor:
    """Return `value` as something that depends on `inputs`, but whose derivatives raise."""
    out: Tensor = _Once.apply(operation, value, *inputs)  # type: ignore[no-untyped-call]
    return out
