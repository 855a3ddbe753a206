"""NumPy functions inside JAX programs: what every adapter of this folder shares.

An adapter is a host function, NumPy in and out, and one `call`:

    @dataclass(frozen=True)
    class _Host:  # holds what is fixed when JAX traces; equal and hashable by value
        p: float

        def __call__(self, arrays, wanted):  # {"x": [array, ...], "a": None}, ("x[0]", "x[2]")
            r = the eager function, with the gradients that are wanted
            return (r.value, r.n_iter), {"x[0]": ..., "x[2]": ...}

    outputs, gradients = call(OPERATION, _Host(p), {"x": x, "a": a}, {"value": its shape, "n_iter": its shape})

The first output is a scalar, differentiable once, in reverse mode. `jax.custom_vjp` computes its gradients in the
forward pass, together with the value and only in the arguments that are differentiated; the backward pass scales them.
Whatever has no derivative (the other outputs, the gradients, arguments named `constant`) raises where one is asked
for: a zero would be wrong.

`deblai_p` does what `jax.pure_callback` does, with three differences. Outside jit the host function is called as it
is: errors and Ctrl-C are Python's own. It gets NumPy arrays: those of `pure_callback` are still being copied, and
on a single core a callback that reads one waits for ever. And vmap is a loop inside one callback.
"""

from __future__ import annotations

import atexit
import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import numpy as np
from jax.custom_derivatives import SymbolicZero
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

from .. import _backend, errors

Host = Callable[[dict[str, Any], tuple[str, ...]], tuple[Sequence[Any], Mapping[str, Any]]]


def call(
    operation: str,
    host: Host,
    arrays: Mapping[str, Any],
    outputs: Mapping[str, jax.ShapeDtypeStruct],
    *,
    constant: Sequence[str] = (),
    asked: Sequence[str] = (),
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Call a function of NumPy arrays from a JAX program, now or whenever the program runs.

    Parameters
    ----------
    operation : str
        Who asks, for messages.
    host : hashable callable (arrays, wanted) -> (outputs, gradients)
        Gets `arrays` as NumPy arrays and the names of those whose gradients are wanted. Returns the outputs in order
        and a dict of at least those gradients of the first one.
    arrays : dict of str to array, None, or lists or dicts of these
        Traced, or JAX's. The arrays in a list "x" are named "x[0]", "x[1]", ...
    outputs : dict of str to jax.ShapeDtypeStruct
        Shapes and dtypes; the first is a scalar.
    constant : sequence of str
        The `arrays` in which the first output is not differentiable.
    asked : sequence of str
        The names of the gradients to return.

    Returns
    -------
    outputs, gradients : dict of str to array
    """
    paths, tree = jax.tree_util.tree_flatten_with_path(dict(arrays))
    roots = [path[0].key for path, _ in paths]
    spec = _Spec(
        operation,
        host,
        tree,
        tuple(root + jax.tree_util.keystr(path[1:]) for root, (path, _) in zip(roots, paths, strict=True)),
        tuple(root not in constant for root in roots),
        tuple(outputs),
        tuple(outputs.values()),
        tuple(asked),
        _backend.local_settings(),
    )
    values, gradients = _differentiable(spec, *(x for _, x in paths))
    return dict(zip(outputs, values, strict=True)), {name: gradients[name] for name in asked}


@dataclass(frozen=True)
class _Spec:
    """What is known of a call when JAX traces it."""

    operation: str
    host: Host
    tree: Any
    names: tuple[str, ...]
    differentiable: tuple[bool, ...]
    outputs: tuple[str, ...]
    shapes: tuple[jax.ShapeDtypeStruct, ...]
    asked: tuple[str, ...]
    settings: _backend.Settings | None  # a callback may run in another thread, after the block of use_backend

    def bind(self, wanted: set[str], arrays: Sequence[Any]) -> tuple[list[Any], dict[str, Any]]:
        """Return the outputs, and the gradients that are wanted."""
        like = {name: x for name, x in zip(self.names, arrays, strict=True) if name in wanted}
        shapes = (*self.shapes, *(jax.ShapeDtypeStruct(x.shape, x.dtype) for x in like.values()))
        flat = deblai_p.bind(*arrays, spec=self, wanted=tuple(like), shapes=shapes, batch=())
        count = len(self.shapes)
        return flat[:count], dict(zip(like, flat[count:], strict=True))


# --- derivatives ----------------------------------------------------------------------------------------------------


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _differentiable(spec: _Spec, *arrays: Any) -> Any:
    return spec.bind(set(spec.asked), arrays)


def _forward(spec: _Spec, *primals: Any) -> Any:
    perturbed = {name for name, primal in zip(spec.names, primals, strict=True) if primal.perturbed}
    for name, differentiable in zip(spec.names, spec.differentiable, strict=True):
        if name in perturbed and not differentiable:
            raise errors.InvalidType(
                f"[{spec.operation}] {name}: expected a constant, got an argument that is differentiated; wrap it in "
                "jax.lax.stop_gradient"
            )
    outputs, gradients = spec.bind(perturbed.union(spec.asked), [primal.value for primal in primals])
    returned = {name: gradients[name] for name in spec.asked}
    return (outputs, returned), {name: gradients[name] for name in perturbed}


def _backward(spec: _Spec, gradients: dict[str, Any], cotangents: Any) -> tuple[Any, ...]:
    (first, *others), of_gradients = cotangents
    for name, cotangent in zip(spec.outputs[1:], others, strict=True):
        if not isinstance(cotangent, SymbolicZero):
            raise errors.InvalidType(
                f"[{spec.operation}] {name} has no derivative here; wrap it in jax.lax.stop_gradient if none is meant"
            )
    if not all(isinstance(cotangent, SymbolicZero) for cotangent in of_gradients.values()):
        raise _twice(spec)
    if isinstance(first, SymbolicZero):
        return (None,) * len(spec.names)
    return tuple(first * gradients[name] if name in gradients else None for name in spec.names)


_differentiable.defvjp(_forward, _backward, symbolic_zeros=True)


def _twice(spec: _Spec) -> errors.InvalidType:
    return errors.InvalidType(f"[{spec.operation}] second derivatives are not supported: it is differentiable once")


# --- the primitive --------------------------------------------------------------------------------------------------

deblai_p = Primitive("deblai")
deblai_p.multiple_results = True


def _run(*arrays: Any, spec: _Spec, wanted: Any, shapes: Any, batch: tuple[int, ...]) -> list[Any]:
    """Call the host function for every element of the batch, whose axes lead in all arrays, with size 1 or theirs."""
    full = [np.broadcast_to(x, batch + x.shape[len(batch) :]) for x in map(np.asarray, arrays)]
    results = [np.empty(batch + s.shape, s.dtype) for s in shapes]
    with _backend.restored(spec.settings):
        for k in np.ndindex(batch):
            outputs, gradients = spec.host(jax.tree_util.tree_unflatten(spec.tree, [x[k] for x in full]), wanted)
            for result, value in zip(results, (*outputs, *(gradients[name] for name in wanted)), strict=True):
                result[k] = value
    return results


def _eager(*arrays: Any, **fixed: Any) -> list[Any]:
    return [jax.numpy.asarray(result) for result in _run(*arrays, **fixed)]


def _abstract(*_: Any, shapes: Any, batch: Any, **__: Any) -> list[Any]:
    return [jax.core.ShapedArray(batch + s.shape, s.dtype) for s in shapes]


def _batched(arrays: Any, axes: Any, *, batch: tuple[int, ...], **fixed: Any) -> tuple[list[Any], list[int]]:
    size = next(x.shape[axis] for x, axis in zip(arrays, axes, strict=True) if axis is not None)
    front = [x[None] if k is None else jax.numpy.moveaxis(x, k, 0) for x, k in zip(arrays, axes, strict=True)]
    results = deblai_p.bind(*front, batch=(size, *batch), **fixed)
    return results, [0] * len(results)


def _jvp(*_: Any, spec: _Spec, **__: Any) -> Any:
    raise _twice(spec)


def _lowered(ctx: Any, *operands: Any, **fixed: Any) -> Any:
    results, *_ = mlir.emit_python_callback(
        ctx, partial(_run, **fixed), None, list(operands), ctx.avals_in, ctx.avals_out, has_side_effect=False
    )
    return results


@atexit.register
def _finish() -> None:
    """Wait for results on their way: XLA aborts the process where a callback finds that Python has ended."""
    for array in jax.live_arrays():
        with contextlib.suppress(Exception):
            array.block_until_ready()


deblai_p.def_impl(_eager)
deblai_p.def_abstract_eval(_abstract)
batching.primitive_batchers[deblai_p] = _batched
ad.primitive_jvps[deblai_p] = _jvp
mlir.register_lowering(deblai_p, _lowered)
