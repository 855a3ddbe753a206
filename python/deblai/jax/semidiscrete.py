"""Semi-discrete transport inside jit, grad and vmap of JAX."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax

from .. import _backend, errors
from .._array import NUMPY
from ..quantization._transport.solution import OPERATION
from ..results import SemidiscreteResult
from ._callback import call

NAMES = ("sites", "masses", "init", "measure.values")
SCALARS = ("value", "value_lower", "value_upper", "mass_error")


@dataclass(frozen=True)
class _Host:
    fixed: tuple[Any, ...]
    callback: Any

    def __call__(self, arrays: dict[str, Any], wanted: tuple[str, ...]) -> tuple[list[Any], dict[str, Any]]:
        from ..quantization._transport.semidiscrete import run

        r = run(NUMPY, tuple(arrays[name] for name in NAMES), self.fixed, self.callback)
        outputs = [getattr(r, name) for name in (*SCALARS, "psi", "masses", "centroids", "converged", "n_iter")]
        density = {"measure.values": r.grad["density"]} if "measure.values" in wanted else {}
        return outputs, r.grad | density


def _nothing(*_: Any) -> Any:
    raise errors.InvalidType(f"[{OPERATION}] sites: expected concrete arrays for maps and cells, got tracers of JAX")


def semidiscrete(sites: Any, masses: Any, init: Any, density: Any, *fixed: Any) -> SemidiscreteResult:
    """Build the result of checked tracers; `value` is differentiable once, and there is no history."""
    *numbers, callback = fixed
    n, dtype = sites.shape[0], sites.dtype
    shapes: dict[str, tuple[Any, Any]] = dict.fromkeys(SCALARS, ((), dtype))
    shapes |= {"psi": ((n,), dtype), "masses": ((n,), dtype), "centroids": (sites.shape, dtype)}
    shapes |= {"converged": ((), bool), "n_iter": ((), jax.numpy.int32)}
    outputs, grad = call(
        OPERATION,
        _Host(tuple(numbers), callback),
        dict(zip(NAMES, (sites, masses, init, density), strict=True)),
        {name: jax.ShapeDtypeStruct(*shape) for name, shape in shapes.items()},
        constant=("init",),
    )
    label = _backend.plan(OPERATION, "cpu").label
    return SemidiscreteResult(**outputs, history=[], grad=grad, backend=label, _assign=_nothing, _cells=_nothing)


FIELDS = (*SCALARS, "psi", "masses", "centroids", "converged", "n_iter")
jax.tree_util.register_pytree_node(
    SemidiscreteResult,
    lambda r: ([*(getattr(r, name) for name in FIELDS), r.grad], r.backend),
    lambda backend, v: SemidiscreteResult(
        **dict(zip((*FIELDS, "grad"), v, strict=True)),
        history=[],
        backend=backend,
        _assign=_nothing,
        _cells=_nothing,
    ),
)
