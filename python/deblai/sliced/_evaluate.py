"""One evaluation of the sliced kernel on checked arrays, on whichever backend they call for."""

from __future__ import annotations

from math import isfinite, nan, sqrt
from typing import Any, NamedTuple

import numpy as np

from .. import _backend, _core, _dlpack, errors
from .._array import Library
from ..results import SlicedResult

add_up = np.add.reduce

OPERATION = "sliced.wasserstein"
NAMES = ("x", "y", "a", "b")


class Problem(NamedTuple):
    """Checked arguments: one library, dtype and device."""

    library: Library
    x: Any
    y: Any
    a: Any
    b: Any
    directions: Any
    p: float
    exact: bool  # one direction of the line: no sampling error


class Evaluation(NamedTuple):
    """W_p^p of each direction (NumPy, float64), their mean, gradients by name in the caller's library, the backend."""

    cost: np.ndarray[Any, Any]
    mean: float
    grad: dict[str, Any]
    backend: str


def evaluate(q: Problem, wanted: tuple[str, ...], operation: str = OPERATION) -> Evaluation:
    """Run the kernel; `wanted` names the arguments whose gradients are asked for, `operation` who asks."""
    device = q.library.device(q.x)
    backend = _backend.choose(operation, device)
    label = _backend.describe(backend)
    try:
        if backend == "reference":
            cost, grad = _reference(q, wanted)
        else:
            cost, grad = _compiled(q, wanted, device, label)
    except errors.InvalidValue as error:
        if operation == OPERATION:
            raise
        raise errors.InvalidValue(str(error).replace(OPERATION, operation)) from None
    mean = float(add_up(cost)) / len(cost)
    if not isfinite(mean):
        raise errors.InvalidValue(
            f"[{operation}] x, y: the distance overflows {q.library.dtype(q.x)} projections or float64 costs; "
            "rescale the points"
        )
    return Evaluation(cost, mean, grad, label)


def _reference(q: Problem, wanted: tuple[str, ...]) -> tuple[np.ndarray[Any, Any], dict[str, Any]]:
    arrays = [None if v is None else q.library.numpy(v) for v in (q.x, q.y, q.a, q.b, q.directions)]
    for name, v in zip((*NAMES, "directions"), arrays, strict=True):
        if v is not None and not np.isfinite(v).all():
            raise errors.InvalidValue(f"[{OPERATION}] {name}: expected finite values, got nan or inf")
        if name in "ab" and v is not None and ((v < 0).any() or not v.sum() > 0):
            raise errors.InvalidValue(f"[{OPERATION}] {name}: expected nonnegative weights of positive total mass")
    from ..reference import sliced

    cost, *gradients = sliced.wasserstein(*arrays, q.p)  # type: ignore[misc, arg-type]
    by_name = dict(zip(NAMES, gradients, strict=True))
    return cost, {name: q.library.export(by_name[name], q.x) for name in wanted}


def _compiled(
    q: Problem, wanted: tuple[str, ...], device: str, label: str
) -> tuple[np.ndarray[Any, Any], dict[str, Any]]:
    library, x, y, a, b, directions, p, _ = q
    view = library.view
    cost = np.full(directions.shape[0], nan)
    try:
        inputs = (
            view(x),
            view(y),
            None if a is None else view(a),
            None if b is None else view(b),
            view(directions),
            p,
            _dlpack.view(cost, True),
        )
    except (RuntimeError, BufferError) as error:
        raise errors.InvalidType(
            f"[{OPERATION}] an argument: expected a {library.name} array that DLPack can read, {error}"
        ) from error
    outputs: dict[str, Any] = {}
    targets: tuple[Any, ...] = (None, None, None, None)
    if wanted:
        outputs = {name: library.zeros(v) for name, v in zip(NAMES, (x, y, a, b), strict=True) if name in wanted}
        targets = tuple(view(outputs[name], True) if name in outputs else None for name in NAMES)
    try:
        if label == "cuda":
            index = int(device.partition(":")[2] or 0)
            _backend.cuda_module().sliced(*inputs, *targets, library.stream(x), index)
        else:
            _, simd, threads = _backend.settings()
            if x.shape[0] + y.shape[0] > 1_000_000:
                flags = [name in outputs for name in NAMES]
                _backend.require_memory(OPERATION, _core.sliced_workspace(*inputs[:6], *flags, threads))
            _core.sliced(*inputs, *targets, threads, simd)
    except KeyboardInterrupt:
        done = np.isfinite(cost)
        partial = None
        if done.any():
            rest = q._replace(directions=library.export(library.numpy(directions)[done], x))
            partial = summarize(rest, Evaluation(cost[done], float(cost[done].mean()), {}, label))
        raise errors.Interrupted(
            f"[{OPERATION}] interrupted after {int(done.sum())} of {len(cost)} directions", partial
        ) from None
    return cost, {name: library.finish(output, x) for name, output in outputs.items()} if wanted else outputs


def statistics(cost: np.ndarray[Any, Any], mean: float, p: float, exact: bool) -> tuple[float, float, float]:
    """Return the p-th root of the mean, its standard error by the delta method, and the standard error of the mean."""
    count = len(cost)
    if exact:
        stderr_p = 0.0
    elif count == 1:
        stderr_p = nan
    else:
        deviation = cost - mean
        stderr_p = sqrt(float(deviation @ deviation) / (count * (count - 1)))
    value = mean ** (1.0 / p)
    return value, stderr_p * value / (p * mean) if mean > 0 else stderr_p, stderr_p


def summarize(q: Problem, evaluation: Evaluation, value_p: Any = None) -> SlicedResult:
    """Build the result; `value_p` may be given as a tensor that carries a graph."""
    cost, mean, grad, backend = evaluation
    library, x = q.library, q.x
    scalar = library.scalar
    root, stderr, stderr_p = statistics(cost, mean, q.p, q.exact)
    if value_p is None:
        value, value_p = scalar(root, x), scalar(mean, x)
    else:
        # The root has no derivative at 0; 0 is a subgradient there, where an unguarded root would give NaN.
        positive = value_p > 0
        value = positive * (value_p + ~positive) ** (1.0 / q.p)
    return SlicedResult(
        value,
        value_p,
        scalar(stderr, x),
        scalar(stderr_p, x),
        q.p,
        len(cost),
        library.export(cost, x),
        q.directions,
        grad,
        backend,
    )
