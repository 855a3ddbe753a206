"""Laguerre cells inside jit, grad and vmap of JAX."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax

from .. import _backend, errors
from .._array import NUMPY
from .._form import Form
from ..quantization._cells import OPERATION, Problem, evaluate, summarize
from ..results import Cells, Cells3
from ._callback import call

ARRAYS = ("value", "energy", "mass", "centroid", "second_moment", "empty", "complete")


@dataclass(frozen=True)
class _Host:
    lower: tuple[float, ...]
    upper: tuple[float, ...]
    periodic: bool
    form: Form | None

    def __call__(self, arrays: dict[str, Any], wanted: tuple[str, ...]) -> tuple[list[Any], dict[str, Any]]:
        sites, psi, density = (arrays[name] for name in ("sites", "psi", "measure.values"))
        problem = Problem(NUMPY, sites, psi, density, self.lower, self.upper, self.periodic, self.form)
        c = summarize(problem, evaluate(problem, "sites" in wanted), wanted)
        return [getattr(c, name) for name in ARRAYS], c.grad


def _no_polygons() -> Any:
    raise errors.InvalidType(
        f"[{OPERATION}] sites: expected concrete arrays to compute polygons or polyhedra, got cells that come out "
        "of jit, grad or vmap, where the number of vertices is not known"
    )


def _register(kind: type[Cells]) -> None:
    jax.tree_util.register_pytree_node(
        kind,
        lambda c: ([*(getattr(c, name) for name in ARRAYS), c.grad], c.backend),
        lambda backend, v: kind(
            **dict(zip((*ARRAYS, "grad"), v, strict=True)),
            backend=backend,
            _build=_no_polygons,
            _integrate=_no_polygons,
        ),
    )


_register(Cells)
_register(Cells3)


def cells(problem: Problem, wanted: tuple[str, ...]) -> Cells:
    """Build the result of checked tracers; `value` is differentiable once, and there are no polygons."""
    library, sites, psi, density, lower, upper, periodic, form = problem
    label = _backend.plan(OPERATION, library.device(sites)).label
    (n, dim), dtype = sites.shape, sites.dtype
    shapes: dict[str, tuple[Any, Any]] = {"value": ((), dtype), "energy": ((), dtype)}
    shapes |= {"mass": ((n,), dtype), "centroid": ((n, dim), dtype), "second_moment": ((n,), dtype)}
    shapes |= {"empty": ((n,), bool), "complete": ((n,), bool)}
    outputs, grad = call(
        OPERATION,
        _Host(lower, upper, periodic, form),
        {"sites": sites, "psi": psi, "measure.values": density},
        {name: jax.ShapeDtypeStruct(*shapes[name]) for name in ARRAYS},
        constant=("measure.values",),
        asked=wanted,
    )
    kind = Cells if dim == 2 else Cells3
    return kind(**outputs, grad=grad, backend=label, _build=_no_polygons, _integrate=_no_polygons)
