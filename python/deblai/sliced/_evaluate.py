"""One evaluation of the sliced kernel on checked arrays, on whichever backend they call for."""

from __future__ import annotations

from math import inf, isfinite, nan, sqrt
from typing import Any, NamedTuple

import numpy as np

from .. import _backend, _core, _dlpack, errors
from .._array import Library, view_of
from ..results import SlicedResult

OPERATION = "sliced.wasserstein"
NAMES = ("x", "y", "a", "b")
FLOAT32_MAX = float(np.finfo(np.float32).max)


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
    """W_p^p of each direction (NumPy, float64), their mean and its standard error, gradients by name, the backend."""

    cost: np.ndarray[Any, Any]
    mean: float
    stderr: float
    grad: dict[str, Any]
    backend: str


def evaluate(q: Problem, wanted: tuple[str, ...] = (), operation: str = OPERATION) -> Evaluation:
    """Run the kernel; `wanted` names the arguments whose gradients are asked for, `operation` who asks."""
    device = q.library.device(q.x)
    plan = _backend.plan(operation, device)
    cost = np.empty(q.directions.shape[0])
    try:
        run = _reference if plan.backend == "reference" else _compiled
        mean, stderr, grad = run(q, wanted, cost, plan, device)
    except errors.InvalidValue as error:
        if operation == OPERATION:
            raise
        message = str(error).replace(f"[{OPERATION}] y:", f"[{operation}] target:")
        raise errors.InvalidValue(message.replace(OPERATION, operation)) from None
    if not mean * len(cost) <= FLOAT32_MAX:
        dtype = q.library.dtype(q.x)
        if not isfinite(mean) or (dtype == "float32" and cost.max() > FLOAT32_MAX):
            names = "x, y" if operation == OPERATION else "x, target"
            raise errors.InvalidValue(
                f"[{operation}] {names}: the distance overflows {dtype} results or float64 costs; rescale the points"
            )
    return Evaluation(cost, mean, stderr, grad, plan.label)


Outcome = tuple[float, float, dict[str, Any]]


@np.errstate(over="ignore", invalid="ignore")  # who asks looks at the mean
def _reference(
    q: Problem, wanted: tuple[str, ...], cost: np.ndarray[Any, Any], plan: _backend.Plan, device: str
) -> Outcome:
    from ..reference import sliced

    arrays: list[Any] = [None if v is None else q.library.numpy(v) for v in (q.x, q.y, q.a, q.b, q.directions)]
    for name, v in zip((*NAMES, "directions"), arrays, strict=True):
        if v is not None and not np.isfinite(v).all():
            raise errors.InvalidValue(f"[{OPERATION}] {name}: expected finite values, got nan or inf")
        if name in "ab" and v is not None and ((v < 0).any() or not 0 < v.sum(dtype=float) < inf):
            raise errors.InvalidValue(
                f"[{OPERATION}] {name}: expected finite nonnegative weights of positive total mass"
            )
    x, y, a, b, directions = arrays
    cost[:], *gradients = sliced.wasserstein(x, y, a, b, directions, q.p)
    by_name = dict(zip(NAMES, gradients, strict=True))
    stderr = float(cost.std(ddof=1)) / sqrt(len(cost)) if len(cost) > 1 else nan
    return float(cost.mean()), stderr, {name: q.library.export(by_name[name], q.x) for name in wanted}


def _compiled(
    q: Problem, wanted: tuple[str, ...], cost: np.ndarray[Any, Any], plan: _backend.Plan, device: str
) -> Outcome:
    library, x, y, a, b, directions, p, _ = q
    view = library.view
    views = (
        view_of(OPERATION, "x", library, x),
        view_of(OPERATION, "y", library, y),
        view_of(OPERATION, "a", library, a),
        view_of(OPERATION, "b", library, b),
        view_of(OPERATION, "directions", library, directions),
    )
    costs = _dlpack.view(cost, True)
    outputs: dict[str, Any] = {}
    targets: tuple[Any, Any, Any, Any] = (None, None, None, None)
    if wanted:
        outputs = {name: library.zeros(v) for name, v in zip(NAMES, (x, y, a, b), strict=True) if name in wanted}
        gx, gy, ga, gb = (view(outputs[name], True) if name in outputs else None for name in NAMES)
        targets = gx, gy, ga, gb
    try:
        if plan.backend == "cuda":
            index = int(device.partition(":")[2] or 0)
            mean, stderr = _backend.cuda_module().sliced(*views, p, costs, *targets, library.stream(x), index)
        else:
            if x.shape[0] + y.shape[0] > 1_000_000:
                gx, gy, ga, gb = (t is not None for t in targets)
                _backend.require_memory(OPERATION, _core.sliced_workspace(*views, p, gx, gy, ga, gb, plan.threads))
            mean, stderr = _core.sliced(*views, p, costs, *targets, plan.threads, plan.simd)
    except KeyboardInterrupt:
        raise _interrupted(q, cost, plan.label) from None
    if wanted:
        outputs = {name: library.finish(output, x) for name, output in outputs.items()}
    return mean, stderr, outputs


def _interrupted(q: Problem, cost: np.ndarray[Any, Any], label: str) -> errors.Interrupted:
    """Keep the directions that were done; the kernel left NaN for the others."""
    done = np.isfinite(cost)
    partial = None
    if done.any():
        kept = cost[done]
        stderr = float(kept.std(ddof=1)) / sqrt(len(kept)) if len(kept) > 1 else nan
        rest = q._replace(directions=q.library.export(q.library.numpy(q.directions)[done], q.x))
        partial = summarize(rest, Evaluation(kept, float(kept.mean()), stderr, {}, label))
    return errors.Interrupted(f"[{OPERATION}] interrupted after {int(done.sum())} of {len(cost)} directions", partial)


def summarize(q: Problem, evaluation: Evaluation, tracked: Any = None) -> SlicedResult:
    """Build the result; the root's standard error by the delta method. `tracked` is value_p with a graph."""
    cost, mean, stderr_p, grad, backend = evaluation
    x, p = q.x, q.p
    if q.exact:
        stderr_p = 0.0
    root = mean ** (1.0 / p)
    stderr = stderr_p * root / (p * mean) if mean > 0 else stderr_p
    value, value_p, stderr, stderr_p = q.library.scalars((root, mean, stderr, stderr_p), x)
    if tracked is not None:
        # The root has no derivative at 0; 0 is a subgradient there, where an unguarded root would give NaN.
        positive = tracked > 0
        value, value_p = positive * (tracked + ~positive) ** (1.0 / p), tracked
    per_direction = q.library.export(cost, x)
    return SlicedResult(value, value_p, stderr, stderr_p, p, len(cost), per_direction, q.directions, grad, backend)
