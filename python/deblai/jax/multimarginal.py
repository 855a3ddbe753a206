"""Multi-marginal Sinkhorn inside jit, grad and vmap of JAX."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from .. import _backend, errors
from .._array import NUMPY
from ..costs import PairCost
from ..multimarginal._evaluate import Schedule, potentials_of, solve
from ..multimarginal._problem import Problem
from ..multimarginal._runners import OPERATION
from ..results import MultimarginalResult
from ._callback import call

SCALARS = ("value", "value_linear", "marginal_error", "converged", "n_iter")
NAMES = ("points", "weights", "cost")


@dataclass(frozen=True)
class _Host:
    sizes: tuple[int, ...]
    n_marginals: int
    cost: PairCost
    epsilon: float
    shared: bool
    schedule: Schedule

    def __call__(self, arrays: dict[str, Any], wanted: tuple[str, ...]) -> tuple[list[Any], dict[str, Any]]:
        points, weights, matrices = (list(arrays[name]) for name in NAMES)
        fixed = (self.n_marginals, self.cost, self.epsilon, self.shared)
        q = Problem(NUMPY, points, weights, matrices, list(self.sizes), *fixed)
        names = tuple(name for name in NAMES if any(w.startswith(name) for w in wanted))
        outcome = solve(q, arrays["init"].astype(np.float64), self.schedule, wanted=names)
        scalars = [outcome.value, outcome.value_linear, outcome.marginal_error, outcome.converged, len(outcome.history)]
        gradients = {f"{name}[{p}]": g for name in names for p, g in enumerate(outcome.grad[name]) if g is not None}
        return [*scalars, *potentials_of(q, outcome.potentials)], gradients


class _NoPlans:
    """Plans of a result that came out of a JAX program."""

    def pair(self, *_: Any) -> Any:
        raise errors.InvalidType(
            f"[{OPERATION}] points: expected concrete arrays to compute plans, got a result that comes out of jit, "
            "grad or vmap; the gradient of value in cost matrices is the plans of pairs"
        )

    whole = certified = pair


ARRAYS = (*SCALARS, "potentials", "grad")
jax.tree_util.register_pytree_node(
    MultimarginalResult,
    lambda r: ([getattr(r, name) for name in ARRAYS], (r.epsilon, r.n_marginals, r.backend)),
    lambda fixed, v: MultimarginalResult(
        **dict(zip(ARRAYS, v, strict=True)),
        **dict(zip(("epsilon", "n_marginals", "backend"), fixed, strict=True)),
        history=None,
        _plans=_NoPlans(),
    ),
)


def sinkhorn(q: Problem, start: Any, schedule: Schedule, wanted: tuple[str, ...]) -> tuple[MultimarginalResult, Any]:
    """Return the result of checked tracers, whose `value` is differentiable once, and gradients as lists by name."""
    dtype = q.like.dtype
    shapes: dict[str, tuple[Any, Any]] = dict.fromkeys(SCALARS[:3], ((), dtype))
    shapes |= {"converged": ((), bool), "n_iter": ((), np.dtype(np.int32))}
    shapes |= {f"potentials[{p}]": ((n,), dtype) for p, n in enumerate(q.sizes)}
    groups = dict(zip(NAMES, (q.points, q.weights, q.matrices), strict=True))
    asked = {name: [f"{name}[{p}]" for p, x in enumerate(groups[name]) if x is not None] for name in wanted}
    outputs, found = call(
        OPERATION,
        _Host(tuple(q.sizes), q.n_marginals, q.cost, q.epsilon, q.shared, schedule),
        groups | {"init": start.astype(dtype)},
        {name: jax.ShapeDtypeStruct(*shape) for name, shape in shapes.items()},
        constant=("init",),
        asked=[leaf for leaves in asked.values() for leaf in leaves],
    )
    grad = {name: [found.get(f"{name}[{p}]") for p in range(len(groups[name]))] for name in asked}
    potentials = [outputs[f"potentials[{p}]"] for p in range(len(q.sizes))]
    result = MultimarginalResult(
        **{name: outputs[name] for name in SCALARS},
        potentials=potentials[0] if q.symmetric else potentials,
        history=None,
        epsilon=q.epsilon,
        n_marginals=q.n_marginals,
        backend=_backend.plan(OPERATION, q.library.device(q.like)).label,
        _plans=_NoPlans(),
    )
    return result, grad
