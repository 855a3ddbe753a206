"""Sliced Wasserstein inside jit, grad and vmap of JAX."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax

from .. import _backend
from .._array import NUMPY
from ..results import SlicedResult
from ..sliced._evaluate import OPERATION, Problem, evaluate, summarize
from ._callback import call

jax.tree_util.register_dataclass(
    SlicedResult,
    data_fields=["value", "value_p", "stderr", "stderr_p", "per_direction", "directions", "grad"],
    meta_fields=["p", "n_projections", "backend"],
)


@dataclass(frozen=True)
class _Host:
    p: float
    exact: bool

    def __call__(self, arrays: dict[str, Any], wanted: tuple[str, ...]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        problem = Problem(NUMPY, **arrays, p=self.p, exact=self.exact)
        r = summarize(problem, evaluate(problem, wanted))
        return (r.value_p, r.value, r.stderr, r.stderr_p, r.per_direction), r.grad


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _root(p: float, value_p: Any, value: Any) -> Any:
    """Return `value`, the root of `value_p` that the host took in float64, with the derivative of the root."""
    return value


@_root.defjvp
def _(p: float, primals: tuple[Any, Any], tangents: tuple[Any, Any]) -> tuple[Any, Any]:
    value_p, value = primals
    positive = value_p > 0  # 0 is a subgradient at 0
    slope = jax.numpy.where(positive, value / (p * jax.numpy.where(positive, value_p, 1)), 0)
    return value, slope * tangents[0]


def wasserstein(problem: Problem, wanted: tuple[str, ...]) -> SlicedResult:
    """Build the result of checked tracers; `value` and `value_p` are differentiable once."""
    library, x, y, a, b, directions, p, exact = problem
    label = _backend.plan(OPERATION, library.device(x)).label
    scalar, one_each = (jax.ShapeDtypeStruct(shape, x.dtype) for shape in ((), directions.shape[:1]))
    outputs, grad = call(
        OPERATION,
        _Host(p, exact),
        {"x": x, "y": y, "a": a, "b": b, "directions": directions},
        {"value_p": scalar, "value": scalar, "stderr": scalar, "stderr_p": scalar, "per_direction": one_each},
        constant=("directions",),
        asked=wanted,
    )
    outputs["value"] = _root(p, outputs["value_p"], outputs["value"])
    return SlicedResult(
        **outputs, p=p, n_projections=directions.shape[0], directions=directions, grad=grad, backend=label
    )
