"""Gradient flow of the sliced Wasserstein distance."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from .. import _rng, _validate, errors
from .._array import TORCH, gather
from ..results import FlowResult
from ._directions import orthonormal_bases
from ._evaluate import Problem, evaluate

OPERATION = "sliced.gradient_flow"


class FlowState(NamedTuple):
    """What the callback of `gradient_flow` sees before each step.

    `x` are the particles (n, d), `value_p` is SW_2^2 to the target as this step's directions estimate it.
    """

    step: int
    n_steps: int
    x: Any
    value_p: float


def gradient_flow(
    x: Any,
    target: Any,
    *,
    n_steps: int = 200,
    step_size: float = 1.0,
    n_projections: int | None = None,
    rng: Any = None,
    callback: Callable[[FlowState], bool | None] | None = None,
) -> FlowResult:
    r"""Move particles towards a target by descending the squared sliced Wasserstein distance.

    Each step draws orthonormal bases and moves

    .. math::
        x_i \leftarrow x_i - s \, \frac{n d}{2} \nabla_{x_i} \widehat{SW}_2^2(x, \mathrm{target}).

    With one basis and s = 1 the projections of the particles equal those of the target in every direction of the
    basis after the step: iterative distribution transfer [1]_; smaller s follow the gradient flow [2]_.

    Parameters
    ----------
    x : array (n, d)
        Particles at the start; not changed.
    target : array (m, d)
        Target points; same library, dtype and device.
    n_steps : int, default 200
    step_size : float, default 1
        s above, 0 < s <= 2; the descent is stable below 2.
    n_projections : int, optional
        Directions per step, d by default: one basis.
    rng : None, int or numpy.random.Generator
    callback : callable, optional
        Called with a `FlowState` before each step; True stops.

    Returns
    -------
    FlowResult
        `x`, `history`, `n_iter`, `stopped`.

    Raises
    ------
    Interrupted
        Ctrl-C; ``.result`` is the `FlowResult` so far.

    References
    ----------
    .. [1] F. Pitié, A. Kokaram, R. Dahyot, "Automated colour grading using colour distribution transfer",
       CVIU 2007.
    .. [2] N. Bonnotte, "Unidimensional and evolution methods for optimal transportation", PhD thesis, 2013.

    Examples
    --------
    >>> import numpy as np, deblai
    >>> rng = np.random.default_rng(0)
    >>> noise, ring = rng.standard_normal((400, 2)), rng.standard_normal((400, 2))
    >>> ring /= np.linalg.norm(ring, axis=1, keepdims=True)
    >>> moved = deblai.sliced.gradient_flow(noise, ring, n_steps=50, rng=1)
    >>> bool(abs(np.linalg.norm(moved.x, axis=1) - 1).mean() < 0.05)
    True
    """
    library, (x, target) = gather(OPERATION, {"x": x, "target": target})
    particles = _validate.points(OPERATION, "x", x)
    target = _validate.points(OPERATION, "target", target, particles)
    if library is TORCH:
        particles, target = particles.detach(), target.detach()
    n_steps = _validate.positive_integer(OPERATION, "n_steps", n_steps)
    step = _validate.real(OPERATION, "step_size", step_size)
    if not 0 < step <= 2:
        raise errors.InvalidValue(f"[{OPERATION}] step_size: expected 0 < step_size <= 2, got {step_size!r}")
    n, d = particles.shape
    count = d if n_projections is None else _validate.positive_integer(OPERATION, "n_projections", n_projections)
    generator = _rng.generator(OPERATION, rng)
    if not (callback is None or callable(callback)):
        raise errors.InvalidType(f"[{OPERATION}] callback: expected a function of a FlowState, got {callback!r}")
    history: list[float] = []
    stopped = False
    backend = ""

    def result() -> FlowResult:
        return FlowResult(particles.reshape(x.shape), history, len(history), stopped, backend)

    try:
        for k in range(n_steps):
            theta = library.export(orthonormal_bases(generator, count, d), particles)
            problem = Problem(library, particles, target, None, None, theta, 2.0, False)
            evaluation = evaluate(problem, ("x",), OPERATION)
            backend = evaluation.backend
            value_p = evaluation.mean
            if callback is not None and callback(FlowState(k, n_steps, particles, value_p)):
                stopped = True
                break
            history.append(value_p)
            particles = particles - (step * n * d / 2) * evaluation.grad["x"]
    except KeyboardInterrupt:
        raise errors.Interrupted(
            f"[{OPERATION}] interrupted after {len(history)} of {n_steps} steps", result()
        ) from None
    return result()
