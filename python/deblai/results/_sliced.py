"""Results of sliced transport."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


def with_error(value: Any, stderr: Any) -> str:
    """Return a number and its error, as far as they have values."""
    try:
        return f"{float(value):.6g} ± {float(stderr):.2g}"
    except TypeError:  # a tracer of JAX: no value yet
        return str(value)


@dataclass(frozen=True, repr=False)
class SlicedResult:
    """What `deblai.sliced.wasserstein` returns.

    Attributes
    ----------
    value : scalar
        SW_p, the p-th root of `value_p`. A 0-d tensor that carries the graph for PyTorch.
    value_p : scalar
        SW_p^p: the mean of W_p^p over the directions.
    stderr, stderr_p : scalar
        Standard errors of `value` and `value_p` from the spread over directions, as for independent directions;
        NaN for a single random one, 0 in one dimension, where the distance is exact. The finite number of
        samples in `x` and `y` is not in them.
    p : float
        The exponent.
    n_projections : int
        The number of directions behind the numbers.
    per_direction : array (n_projections,)
        W_p^p along each direction.
    directions : array (n_projections, d)
        The directions.
    grad : dict
        Gradients of `value_p` in the arguments that were asked for, by name.
    backend : str
        Which code ran: "cpu/avx512", "cuda", "reference".
    """

    value: Any
    value_p: Any
    stderr: Any
    stderr_p: Any
    p: float
    n_projections: int
    per_direction: Any
    directions: Any
    grad: dict[str, Any] = field(default_factory=dict)
    backend: str = ""

    def __repr__(self) -> str:
        return (
            f"SlicedResult(value={with_error(self.value, self.stderr)}, p={self.p:g}, "
            f"n_projections={self.n_projections}, backend={self.backend!r})"
        )


@dataclass(frozen=True, repr=False)
class FlowResult:
    """What `deblai.sliced.gradient_flow` returns.

    Attributes
    ----------
    x : array (n, d)
        The particles after the last step.
    history : list of float
        SW_2^2 between particles and target before each step, estimated with that step's directions.
    n_iter : int
        Steps taken.
    stopped : bool
        Whether the callback asked to stop.
    backend : str
        Which code ran.
    """

    x: Any
    history: list[float]
    n_iter: int
    stopped: bool
    backend: str

    def __repr__(self) -> str:
        first, last = (self.history[0], self.history[-1]) if self.history else (float("nan"),) * 2
        return f"FlowResult(n_iter={self.n_iter}, SW2^2 {first:.4g} -> {last:.4g}, backend={self.backend!r})"
