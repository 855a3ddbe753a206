"""Semi-discrete transport inside jit, grad and vmap of JAX."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax

from .. import _backend, errors
from .._array import NUMPY
from ..quantization._transport.solution import OPERATION, Problem
from ..results import SemidiscreteResult
from ._callback import call

SCALARS = ("value", "value_lower", "value_upper", "mass_error")


@dataclass(frozen=True)
class _Host:
    fixed: tuple[Any, ...]
    callback: Any

    def __call__(self, arrays: dict[str, Any], wanted: tuple[str, ...]) -> tuple[list[Any], dict[str, Any]]:
        from ..quantization._transport.semidiscrete import run

        sites, masses, init, density = (arrays[name] for name in ("sites", "masses", "init", "measure.values"))
        r = run(Problem.of(NUMPY, sites, masses, init, density, *self.fixed), NUMPY, sites, masses, self.callback)
        outputs = [getattr(r, name) for name in (*SCALARS, "psi", "masses", "centroids", "converged", "n_iter")]
        return outputs, r.grad


def _nothing(*_: Any) -> Any:
    raise errors.InvalidType(f"[{OPERATION}] sites: expected concrete arrays for maps and cells, got tracers of JAX")


def semidiscrete(sites: Any, masses: Any, init: Any, density: Any, *fixed: Any) -> SemidiscreteResult:
    """Build the result of checked tracers; `value` is differentiable once, and there is no history."""
    *numbers, callback = fixed
    n, dtype = sites.shape[0], sites.dtype
    shapes: dict[str, tuple[Any, Any]] = dict.fromkeys(SCALARS, ((), dtype))
    shapes |= {"psi": ((n,), dtype), "masses": ((n,), dtype), "centroids": ((n, 2), dtype)}
    shapes |= {"converged": ((), bool), "n_iter": ((), jax.numpy.int32)}
    outputs, grad = call(
        OPERATION,
        _Host(tuple(numbers), callback),
        {"sites": sites, "masses": masses, "init": init, "measure.values": density},
        {name: jax.ShapeDtypeStruct(*shape) for name, shape in shapes.items()},
        constant=("init", "measure.values"),
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
