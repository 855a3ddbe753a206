"""Multi-marginal Sinkhorn inside jit, grad and vmap of JAX."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import jax
import numpy as np
from jax.custom_derivatives import SymbolicZero

from .. import _backend, errors, multimarginal
from .._array import NUMPY
from ..costs import PairCost
from ..multimarginal._entropic.evaluate import Schedule, potentials_of, solve
from ..multimarginal._entropic.implicit import pullback
from ..multimarginal._problem import Problem
from ..multimarginal._runners import OPERATION
from ..results import MultimarginalBatch, MultimarginalResult
from ._callback import call

SCALARS = ("value", "value_linear", "marginal_error", "converged", "n_iter", "exact_rows")
NAMES = ("points", "weights", "cost")


@dataclass(frozen=True)
class _Host:
    sizes: tuple[int, ...]
    n_marginals: int
    cost: PairCost
    epsilon: float
    shared: bool
    edges: tuple[tuple[int, int], ...] | None
    schedule: Schedule

    def problem(self, arrays: dict[str, Any]) -> Problem:
        """Return the problem of NumPy arrays."""
        points, weights, matrices = (list(arrays[name]) for name in NAMES)
        edges = None if self.edges is None else list(self.edges)
        fixed = (self.n_marginals, self.cost, self.epsilon, self.shared, edges)
        return Problem(NUMPY, points, weights, matrices, list(self.sizes), *fixed)

    def __call__(self, arrays: dict[str, Any], wanted: tuple[str, ...]) -> tuple[list[Any], dict[str, Any]]:
        q = self.problem(arrays)
        names = tuple(name for name in NAMES if any(w.startswith(name) for w in wanted))
        outcome = solve(q, arrays["init"].astype(np.float64), self.schedule, wanted=names)
        scalars = [outcome.value, outcome.value_linear, outcome.marginal_error, outcome.converged, len(outcome.history)]
        scalars.append(outcome.exact_rows)
        gradients = {f"{name}[{p}]": g for name in names for p, g in enumerate(outcome.grad[name]) if g is not None}
        return [*scalars, *potentials_of(q, outcome.potentials)], gradients


@dataclass(frozen=True)
class _Pullback:
    """What the gradients of a function of the potentials are in the arrays that are wanted, flat names in order."""

    host: _Host
    wanted: tuple[str, ...]

    def __call__(self, arrays: dict[str, Any], _: tuple[str, ...]) -> tuple[list[Any], dict[str, Any]]:
        q = self.host.problem(arrays)
        flat, cotangents = ([np.asarray(v, np.float64) for v in arrays[name]] for name in ("potentials", "cotangents"))
        names = tuple(name for name in NAMES if any(w.startswith(name) for w in self.wanted))
        found = pullback(q, np.concatenate(flat), cotangents, names)
        by_name = {f"{name}[{p}]": g for name in names for p, g in enumerate(found[name])}
        return [by_name[name] for name in self.wanted], {}


class _Leaves:
    """Arrays by name and place, "points[0]" and so on, without those that are None."""

    def __init__(self, groups: dict[str, list[Any]]) -> None:
        self.lengths = {name: len(v) for name, v in groups.items()}
        self.names = tuple(f"{name}[{p}]" for name, v in groups.items() for p, x in enumerate(v) if x is not None)
        self.arrays = [x for v in groups.values() for x in v if x is not None]

    def groups(self, arrays: Any) -> dict[str, list[Any]]:
        """Return the lists again, of other arrays."""
        found = dict(zip(self.names, arrays, strict=True))
        return {name: [found.get(f"{name}[{p}]") for p in range(n)] for name, n in self.lengths.items()}


def _with_derivatives(host: _Host, leaves: _Leaves, potentials: list[Any]) -> list[Any]:
    """Return the potentials, differentiable once in the leaves."""
    count = len(leaves.names)

    @jax.custom_vjp
    def same(*arrays: Any) -> list[Any]:
        return list(arrays[count:])

    def forward(*primals: Any) -> Any:
        values = [primal.value for primal in primals]
        perturbed = {n: None for n, primal in zip(leaves.names, primals, strict=False) if primal.perturbed}
        return values[count:], (perturbed, values)

    def backward(residuals: Any, cotangents: Any) -> tuple[Any, ...]:
        perturbed, values = residuals
        nothing = (None,) * len(values)
        if all(isinstance(c, SymbolicZero) for c in cotangents):
            return nothing
        own = values[count:]
        given = leaves.groups(values[:count]) | {
            "potentials": own,
            "cotangents": [
                jax.numpy.zeros_like(f) if isinstance(c, SymbolicZero) else c
                for c, f in zip(cotangents, own, strict=True)
            ],
        }
        like = dict(zip(leaves.names, values, strict=False))
        shapes = {name: jax.ShapeDtypeStruct(like[name].shape, like[name].dtype) for name in perturbed}
        found, _ = call(OPERATION, _Pullback(host, tuple(perturbed)), given, shapes, constant=tuple(given))
        return (*(found.get(name) for name in leaves.names), *nothing[count:])

    same.defvjp(forward, backward, symbolic_zeros=True)
    return same(*leaves.arrays, *map(jax.lax.stop_gradient, potentials))


class _NoPlans:
    """Plans of a result that came out of a JAX program."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        raise errors.InvalidType(
            f"[{OPERATION}] points: expected concrete arrays to compute plans, got a result that comes out of jit, "
            "grad or vmap; the gradient of value in cost matrices is the plans of pairs"
        )


ARRAYS = (*SCALARS, "potentials", "grad")


def _register(kind: type[MultimarginalResult]) -> None:
    jax.tree_util.register_pytree_node(
        kind,
        lambda r: ([getattr(r, name) for name in ARRAYS], (r.epsilon, r.n_marginals, r.backend)),
        lambda fixed, v: kind(
            **dict(zip(ARRAYS, v, strict=True)),
            **dict(zip(("epsilon", "n_marginals", "backend"), fixed, strict=True)),
            history=None,
            _plans=_NoPlans(),
        ),
    )


_register(MultimarginalResult)
_register(MultimarginalBatch)


def sinkhorn(q: Problem, start: Any, schedule: Schedule, wanted: tuple[str, ...]) -> tuple[MultimarginalResult, Any]:
    """Return the result of checked tracers, whose `value` is differentiable once, and gradients as lists by name."""
    dtype = q.like.dtype
    shapes: dict[str, tuple[Any, Any]] = dict.fromkeys(SCALARS[:3], ((), dtype))
    shapes |= {"converged": ((), bool), "n_iter": ((), np.dtype(np.int32)), "exact_rows": ((), np.dtype(np.int32))}
    shapes |= {f"potentials[{p}]": ((n,), dtype) for p, n in enumerate(q.sizes)}
    groups = dict(zip(NAMES, (q.points, q.weights, q.matrices), strict=True))
    asked = {name: [f"{name}[{p}]" for p, x in enumerate(groups[name]) if x is not None] for name in wanted}
    edges = None if q.edges is None else tuple(q.edges)
    host = _Host(tuple(q.sizes), q.n_marginals, q.cost, q.epsilon, q.shared, edges, schedule)
    outputs, found = call(
        OPERATION,
        host,
        groups | {"init": start.astype(dtype)},
        {name: jax.ShapeDtypeStruct(*shape) for name, shape in shapes.items()},
        constant=("init",),
        asked=[leaf for leaves in asked.values() for leaf in leaves],
    )
    grad = {name: [found.get(f"{name}[{p}]") for p in range(len(groups[name]))] for name in asked}
    potentials = [outputs[f"potentials[{p}]"] for p in range(len(q.sizes))]
    potentials = _with_derivatives(host, _Leaves(groups), potentials)
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


def batch(arguments: dict[str, Any], ranks: dict[str, int], shared: dict[str, Any]) -> MultimarginalBatch:
    """Return the result of tracers with a leading axis: `vmap` of `sinkhorn`."""
    init = arguments.pop("init")
    if any(getattr(x, "ndim", 0) == ranks["init"] for x in (init if isinstance(init, list | tuple) else [init])):
        raise errors.InvalidValue(f"[{OPERATION}] init: expected one start of all problems inside jit, grad and vmap")
    given = {name: v for name, v in arguments.items() if not isinstance(v, str | PairCost)}
    rank = {name: jax.tree_util.tree_map(lambda _, name=name: ranks[name], v) for name, v in given.items()}
    leaves, tree = jax.tree_util.tree_flatten(given)
    axes = [0 if x.ndim == r else None for x, r in zip(leaves, jax.tree_util.tree_leaves(rank), strict=True)]

    def one(*mine: Any) -> MultimarginalResult:
        return multimarginal.sinkhorn(**arguments | jax.tree_util.tree_unflatten(tree, mine), init=init, **shared)

    r = jax.vmap(one, in_axes=axes)(*leaves)
    return MultimarginalBatch(**{f.name: getattr(r, f.name) for f in fields(r)})
